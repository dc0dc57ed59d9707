"""Does every objective learn? Each tiny recipe by the product's own commands, beside what counting neighbours gives.

    python benchmarks/objectives.py --text ../shared/data --work runs/objectives

Builds vocabularies and data, trains each recipe, judges it on held-out text, and writes docs/results/objectives.md,
.json and .png. What is finished in the work folder is not done again. `--recipes` does some of them, `--param` adds
settings to all (such as `Recipe.steps = 300`), `--threads` says how many cores.

Then `python benchmarks/objective_exports.py` writes each trained model in every format, and adds that table.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ENGLISH = "english/corpus/fiction-00.txt.xz,english/corpus/gutenberg-00.txt.xz,english/corpus/speeches-00.txt.xz"
_KOREAN = "bookreview-00,fairytale-00,reviews-00,reviews-01,unesco-00,wikinews-00"
_HELD_OUT = ("--held_out", "0.05")


@dataclass(frozen=True)
class Text:
    """A data set: files below the text folder, and what the commands `vocab` and `data` are told beside them."""

    files: tuple[str, ...]
    vocab: tuple[str, ...]
    data: tuple[str, ...]


TEXTS = {
    "english": Text(
        tuple(_ENGLISH.split(",")),
        ("--size", "4000"),
        ("--length", "32", *_HELD_OUT),
    ),
    "english_pairs": Text(
        tuple(_ENGLISH.split(",")),
        ("--kind", "sentencepiece", "--size", "4000"),
        ("--length", "64", "--pairs", *_HELD_OUT),
    ),
    "korean": Text(
        tuple(f"korean/{name}.txt.xz" for name in _KOREAN.split(",")),
        ("--size", "8000", "--nolower_case", "--morphemes", "mecab"),
        ("--length", "32", *_HELD_OUT),
    ),
}

# What each recipe learns from, the quickest to tell a fault first.
RECIPES = {
    "masked_lm_tiny": "english",
    "electra_tiny": "english",
    "uniform_tiny": "english",
    "shared_generator_tiny": "english",
    "alectra_tiny": "english",
    "two_towers_tiny": "english",
    "electric_tiny": "english",
    "koelectra_tiny": "korean",
    "albert_tiny": "english_pairs",
}

# Enough held-out rows that a difference of 0.05 nats is no chance.
PARAMS = ("Recipe.seed = 0", "Recipe.eval_examples = 1024")


def electra_tf(*words) -> None:
    """Runs a command as a user would; its own words go to standard error."""
    command = [sys.executable, "-m", "electra_tf", *map(str, words)]
    print("$ electra-tf " + " ".join(map(str, words)), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=sys.stderr)


def build(name: str, source: Path, work: Path) -> Path:
    """The data set of a text, made where it is not there yet."""
    text, vocab, data = TEXTS[name], work / name / "vocab", work / name / "data"
    files = ",".join(str(source / file) for file in text.files)
    if not vocab.exists():
        electra_tf("vocab", "--input", files, *text.vocab, "--output", vocab)
    if not (data / "manifest.json").exists():
        electra_tf("data", "--input", files, "--vocab", vocab, *text.data, "--output", data)
    return data


def train(recipe: str, data: Path, folder: Path, params, threads: int | None) -> None:
    words = [word for param in params for word in ("--gin_param", param)]
    words += ["--threads", threads] if threads else []
    electra_tf("pretrain", "--gin_file", recipe, *words, "--data", data, "--model_dir", folder)


def lines_of(folder: Path, kind: str) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def minutes_of(folder: Path) -> float:
    """Of training and evaluation, without the start: by the clock in the lines, to all steps from those between."""
    lines = lines_of(folder, "train")
    first, last = lines[0], lines[-1]
    return (last["wall"]["time"] - first["wall"]["time"]) / 60 * last["step"] / (last["step"] - first["step"])


def evaluation_of(recipe: str, data: Path, params):
    """(data set, evaluation) of a recipe as `electra-tf pretrain` makes it, with untrained weights."""
    from electra_tf.cli.gin_files import configured
    from electra_tf.data.reader import DataSet
    from electra_tf.pretraining.run import OF_SETTINGS, settings_of
    from electra_tf.pretraining.tokens import Tokens
    from electra_tf.training.recipe import Recipe

    (filled, settings, masking, *_), _ = configured(Recipe, settings_of, [recipe], params)
    dataset = DataSet.open(data)
    trained, judged = OF_SETTINGS[type(settings)]
    tokens = Tokens.of(dataset.tokenizer, masking.ascii_words)
    objective = trained(settings, masking, tokens, filled.steps, filled.precision)
    return dataset, judged(objective, dataset, filled.eval_examples, filled.batch_size, filled.eval_seed)


def judged_rows(evaluation):
    """(original rows int [N, T], judged places bool [N, T], rows with fixed corruptions or None, real bool [N, T])."""
    from electra_tf.pretraining.masking import scatter

    parts = []
    for batch, drawn, *corrupted in evaluation.batches:
        masked = drawn.masked
        # Of the masked text, since a row whose segments are swapped is judged as it is then.
        rows = scatter(masked.input_ids, masked.positions, masked.ids, masked.weights).numpy()
        where = np.zeros(rows.shape, bool)
        chosen, places = np.nonzero(masked.weights.numpy())
        where[chosen, masked.positions.numpy()[chosen, places]] = True
        parts.append((rows, where, batch["input_mask"].numpy() == 1, *(one.numpy() for one in corrupted)))
    rows, where, real, *corrupted = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, where, real, corrupted[0] if corrupted else None


def counted(recipe: str, data: Path, params) -> dict[str, float]:
    """What counting gives at the positions that the evaluation judges: losses, and the AUC on fixed corruptions."""
    from neighbours import MIXTURES, Neighbours

    from electra_tf.training.metrics import area_under_curve

    dataset, evaluation = evaluation_of(recipe, data, params)
    rows, where, real, corrupted = judged_rows(evaluation)
    train_rows, ids = dataset.examples("train")["input_ids"], dataset.manifest.tokenizer
    special = np.isin(rows, [ids["pad_id"], ids["cls_id"], ids["sep_id"]])
    found = {"unigram": float(-np.log(dataset.frequencies)[rows[where]].mean()), "positions": int(where.sum())}
    for name in MIXTURES:
        mixture = Neighbours(train_rows, dataset.frequencies, name)
        found[f"neighbours_{name}"] = mixture.loss(rows, where)
        if corrupted is not None:
            surprise = np.where(special, 0.0, mixture.surprise(corrupted))
            found[f"auc_{name}"] = area_under_curve((corrupted != rows)[real], surprise[real])
    if corrupted is not None and not evaluation.objective.generator.heads:
        # Tokens drawn evenly are rare ones: how far does that alone go?
        sampled = evenly_replaced(evaluation)
        rarity = np.where(special, 0.0, -np.log(dataset.frequencies)[sampled])
        found["auc_rarity"] = area_under_curve((sampled != rows)[real], rarity[real])
    return found


def evenly_replaced(evaluation):
    """The judged rows with the samples of a uniform generator, int [N, T]."""
    from electra_tf.pretraining.masking import scatter

    parts = []
    for batch, drawn, _ in evaluation.batches:
        masked = drawn.masked
        sampled = evaluation.objective.generator.propose(batch, masked, drawn.numbers).sampled
        parts.append(scatter(batch["input_ids"], masked.positions, sampled, masked.weights).numpy())
    return np.concatenate(parts)


def judge(recipe: str, data: Path, folder: Path, params) -> dict:
    """What is written of a finished run."""
    lines = lines_of(folder, "eval")
    keep = ("mlm_loss", "mlm_accuracy", "disc_auc", "fixed_disc_auc", "order_accuracy", "unigram_loss")
    curve = [{"step": line["step"], **{name: line[name] for name in keep if name in line}} for line in lines]
    found = counted(recipe, data, params)
    # Both are of the same positions, so this one is the other.
    assert abs(found["unigram"] - lines[-1]["unigram_loss"]) < 1e-3, (found, lines[-1])
    return {"text": RECIPES[recipe], "minutes": minutes_of(folder), "counting": found, "curve": curve}


def learns_words(result: dict) -> bool:
    """Whether anything predicts tokens: a uniform generator's loss is a constant."""
    return len({round(line["mlm_loss"], 6) for line in result["curve"]}) > 1


