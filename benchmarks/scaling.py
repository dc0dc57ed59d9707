"""What data-parallel training of a preset costs on several GPUs: on paper, from what a step here is made of.

    python benchmarks/scaling.py                    # the table of docs/scaling.md
    python benchmarks/scaling.py --simulate         # counts the bytes that a step on 8 logical devices reduces
    python benchmarks/scaling.py --accumulation     # seconds of a step cut into 1, 2 and 4 micro-batches

Every replica holds all weights; after its backward pass a step adds up the gradients of all replicas, float32, by a
ring: each device sends and receives `2 (n - 1) / n` times their bytes. Nothing of this overlaps with computing, so that
a step takes the sum of both. The bandwidths and the peak are the makers' figures, of which SHARE is reached.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

PRESETS = ("electra_small", "electra_base", "electra_large", "albert_base_v2", "albert_xxlarge_v2")
LENGTHS = {"electra_small": 128}  # of the others 512
# (where, replicas, bytes a second in one direction of the ring's slowest link: between hosts the network of one).
LINKS = (
    ("8 GPUs, NVLink", 8, 450e9),
    ("8 GPUs, PCIe 4", 8, 32e9),
    ("4 hosts of 8, 400 Gb/s each", 32, 400e9 / 8),
    ("4 hosts of 8, 25 Gb/s each", 32, 25e9 / 8),
)
PEAK, SHARE = 495e12, 0.4  # FLOP/s of an H100's TF32 products without sparsity
MOST = 0.1  # of a step's time may be the reduction


def objective_of(name):
    """The preset's own objective, and the tokens of its rows."""
    from electra_tf.pretraining.electra import ReplacedTokenDetection
    from electra_tf.pretraining.masked_lm import MaskedLanguageModelling
    from electra_tf.pretraining.masking import Masking
    from electra_tf.pretraining.settings import Electra, MaskedLM
    from electra_tf.pretraining.tokens import Tokens

    size = 30_000 if name.startswith("albert") else 30_522
    tokens = Tokens(0, 1, 2, 3, 4, size, np.ones(size, bool))
    if name.startswith("albert"):
        return MaskedLanguageModelling(MaskedLM(name), Masking(), tokens, 1000)
    return ReplacedTokenDetection(Electra(name), Masking(), tokens, 1000)


def reduced_bytes(objective) -> int:
    """Of one step's gradients, float32."""
    return sum(4 * int(np.prod(w.shape)) for n, w in objective.weights.items() if objective.group(n).rate)


def on_paper():
    links = " | ".join(where for where, *_ in LINKS)
    print(f"| preset, tokens a row | reduced a step, MB | {links} |\n|---|---|{'---|' * len(LINKS)}")
    for name in PRESETS:
        objective, length = objective_of(name), LENGTHS.get(name, 512)
        size, row = reduced_bytes(objective), objective.flops(1, length) / (PEAK * SHARE)
        cells = []
        for _, replicas, bandwidth in LINKS:
            seconds = 2 * (replicas - 1) / replicas * size / (bandwidth * SHARE)
            rows = -(-seconds * (1 - MOST) / MOST // row)
            cells.append(f"{seconds * 1e3:,.1f} ms, {rows:,.0f} rows")
        print(f"| {name}, {length} | {size / 1e6:,.0f} | {' | '.join(cells)} |", flush=True)


def step_of(name, rows, micro_batches=1):
    """(the step, a batch) of a preset."""
    import tensorflow as tf

    from electra_tf.optimizers.adamw import AdamW
    from electra_tf.optimizers.schedules import Schedule
    from electra_tf.training.step import Step

    step = Step(objective_of(name), AdamW(), Schedule(), 1000, 0, "islands", micro_batches)
    ids = np.random.default_rng(0).integers(1000, 30_000, (rows, 128))
    batch = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    return step, {name: tf.constant(values, tf.int32) for name, values in batch.items()}


def simulate():
    """Prints what a step of electra_tiny on 8 logical devices gives to be added up, and what the table says."""
    import tensorflow as tf

    from electra_tf.training import step as step_module
    from electra_tf.training.devices import make_strategy, use_threads

    use_threads(2)
    strategy, add, given = make_strategy("mirrored", 8), step_module.sum_over_replicas, []

    def counted(tensors):
        given.append(sum(4 * int(np.prod(tensor.shape)) for tensor in tf.nest.flatten(tensors)))
        return add(tensors)

    step_module.sum_over_replicas = counted
    with strategy.scope():
        step, batch = step_of("electra_tiny", 16)
    tf.function(lambda: strategy.run(step, args=(batch,)), autograph=False)()
    sizes = ", ".join(f"{size:,}" for size in sorted(set(given)))
    print(f"{len(given)} replicas give {sizes} bytes each, what the step measured included")
    print(f"gradients on paper: {reduced_bytes(step.objective):,} bytes")


def accumulated(micro_batches):
    """Seconds of a step of electra_tiny, 32 rows in so many parts, the median of 15."""
    import tensorflow as tf

    from electra_tf.training.devices import use_threads

    use_threads(2)
    step, batch = step_of("electra_tiny", 32, micro_batches)
    run, seconds = tf.function(lambda: step(batch), autograph=False), []
    for _ in range(17):
        began = time.perf_counter()
        float(run()["grad_norm"])
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[2:])


def accumulation(rounds):
    from electra_tf.startup import TUNABLES

    seconds = {parts: [] for parts in (1, 2, 4)}
    for _ in range(rounds):
        for parts, found in seconds.items():
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "GLIBC_TUNABLES": TUNABLES}
            command = [sys.executable, __file__, "--parts", str(parts)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found.append(json.loads(done.stdout))
    for parts, found in seconds.items():
        ratio = statistics.median(b / a for a, b in zip(seconds[1], found, strict=True))
        print(f"{parts} micro-batches: {statistics.median(found):.3f} s a step, {ratio:.2f} times one")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--accumulation", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", type=int)
    options = parser.parse_args()
    if options.parts:
        print(accumulated(options.parts))
    elif options.simulate:
        simulate()
    elif options.accumulation:
        accumulation(options.rounds)
    else:
        on_paper()


if __name__ == "__main__":
    main()
