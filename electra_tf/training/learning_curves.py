"""A picture of a finished run: its curves as a PNG."""

from pathlib import Path

from electra_tf.checkpoints.metrics_jsonl import METRICS, read_metrics
from electra_tf.checkpoints.run_json import read_description
from electra_tf.files import whole_file
from electra_tf.startup import let_in


def draw_curves(model_dir, path) -> None:
    """Draws a run's metrics against steps, on training and held-out text, as a PNG, whole or not at all.

    Args:
        model_dir: a run directory; `run.json` says which curves are drawn together. path: of the picture.
    """
    let_in("matplotlib")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = read_metrics(Path(model_dir) / METRICS)
    train = [line for line in lines if line["kind"] == "train"]
    held_out = [line for line in lines if line["kind"] == "eval"]
    curves = read_description(model_dir)["curves"]
    figure, axes = pyplot.subplots(1, len(curves), figsize=(13, 4), constrained_layout=True, squeeze=False)
    for axis, (title, (first, *others)) in zip(axes[0], curves, strict=True):
        axis.set_title(title)
        axis.set_xlabel("step")
        drawn = [(train, first, "-", {"color": "tab:blue", "alpha": 0.6, "label": f"training: {first}"})]
        drawn += [(held_out, first, "o-", {"color": "tab:orange", "markersize": 4, "label": f"held out: {first}"})]
        drawn += [(held_out, name, "s--", {"markersize": 3, "label": f"held out: {name}"}) for name in others]
        for lines_of, name, style, how in drawn:
            if (series := _series(lines_of, name))[0]:  # not all is measured of both
                axis.plot(*series, style, **how)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15))  # below, not on the lines
    with whole_file(path, 1) as aside:
        figure.savefig(aside, dpi=110)
    pyplot.close(figure)


def _series(lines, name):
    found = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in found], [value for _, value in found]
