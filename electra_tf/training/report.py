"""A picture of a finished run: its curves as a PNG."""

from pathlib import Path

from electra_tf.conversion.run_directory import METRICS, read_metrics


def draw_curves(model_dir, path) -> None:
    """Draws losses and areas under the ROC curve against steps, on training and held-out text, as a PNG.

    Args:
        model_dir: a run directory. path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = read_metrics(Path(model_dir) / METRICS)
    train = [line for line in lines if line["kind"] == "train"]
    held_out = [line for line in lines if line["kind"] == "eval"]
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), constrained_layout=True)
    panels = (
        ("Generator: masked-LM loss (nats)", "mlm_loss"),
        ("Discriminator: loss (nats a token)", "disc_loss"),
        ("Discriminator: area under the ROC curve", "disc_auc"),
    )
    for axis, (title, name) in zip(axes, panels, strict=True):
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.plot(*_series(train, name), color="tab:blue", alpha=0.6, label="training (some tokens left in view)")
        axis.plot(*_series(held_out, name), "o-", color="tab:orange", markersize=4, label="held out")
        axis.grid(alpha=0.3)
    if held_out and "unigram_loss" in held_out[-1]:
        unigram = held_out[-1]["unigram_loss"]
        axes[0].axhline(unigram, color="gray", linestyle="--", label="token frequencies alone")
        fixed = _series(held_out, "fixed_disc_auc")
        axes[2].plot(*fixed, "s-", color="tab:green", markersize=4, label="held out, fixed corruptions")
    for axis in axes:
        axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _series(lines, name):
    return [line["step"] for line in lines], [line[name] for line in lines]
