"""Seconds from a command to its first finished step.

python benchmarks/first_step.py [--rounds 3] pretrain --gin_file electra_tiny --data DATA
python benchmarks/first_step.py [--rounds 3] finetune --task mrpc --data GLUE/MRPC --init_checkpoint CHECKPOINT
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time


def first_step(words) -> float:
    params = {"log_every": 1, "batch_size": 32}
    if words[0] == "pretrain":
        params |= {"steps": 1_000_000, "eval_every": 0, "eval_examples": 0}
    more = [word for name, value in params.items() for word in ("--gin_param", f"Recipe.{name} = {value}")]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "electra_tf", *words, *more, "--model_dir", folder]
        run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="a command and its flags, but for --model_dir")
    options = parser.parse_args()
    seconds = [first_step(options.words) for _ in range(options.rounds)]
    each = ", ".join(f"{one:.1f}" for one in seconds)
    print(f"{' '.join(options.words[:3])}: {statistics.median(seconds):.1f} s (each: {each})")


if __name__ == "__main__":
    main()
