"""Seconds from the command to its first finished step.

python benchmarks/first_step.py --data DATA [--gin_file electra_tiny] [--batch_size 32] [--rounds 3]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time


def first_step(data, gin_file, batch_size) -> float:
    params = {"steps": 1_000_000, "log_every": 1, "batch_size": batch_size, "eval_every": 0, "eval_examples": 0}
    words = [word for name, value in params.items() for word in ("--gin_param", f"Recipe.{name} = {value}")]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "electra_tf", "pretrain", "--gin_file", gin_file, *words, "--data", data]
        began = time.perf_counter()
        run = subprocess.Popen([*command, "--model_dir", folder], stderr=subprocess.PIPE, text=True)
        try:
            for line in run.stderr:
                if line.startswith("step 1/"):
                    return time.perf_counter() - began
        finally:
            run.kill()
            run.communicate()
    raise RuntimeError("the run ended before its first step")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--gin_file", default="electra_tiny")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds = [first_step(options.data, options.gin_file, options.batch_size) for _ in range(options.rounds)]
    print(f"{options.gin_file}: {statistics.median(seconds):.1f} s (each: {', '.join(f'{s:.1f}' for s in seconds)})")


if __name__ == "__main__":
    main()
