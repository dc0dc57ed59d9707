"""Speed of the reader alone: shuffled, parsed batches from TFRecords, on one core.

    python benchmarks/data_reader.py --data data --batch_size 32 128 512

Each round reads `--examples` examples (epochs follow one another) in a process of its own, bound to one core.
Prints a table of medians, and writes JSON with --json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder made by `electra-tf data`")
    parser.add_argument("--batch_size", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--examples", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--one_round", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one_round:
        print(json.dumps(read(args.data, args.batch_size[0], args.examples)))
        return

    rounds = {batch_size: [] for batch_size in args.batch_size}
    for _ in range(args.rounds):
        for batch_size, figures in rounds.items():
            command = [sys.executable, __file__, "--one_round", "--data", args.data]
            command += ["--batch_size", str(batch_size), "--examples", str(args.examples)]
            figures.append(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))
    print("batch  examples/s  examples/CPU-s  first batch s")
    rows = []
    for batch_size, figures in rounds.items():
        row = {name: statistics.median(figure[name] for figure in figures) for name in figures[0]}
        rows.append({"batch_size": batch_size, **row})
        print(
            f"{batch_size:5}  {row['examples_per_second']:10,.0f}"
            f"  {row['examples_per_cpu_second']:14,.0f}  {row['first_batch_seconds']:13.2f}"
        )
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


def read(data, batch_size, examples):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from electra_tf.data.reader import DataSet

    batches = iter(DataSet.open(data).batches(batch_size, seed=0))
    start = time.perf_counter()
    next(batches)
    first = time.perf_counter() - start
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(examples // batch_size):
        next(batches)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    count = examples // batch_size * batch_size
    return {
        "examples_per_second": count / seconds,
        "examples_per_cpu_second": count / cpu,
        "first_batch_seconds": first,
    }


if __name__ == "__main__":
    main()
