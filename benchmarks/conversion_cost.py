"""What it costs to move a checkpoint of base size: seconds and memory of `convert` to and from, and `inspect` of, every
format.

    python benchmarks/conversion_cost.py --work runs/cost

The source is a Hugging Face folder with a random discriminator of `electra_base`, 110M parameters. Every command is a
process of its own, timed from its start to its end; importing TensorFlow, which `.keras` alone needs, is timed beside
them. Exits with 1 where a limit is passed.
"""

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

# Nothing large is imported here: Linux counts what this process holds to the peak of those it starts.

FORMATS = ("safetensors", "bin", "h5", "keras", "tf1")
SECONDS = {"convert to": 10, "convert from": 10, "inspect": 1}
GIGABYTES = {"convert to": 2.5, "convert from": 2.5}


class Cost(NamedTuple):
    """Of a process: wall-clock seconds, and the largest memory it held."""

    seconds: float
    gigabytes: float


def build(folder):
    """Writes the source; in a process of its own."""
    import numpy as np

    from electra_tf.checkpoints import pretrained, write_folder
    from electra_tf.checkpoints.weight_names import tower_tensors
    from electra_tf.models import preset

    config, random = preset("electra_base").encoder, np.random.default_rng(0)
    shapes = {t.ours: t.shape("ours") for t in tower_tensors(vars(config), "discriminator")}
    weights = {name: 0.02 * random.standard_normal(shape, "float32") for name, shape in shapes.items()}
    write_folder(folder, pretrained("discriminator", config, weights))


def cost(*arguments) -> Cost:
    """Of a Python process, which must end well."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, arguments))} ended with status {process.returncode}")
    return Cost(took, usage.ru_maxrss / 1e6)


def size(path) -> float:
    """Megabytes of a file, or of a folder's files."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/cost"))
    work = parser.parse_args().work
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    builder = multiprocessing.get_context("spawn").Process(target=build, args=(work / "source",))
    builder.start()
    builder.join()
    if builder.exitcode:
        sys.exit("the source could not be built")
    print("| command | format | MB | seconds | peak GB | |\n|---|---|---|---|---|---|", flush=True)
    passed, imported = False, cost("-c", "import tensorflow").seconds
    print(f"| import tensorflow | | | {imported:.1f} | | |", flush=True)
    outputs = {to: work / ("model.keras" if to == "keras" else to) for to in FORMATS}
    for command in SECONDS:
        for to, output in outputs.items():
            words = {
                "convert to": ["convert", "--input", work / "source", "--output", output, "--to", to],
                "convert from": ["convert", "--input", output, "--output", work / "again", "--to", "safetensors"],
                "inspect": ["inspect", output],
            }
            found = cost("-m", "electra_tf", *words[command])
            aside = imported if to == "keras" and command != "inspect" else 0.0
            over = found.seconds - aside > SECONDS[command] or found.gigabytes > GIGABYTES.get(command, float("inf"))
            passed |= over
            columns = [command, to, f"{size(output):.0f}", f"{found.seconds:.1f}", f"{found.gigabytes:.2f}"]
            print(f"| {' | '.join(columns)} | {'over the limit' if over else ''} |", flush=True)
    print("limits: 10 s (of .keras, without TensorFlow's import) and 2.5 GB to convert, 1 s to inspect")
    sys.exit(1 if passed else 0)


if __name__ == "__main__":
    main()
