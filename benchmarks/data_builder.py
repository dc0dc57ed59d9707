"""Speed and memory of the data builder: English text to finished TFRecords.

    python benchmarks/data_builder.py --input 'text/*.xz' --vocab vocab --megabytes 200 2000

The documents of the input are repeated in shuffled orders into a corpus of the size asked for, in a temporary
folder. Start-up (processes, TensorFlow, tokenizer) is timed apart. Prints a table, and writes JSON with --json.
"""

import argparse
import json
import os
import random
import tempfile
from pathlib import Path

from electra_tf.data.builder import build_data
from electra_tf.data.corpus import expand, read_documents


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", nargs="+", required=True, help="English text")
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--processes", type=int, nargs="+", default=[2])
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--scratch", help="folder for the corpus and the output")
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()

    print("    MB  workers  start-up s  MB/s  examples/s  units s  shards s  worker RSS MB (own)  parent MB")
    rows = []
    for megabytes in args.megabytes:
        with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
            corpus = Path(scratch) / "corpus.txt"
            write_corpus(corpus, expand(args.input), megabytes * 1_000_000)
            for processes in args.processes:
                output = Path(scratch) / f"data-{processes}"
                row = measure(corpus, args.vocab, output, processes, args.length)
                rows.append(row)
                print(
                    f"{row['megabytes']:6.0f}  {processes:7}  {row['start_up_seconds']:10.1f}"
                    f"  {row['megabytes_per_second']:4.1f}  {row['examples_per_second']:10,.0f}"
                    f"  {row['units_seconds']:7.1f}  {row['shards_seconds']:8.1f}"
                    f"  {row['worker_rss_megabytes']:8.0f} ({row['worker_own_megabytes']:.0f})"
                    f"  {row['parent_rss_megabytes']:15.0f}",
                    flush=True,
                )
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


def write_corpus(path, sources, size):
    documents = ["\n".join(lines) + "\n\n" for lines in read_documents(sources)]
    order, written = random.Random(0), 0
    with open(path, "w", encoding="utf-8") as file:
        while written < size:
            order.shuffle(documents)
            for document in documents:
                written += len(document.encode("utf-8"))
                file.write(document)
                if written >= size:
                    break


def measure(corpus, vocab, output, processes, length):
    times, memory = {}, {}

    def watch(progress):
        times[progress.stage] = progress.seconds
        for process in children():
            memory[process] = peak_memory(process)

    manifest = build_data(corpus, vocab, output, processes=processes, length=length, progress=watch)
    seconds = times["shards"] - times["start"]
    examples = sum(split.examples for split in manifest.splits.values())
    return {
        "megabytes": manifest.input["bytes"] / 1e6,
        "processes": processes,
        "length": length,
        "start_up_seconds": times["start"],
        "seconds": seconds,
        "units_seconds": times["units"] - times["start"],
        "shards_seconds": times["shards"] - times["units"],
        "megabytes_per_second": manifest.input["bytes"] / 1e6 / seconds,
        "examples_per_second": examples / seconds,
        "worker_rss_megabytes": max((total for total, _ in memory.values()), default=0),
        "worker_own_megabytes": max((own for _, own in memory.values()), default=0),
        "parent_rss_megabytes": peak_memory(os.getpid())[0],
    }


def children():
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(process) for task in tasks for process in task.read_text().split()]


def peak_memory(process):
    """Peak resident memory of a process, and what it now shares with no file, in MB; zero where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    fields = dict(line.split(":", 1) for line in lines)
    return tuple(int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmHWM", "RssAnon"))


if __name__ == "__main__":
    main()