def table(results: dict[str, dict]) -> list[str]:
    columns = ["recipe", "steps", "minutes", "loss", "unigram", "left", "both", "AUC, samples", "AUC, fixed"]
    columns += ["AUC, fixed, by counting", "order"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for recipe, result in results.items():
        last, counting = result["curve"][-1], result["counting"]
        words = learns_words(result)
        row = [f"{recipe}", f"{last['step']:,}", f"{result['minutes']:.1f}"]
        row.append(f"**{last['mlm_loss']:.3f}**" if words else "")
        row += [f"{counting[name]:.3f}" if words else "" for name in ("unigram", "neighbours_left", "neighbours_both")]
        row += [f"{last[name]:.3f}" if name in last else "" for name in ("disc_auc", "fixed_disc_auc")]
        row.append(f"{counting['auc_both']:.3f}" if "auc_both" in counting else "")
        row.append(f"{last['order_accuracy']:.3f}" if "order_accuracy" in last else "")
        lines.append("| " + " | ".join(row) + " |")
    return lines


HEAD = """# Does every objective learn?

`python benchmarks/objectives.py --text ../shared/data --work runs/objectives`: every tiny recipe of `gin/pretrain` as
it stands (those of 600 steps with `--param 'Recipe.steps = 600'`), one seed, 64 rows a step, on a busy machine of two
cores, so that minutes vary. English: 10 MB of fiction and speeches, 4,000 entries, 32 tokens; for ALBERT the same text
as pairs of segments, SentencePiece, 64 tokens. Korean: 10 MB of reviews, tales and reports, 8,000 entries, cased, by
morphemes, 32 tokens. 5 % of the documents are held out; 1,024 rows of them are judged.
"""

LEGEND = """
- **loss**: nats at the judged positions, all of them hidden; for two towers (and Electric), which see the text around a
  position as it is, the cloze loss there. *uniform_tiny* predicts nothing.
- **unigram**, **left**, **both**: what counting the training text gives at the same positions: the tokens' frequencies;
  an interpolated trigram of the two tokens before; a mixture of the two before, the two after, and one on each side. It
  is given the original neighbours, where a masked LM sees [MASK] at those that are masked, too.
- **AUC**: area under the ROC curve of the discriminator, 0.5 by chance: on the generator's own samples (the better the
  generator, the harder), and on fixed corruptions, tokens drawn by their frequencies; beside it the AUC there of how
  unlikely **both** finds a token.
{rarity}
- **order**: share of held-out pairs whose order is told right, 0.5 by chance.
"""


def legend(results: dict[str, dict]) -> str:
    found = [result["counting"]["auc_rarity"] for result in results.values() if "auc_rarity" in result["counting"]]
    words = (
        "- The samples of *uniform_tiny* are mostly rare tokens: how rare a token is gives an AUC of {:.3f} there.\n"
    )
    return LEGEND.replace("{rarity}\n", words.format(found[0]) if found else "")


def reading(results: dict[str, dict]) -> list[str]:
    """What the table says, by name."""
    words = {name: result for name, result in results.items() if learns_words(result)}
    scores = {
        name: result["curve"][-1]["disc_auc"] for name, result in results.items() if "auc_both" in result["counting"]
    }

    def below(measure):
        return [name for name, r in words.items() if r["curve"][-1]["mlm_loss"] < r["counting"][measure]]

    named = {
        "Below the unigram": below("unigram"),
        "Not below it": [name for name in words if name not in below("unigram")],
        "Below the trigram (*left*)": below("neighbours_left"),
        "Below *both*": below("neighbours_both"),
        "Close to chance on the generator's samples (AUC below 0.55)": [n for n, auc in scores.items() if auc < 0.55],
        "Not measured yet": [name for name in RECIPES if name not in results],
    }
    return [f"- {what}: {', '.join(names) or 'none'}." for what, names in named.items()]


def draw(results: dict[str, dict], path: Path) -> None:
    """The curves of every recipe: losses above, AUCs and order below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, len(results), figsize=(2.3 * len(results), 5), constrained_layout=True, sharex="col", squeeze=False
    )
    styles = {"unigram": ":", "neighbours_left": "-.", "neighbours_both": "--"}
    names = {"disc_auc": "AUC, samples", "fixed_disc_auc": "AUC, fixed", "order_accuracy": "order"}
    for (above, below), (recipe, result) in zip(axes.T, results.items(), strict=True):
        steps = [line["step"] for line in result["curve"]]
        above.set_title(recipe, fontsize=9)
        if learns_words(result):
            above.plot(steps, [line["mlm_loss"] for line in result["curve"]], "o-", markersize=3, label="loss")
            for name, style in styles.items():
                label = name.removeprefix("neighbours_")
                above.axhline(result["counting"][name], color="gray", linestyle=style, linewidth=1, label=label)
        for name, label in names.items():
            if name in result["curve"][-1]:
                below.plot(steps, [line[name] for line in result["curve"]], "o-", markersize=3, label=label)
        below.axhline(0.5, color="gray", linestyle=":", linewidth=1)
        below.set_ylim(0.45, 1.0)
        below.set_xlabel("step", fontsize=8)
        for axis in (above, below):
            axis.tick_params(labelsize=7)
            axis.grid(alpha=0.3)
            if axis.get_legend_handles_labels()[1]:
                axis.legend(frameon=False, fontsize=6)
            else:
                axis.set_visible(False)
    axes[0, 0].set_ylabel("nats", fontsize=8)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def write(results: dict[str, dict], output: Path) -> None:
    """The page, its picture and its numbers. A table of exports that is on the page stays."""
    from objective_exports import TITLE

    (output / "objectives.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, output / "objectives.png")
    page = output / "objectives.md"
    _, title, exports = page.read_text("utf-8").partition(TITLE) if page.exists() else ("", "", "")
    lines = [
        HEAD,
        *table(results),
        "",
        *reading(results),
        legend(results),
        "![curves on held-out text](objectives.png)",
    ]
    page.write_text("\n".join(lines) + "\n" + (f"\n{title}{exports}" if title else ""), "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=Path("../shared/data"), help="the folder with english/, korean/")
    parser.add_argument("--work", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--param", action="append", default=[])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    params, chosen = [*PARAMS, *options.param], options.recipes.split(",")
    for recipe in chosen:
        folder, finished = options.work / recipe, options.work / f"{recipe}.json"
        if not finished.exists():
            print(f"{recipe}, {time.strftime('%H:%M:%S')}", file=sys.stderr, flush=True)
            data = build(RECIPES[recipe], options.text, options.work)
            train(recipe, data, folder, params, options.threads)  # a run that is finished is only found to be
            finished.write_text(json.dumps(judge(recipe, data, folder, params)))
    done = {name: options.work / f"{name}.json" for name in RECIPES}
    results = {name: json.loads(path.read_text()) for name, path in done.items() if path.exists()}
    write(results, options.output)
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
