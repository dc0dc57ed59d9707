"""`electra-tf quickstart`: from raw text to a pre-trained ELECTRA, by the commands that a user would type."""

import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

from absl import flags

from electra_tf.cli.vocab import REPORT_NAME
from electra_tf.data.manifest import FILE_NAME
from electra_tf.data.work_folder import clear_finished
from electra_tf.files import tidy

DESCRIPTION = (
    "Trains a vocabulary and electra_tiny on eight public-domain books, evaluates on held-out chapters, exports "
    "Hugging Face folders, shows what was learned, and fine-tunes it to tell which book a sentence is from. Exits "
    "with 1 when a figure is not the expected one."
)
EXAMPLE = "electra-tf quickstart --output quickstart"

# Means of seeds 0, 1 and 2, and how far a figure may be from them (`benchmarks/quickstart_figures.py` prints them). For
# both AUC that is more: on another processor, which rounds otherwise, the discriminator of the same seed began to learn
# some hundred steps later, and ended at 0.656 and 0.802.
EXPECTED: dict[str, tuple[float, float]] = {
    "tokens a word": (1.1928, 0.0012),
    "training examples": (24438, 24),
    "fill rate": (0.99965, 0.001),
    "loss by token frequencies alone": (6.4486, 0.0064),
    "held-out masked-LM loss": (5.0447, 0.16),
    "held-out masked-LM accuracy": (0.16309, 0.031),
    "held-out AUC": (0.672, 0.04),
    "AUC on fixed corruptions": (0.842, 0.075),
    "sentences whose book is told": (0.29, 0.08),
}

# Fewer updates and shorter sentences than is usual, for the sake of minutes.
OF_BOOKS = ("FineTuning.least_updates = 400", "FineTuning.length = 32", "FineTuning.peak = 1e-3")

_LIBC, _PR_SET_PDEATHSIG = ctypes.CDLL(None), 1  # of Linux

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
    text = f"{resources.files('electra_tf') / 'quickstart'}/*.xz"
    vocab, data, model, exported = (output / name for name in ("vocab", "data", "run", "hf"))

    # The file that each writes last: an interrupted one is done again. What was left by one that was killed when it had
    # finished is cleared here, since it is not.
    tidy(output)
    if not (vocab / REPORT_NAME).exists():
        _electra_tf("vocab", "--input", text, "--size", 4000, "--output", vocab)
    clear_finished(data)
    if not (data / FILE_NAME).exists():
        _electra_tf("data", "--input", text, "--vocab", vocab, "--length", 32, "--held_out", 0.05, "--output", data)
    seed = f"Recipe.seed = {values.seed}"
    answer = _electra_tf(
        "pretrain", "--gin_file", "electra_tiny", "--gin_param", seed, "--data", data, "--model_dir", model, "--json"
    )
    _electra_tf("convert", "--input", model, "--tower", "both", "--to", "safetensors", "--output", exported)
    _electra_tf("fill-mask", "--input", exported / "generator", "--top", 3, *MASKED)
    _electra_tf("detect", "--input", exported / "discriminator", "--threshold", 0.3, *_color(), *ODD)

    from electra_tf.training.learning_curves import draw_curves

    draw_curves(model, output / "curves.png")
    accuracy = _which_book(output, exported / "discriminator", vocab, values.seed)
    good = compare(figures(output, json.loads(answer)))
    print("\nWhich of eight books a sentence is from, right in the share of 800 test sentences (a guess: 0.125)")
    for name, share in accuracy.items():
        print(f"  {name:48} {'scikit-learn is not installed' if share is None else format(share, '.3f')}")
    print(f"\nThe curves are in {output / 'curves.png'}. All of it took {time.perf_counter() - began:.0f} s.")
    return 0 if good else 1


