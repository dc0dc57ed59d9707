"""What `electra-tf quickstart` should show: figures of several seeds, their means, and tolerances for EXPECTED.

    python benchmarks/quickstart_figures.py --work runs/quickstart --seeds 8

A tolerance is four standard deviations over the seeds, or 1 % of the mean where that is more; figures that do not
depend on the seed get 0.1 %. Another processor rounds otherwise, which after some hundred steps is another seed.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from electra_tf.cli.quickstart import figures


def figures_of(folder: Path, seed: int) -> dict[str, float]:
    command = [sys.executable, "-m", "electra_tf", "quickstart", "--output", str(folder), "--seed", str(seed)]
    subprocess.run(command, check=False)  # it exits with 1 while EXPECTED is not what it will be
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    return figures(folder, [line for line in lines if line["kind"] == "eval"][-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--seeds", type=int, default=8, help="how many, from 0 on")
    options = parser.parse_args()
    runs = [figures_of(options.work / f"seed-{seed}", seed) for seed in range(options.seeds)]
    for name in runs[0]:
        values = [run[name] for run in runs]
        mean, spread = statistics.mean(values), statistics.stdev(values)
        tolerance = max(4 * spread, 0.01 * abs(mean)) if spread else 0.001 * abs(mean)
        print(f"    {name!r}: ({mean:.5g}, {tolerance:.2g}),  # {', '.join(f'{value:.5g}' for value in values)}")


if __name__ == "__main__":
    main()
