"""`electra-tf quickstart`: from raw text to a pre-trained ELECTRA, by the commands that a user would type."""

import json
import shlex
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

from absl import flags

DESCRIPTION = (
    "Trains a vocabulary and electra_tiny on nine public-domain books, evaluates on held-out chapters, exports Hugging "
    "Face folders and shows what was learned. Exits with 1 when a figure is not the expected one."
)
EXAMPLE = "electra-tf quickstart --output quickstart"

# Means of seeds 0, 1 and 2, and how far a figure may be from them (`benchmarks/quickstart_figures.py` prints them).
EXPECTED: dict[str, tuple[float, float]] = {
    "tokens a word": (1.1928, 0.0012),
    "training examples": (24438, 24),
    "fill rate": (0.99965, 0.001),
    "loss by token frequencies alone": (6.4486, 0.0064),
    "held-out masked-LM loss": (5.0447, 0.16),
    "held-out masked-LM accuracy": (0.16309, 0.031),
    "held-out AUC": (0.67821, 0.021),
    "AUC on fixed corruptions": (0.84934, 0.012),
}

MASKED = (
    "The captain looked at the [MASK] and said nothing.",
    "He put his hand upon my [MASK].",
    "I have no doubt that [MASK] will come back to us.",
)
ODD = (
    "The captain looked at the sea and said nothing.",
    "The captain looked at the of and said nothing.",
    "He put his hand upon my were, and we went on.",
)


def define_flags() -> None:
    flags.DEFINE_string("output", "quickstart", "Folder for everything; what is finished in it is not done again.")
    flags.DEFINE_integer("seed", 0, "Of the training run.")


def run(values) -> int:
    began, output = time.perf_counter(), Path(values.output)
    text = f"{files('electra_tf') / 'quickstart'}/*.xz"
    vocab, data, model, exported = (output / name for name in ("vocab", "data", "run", "hf"))

    if not vocab.exists():
        _electra_tf("vocab", "--input", text, "--size", 4000, "--output", vocab)
    if not data.exists():
        _electra_tf("data", "--input", text, "--vocab", vocab, "--length", 32, "--held_out", 0.05, "--output", data)
    seed = f"Recipe.seed = {values.seed}"
    answer = _electra_tf(
        "pretrain", "--gin_file", "electra_tiny", "--gin_param", seed, "--data", data, "--model_dir", model, "--json"
    )
    _electra_tf("convert", "--input", model, "--tower", "both", "--to", "safetensors", "--output", exported)
    _electra_tf("fill-mask", "--input", exported / "generator", "--top", 3, *MASKED)
    _electra_tf("detect", "--input", exported / "discriminator", "--threshold", 0.3, *_color(), *ODD)

    from electra_tf.training.report import draw_curves

    draw_curves(model, output / "curves.png")
    good = compare(figures(output, json.loads(answer)))
    print(f"\nThe curves are in {output / 'curves.png'}. All of it took {time.perf_counter() - began:.0f} s.")
    return 0 if good else 1


def _electra_tf(*arguments) -> str:
    """Runs a command as a user would, and returns what it printed."""
    words = [str(word) for word in arguments]
    print(
        f"\n\033[1m$ electra-tf {shlex.join(words)}\033[0m"
        if sys.stdout.isatty()
        else f"\n$ electra-tf {shlex.join(words)}",
        flush=True,
    )
    done = subprocess.run([sys.executable, "-m", "electra_tf", *words], stdout=subprocess.PIPE, text=True)
    if "--json" not in words:
        print(done.stdout, end="", flush=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def _color():
    return ["--color"] if sys.stdout.isatty() else []


def figures(output: Path, evaluation: dict) -> dict[str, float]:
    """What the run is judged by: of the vocabulary, the data, and the held-out chapters."""
    vocabulary = json.loads((output / "vocab" / "vocabulary_report.json").read_text())
    manifest = json.loads((output / "data" / "manifest.json").read_text())
    return {
        "tokens a word": vocabulary["tokens_per_word"],
        "training examples": manifest["splits"]["train"]["examples"],
        "fill rate": manifest["splits"]["train"]["fill_rate"],
        "loss by token frequencies alone": evaluation["unigram_loss"],
        "held-out masked-LM loss": evaluation["mlm_loss"],
        "held-out masked-LM accuracy": evaluation["mlm_accuracy"],
        "held-out AUC": evaluation["disc_auc"],
        "AUC on fixed corruptions": evaluation["fixed_disc_auc"],
    }


def compare(found: dict[str, float]) -> bool:
    """Prints each figure beside the expected one; true when all are within their tolerance."""
    good = True
    print(f"\n{'figure':32} {'here':>10} {'expected':>10} {'+-':>8}")
    for name, value in found.items():
        mean, tolerance = EXPECTED[name]
        within = abs(value - mean) <= tolerance
        good &= within
        print(f"{name:32} {value:10.4f} {mean:10.4f} {tolerance:8.4f}{'' if within else '  <-- not as expected'}")
    return good
