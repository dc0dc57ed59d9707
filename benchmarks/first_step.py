"""Seconds from a command to its first finished step: of one that compiles everything, and of one after it.

python benchmarks/first_step.py [--rounds 3] pretrain --gin_file electra_tiny --data DATA
python benchmarks/first_step.py [--rounds 3] finetune --task mrpc --data GLUE/MRPC --init_checkpoint CHECKPOINT
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time


def first_step(words, cache) -> float:
    """`cache`: the folder of the compilation cache; empty: none."""
    params = {"log_every": 1, "batch_size": 32}
    if words[0] == "pretrain":
        params |= {"steps": 1_000_000, "eval_every": 0, "eval_examples": 0}
    more = [word for name, value in params.items() for word in ("--gin_param", f"Recipe.{name} = {value}")]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "electra_tf", *words, *more, "--model_dir", folder]
        environment = {**os.environ, "ELECTRA_TF_COMPILATION_CACHE": cache}
        streams = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
        run = subprocess.Popen(command, env=environment, **streams)
        try:
            for line in run.stderr:
                if line.startswith("step 1/"):
                    return time.perf_counter() - began
        finally:
            run.terminate()  # it saves, and keeps what it compiled
            run.communicate()
    raise RuntimeError("the run ended before its first step")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="a command and its flags, but for --model_dir")
    options = parser.parse_args()
    seconds = {"nothing kept": [], "programs kept": []}
    with tempfile.TemporaryDirectory() as cache:
        first_step(options.words, cache)
        for _ in range(options.rounds):
            for (name, found), folder in zip(seconds.items(), ("", cache), strict=True):
                found.append(first_step(options.words, folder))
                print(f"{name}: {found[-1]:.1f} s", file=sys.stderr, flush=True)
    for name, found in seconds.items():
        each = ", ".join(f"{one:.1f}" for one in found)
        print(f"{' '.join(options.words[:3])}, {name}: {statistics.median(found):.1f} s (each: {each})")


if __name__ == "__main__":
    main()