def _which_book(output, exported, vocab, seed) -> dict[str, float | None]:
    """Accuracies on the test sentences: of the pre-trained network, of the same one without pre-training, of words
    counted.
    """
    from electra_tf.cli.quickstart_books import counted_words, write_books

    folder, found = output / "books", {}
    write_books(folder)
    files = [word for split in ("train", "dev", "test") for word in (f"--{split}", folder / f"{split}.tsv")]
    files += ["--text", "sentence", "--label", "book", "--seeds", seed, "--json", "--threads", 1]
    files += [word for param in OF_BOOKS for word in ("--gin_param", param)]
    ways = {"fine-tuned, pre-trained here": ("pretrained", "--init_checkpoint", exported)}
    ways |= {"the same, without pre-training": ("scratch", "--from_scratch", "electra_tiny", "--vocab", vocab)}
    print("\nTwo commands at once, whose logs are beside their folders:")
    running = {}
    for place, *start in ways.values():
        command = _shown("finetune", *files, *start, "--model_dir", output / place)
        with open(output / f"{place}.log", "w") as log:
            running[place] = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=_end_with_parent
            )
    counted = counted_words(folder)
    answers = {place: process.communicate()[0] for place, process in running.items()}
    for name, (place, *_) in ways.items():
        if running[place].returncode:
            print((output / f"{place}.log").read_text(), file=sys.stderr)
            sys.exit(_status(running[place]))
        found[name] = json.loads(answers[place])["runs"][0]["test"]["accuracy"]
    return found | {"TF-IDF of words with logistic regression": counted}


def _electra_tf(*arguments) -> str:
    """Runs a command as a user would, and returns what it printed."""
    command = _shown(*arguments)
    # `run` would kill it a quarter of a second after Ctrl-C, which it got too: it is about to save.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=_end_with_parent) as process:
        printed = process.communicate()[0]
    if "--json" not in arguments:
        print(printed, end="", flush=True)
    if process.returncode:
        sys.exit(_status(process))
    return printed


def _status(process) -> int:
    """Of a command that failed, to end with; one that was killed could not say so."""
    if process.returncode > 0:
        return process.returncode
    name = signal.Signals(-process.returncode).name
    print(f"error: {name} has ended that command; `electra-tf quickstart` typed again goes on with it", file=sys.stderr)
    return 128 - process.returncode


def _end_with_parent():
    """Lets this process, a child, get SIGTERM when its parent ends, however that ends."""
    parent = os.getppid()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it has ended meanwhile
        os.kill(os.getpid(), signal.SIGTERM)


def _shown(*arguments) -> list[str]:
    """Prints a command as a user would type it, and returns how it is run."""
    words = [str(word) for word in arguments]
    line = f"$ electra-tf {shlex.join(words)}"
    print(f"\n\033[1m{line}\033[0m" if sys.stdout.isatty() else f"\n{line}", flush=True)
    # -P: a module of the folder that this is typed in is none of ours.
    return [sys.executable, "-P", "-m", "electra_tf", *words]


def _color():
    return ["--color"] if sys.stdout.isatty() else []


def figures(output: Path, evaluation: dict) -> dict[str, float]:
    """What the run is judged by: of the vocabulary, the data, the held-out chapters, and what was fine-tuned."""
    tuned = json.loads((output / "pretrained" / "results.json").read_text())
    vocabulary = json.loads((output / "vocab" / REPORT_NAME).read_text())
    manifest = json.loads((output / "data" / FILE_NAME).read_text())
    return {
        "tokens a word": vocabulary["tokens_per_word"],
        "training examples": manifest["splits"]["train"]["examples"],
        "fill rate": manifest["splits"]["train"]["fill_rate"],
        "loss by token frequencies alone": evaluation["unigram_loss"],
        "held-out masked-LM loss": evaluation["mlm_loss"],
        "held-out masked-LM accuracy": evaluation["mlm_accuracy"],
        "held-out AUC": evaluation["disc_auc"],
        "AUC on fixed corruptions": evaluation["fixed_disc_auc"],
        "sentences whose book is told": tuned["runs"][0]["test"]["accuracy"],
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
