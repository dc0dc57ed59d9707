"""Answers to 10,000 sentences, beside transformers' pipeline on the same folder, each alone in a process, alternating.

    python benchmarks/predicting.py [--rounds 3] [--sentences 10000] [--output docs/results/predicting_speed.json]

An ELECTRA-Small for two classes with random weights, as a folder that both open; sentences of the bundled books in the
order of the text; 2 threads, float32. The clock runs from the sentences to all labels and probabilities, tokenization
and, here, tracing the graph included; the model is open before.
"""

import argparse
import json
import lzma
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

THREADS = 2
VARIANTS = {
    "pipeline": "transformers' pipeline, batch_size=32",
    "pipeline-sorted": "the same, the sentences sorted by length for it",
    "predict": "electra_tf's Predictor",
}


def sentences(count: int) -> list[str]:
    books = sorted((files("electra_tf") / "quickstart").iterdir())
    lines = "\n".join(lzma.decompress(book.read_bytes()).decode() for book in books).split("\n")
    return [line for line in lines if line][:count]


def make_model(folder: Path) -> Path:
    """A folder that both open: a fine-tuned model of one update."""
    from electra_tf.checkpoints.convert import convert

    train = folder / "train.tsv"
    rows = [f"{text}\t{len(text.split()) % 2}\n" for text in sentences(200)]
    train.write_text("text\tlabel\n" + "".join(rows))
    command(["vocab", "--input", files("electra_tf") / "quickstart/*.xz", "--size", 8000, "--output", folder / "vocab"])
    few = ["--gin_param", "FineTuning.least_updates = 0", "--gin_param", "FineTuning.epochs = 0.01"]
    start = ["--from_scratch", "electra_small", "--vocab", folder / "vocab", "--model_dir", folder / "run"]
    command(["finetune", "--task", "classification", "--train", train, *start, *few], may_fail=True)
    convert(folder / "run/seed-0", folder / "hf")
    return folder / "hf"


def command(words, may_fail=False):
    words = [sys.executable, "-m", "electra_tf", *map(str, words)]
    subprocess.run(words, check=not may_fail, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run_pipeline(folder, texts, is_sorted):
    import torch
    from transformers import pipeline

    torch.set_num_threads(THREADS)
    answer = pipeline("text-classification", folder, device="cpu")
    if is_sorted:
        texts = sorted(texts, key=lambda text: len(text.split()))
    return timed(lambda: answer(texts, batch_size=32, truncation=True))


def run_predict(folder, texts):
    from electra_tf.finetuning.predictor import Predictor
    from electra_tf.training.devices import use_threads

    use_threads(THREADS)
    predictor = Predictor.open(folder)
    return timed(lambda: list(predictor(texts)))


def timed(answers):
    began = time.perf_counter()
    answers()
    return time.perf_counter() - began


def alone(folder, name, count):
    """One variant in a process of its own, ours with the allocator settings that the command gives it."""
    from electra_tf.startup import TUNABLES

    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if name == "predict":
        environment["GLIBC_TUNABLES"] = TUNABLES
    words = [sys.executable, __file__, "--variant", name, "--model", str(folder), "--sentences", str(count)]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, timeout=900, check=True)
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variant", choices=VARIANTS)
    parser.add_argument("--model", help="the folder, for a variant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--output", default="docs/results/predicting_speed.json")
    options = parser.parse_args()
    if options.variant:
        texts = sentences(options.sentences)
        if options.variant == "predict":
            print(run_predict(options.model, texts))
        else:
            print(run_pipeline(options.model, texts, options.variant == "pipeline-sorted"))
        return
    seconds = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        for number in range(options.rounds):
            for name in VARIANTS:
                seconds[name].append(alone(model, name, options.sentences))
                print(f"round {number + 1}  {name:16} {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
    found = {}
    print(f"{'variant':16} {'sentences/s':>12} {'x pipeline':>11}")
    for name, text in VARIANTS.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["pipeline"], seconds[name], strict=True))
        rate = options.sentences / statistics.median(seconds[name])
        found[name] = {"sentences_a_second": rate, "times_pipeline": ratio, "rounds": seconds[name]}
        print(f"{name:16} {rate:12.1f} {ratio:11.2f}  {text}")
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
