"""Replays a trajectory recorded from Google's ELECTRA or ALBERT, of pre-training or fine-tuning, with our own step.

    python tests/replay_golden.py FOLDER [--compilers eager,graph,islands,xla] [--devices 1,2]

FOLDER holds config.json (for ALBERT also train.json), initial.ckpt, final.ckpt (TF-V1) and steps.npz; its flags tell
the objective. Of fine-tuning it holds config.json, head.npz and steps.npz, and encoder.ckpt lies one up. Starting from
the initial weights, the recorded masks and samples are fed to `training.step.Step`; the largest differences from the
recording are printed, and the exit status is 1 when one exceeds its limit.
"""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as `import electra_tf` has it, before TensorFlow

import numpy as np
import tensorflow as tf
from golden_recordings import FINAL, UNTIED, Recording, open_recording

from electra_tf.checkpoints.translation import translate
from electra_tf.training.devices import make_strategy
from electra_tf.training.step import Step, sum_over_replicas

MEDIAN_NORM = 1e-4


def logical_devices(count: int) -> None:
    """Makes `count` logical CPU devices; must come before TensorFlow's first operation."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def replay(recording: Recording, compiler: str, devices: int, way: str = "") -> list[tuple]:
    """Rows (quantity, difference at step 0, largest difference, limit at step 0, limit)."""
    strategy = make_strategy("mirrored", devices) if devices > 1 else make_strategy("one")
    with strategy.scope():
        objective = recording.build()
        objective.measure = recording.observe(objective)
        clip_norm = tf.Variable(1.0, trainable=False)
        step = Step(objective, recording.optimizer, recording.schedule, recording.steps, 0, compiler)
    (initial, *_), _ = recording.checkpoint("initial")
    assert initial.keys() == step.weights.keys(), sorted(initial.keys() ^ step.weights.keys())
    for name, variable in step.weights.items():
        variable.assign(initial[name])

    norms_of = step.norms
    if recording.clip_norm(0, way) is not None:
        step.norms = lambda gradients: {"grad_norm": tf.convert_to_tensor(clip_norm)}

    def replica_step(batch, drawn):
        gradients, outputs = step.gradients(batch, drawn)
        gradients = sum_over_replicas(gradients)
        norm, rate = norms_of(gradients)["grad_norm"], step.rate()
        step.apply_gradients(gradients)
        return outputs, norm, rate

    def run_eagerly(batch, drawn):
        return strategy.run(replica_step, args=(batch, drawn))

    run = run_eagerly if compiler == "eager" else tf.function(run_eagerly, autograph=False)
    worst, norms = {}, []
    for number in range(len(recording)):
        batch, drawn = recording.fed(number)
        if (recorded := recording.clip_norm(number, way)) is not None:
            clip_norm.assign(recorded)
        found = tf.nest.map_structure(strategy.experimental_local_results, run(batch, drawn))
        outputs = {name: _together(parts) for name, parts in found[0].items()}
        norm, rate = float(found[1][0]), float(found[2][0])
        for quantity, ours, theirs in recording.expected(number, outputs, way):
            _note(worst, quantity, number, ours, theirs)
        _note(worst, "gradient norm, relative", number, norm, recording.norm(number, way))
        for ours, theirs in recording.rates(step, rate, number):
            _note(worst, "learning rate, relative", number, ours, theirs)
        norms.append(abs(norm / float(recording.norm(number, way)) - 1))
    if way != "one_hot" or len(recording.ways) == 1:
        for quantity, ours, theirs in recording.predicted(objective):
            _note(worst, quantity, len(recording), ours, theirs)
    limits = recording.limits | ({"indices": (0, 0)} if "indices" in worst else {})
    rows = [(name, *worst[name], *limit) for name, limit in limits.items() if name in worst]
    if hasattr(recording, "final_rows"):
        return rows + (recording.final_rows(step) if way == recording.ways[0] else [])
    if recording.limits is UNTIED:
        rows.append(("gradient norm, median", None, float(np.median(norms)), None, MEDIAN_NORM))
    return rows if recording.sparse else rows + compare_final(recording, step)


def _together(parts):
    """What the replicas computed: shares of a loss added up, rows one after another."""
    arrays = [part.numpy() for part in parts]
    return np.concatenate(arrays) if arrays[0].ndim else float(sum(arrays))


def _note(worst, quantity, number, ours, theirs):
    """Adds a difference to `worst`: quantity -> (at step 0, largest)."""
    difference = np.abs(np.float64(ours) - np.float64(theirs))
    if quantity.endswith("relative"):
        difference = difference / np.maximum(np.abs(theirs), 1e-30) * (difference > 0)
    value = float(np.max(difference))
    value = np.inf if np.isnan(value) else value
    first, largest = worst.get(quantity, (0.0, 0.0))
    worst[quantity] = (max(first, value) if number == 0 else first, max(largest, value))


def compare_final(recording, step):
    """Rows of the final weights and slots, compared variable by variable under the original's names."""
    final, table = recording.checkpoint("final")
    theirs = [translate(tensors, table, "ours", "tf1") for tensors in final]
    ours = [
        translate({name: value.numpy() for name, value in state.items()}, table, "ours", "tf1")
        for state in (step.weights, step.m, step.v)
    ]
    worst = dict.fromkeys(FINAL, 0.0)
    for kind, (mine, recorded) in enumerate(zip(ours, theirs, strict=True)):
        for name, value in recorded.items():
            difference = float(np.abs(np.float64(mine[name]) - value).max())
            key_bias = name.endswith("self/key/bias")
            if kind == 0:
                quantity = "final key biases" if key_bias else "final weights"
            elif key_bias:
                continue  # its true gradient is zero: the slots hold rounding noise
            else:
                quantity, difference = "final slots, relative", difference / float(np.abs(value).max())
            worst[quantity] = max(worst[quantity], np.inf if np.isnan(difference) else difference)
    return [(quantity, None, value, None, FINAL[quantity]) for quantity, value in worst.items()]


def report(rows) -> bool:
    """Prints the rows; true when all are within their limits."""
    good = True
    print(f"{'quantity':28} {'step 0':>9} {'limit':>9} {'whole run':>10} {'limit':>9}")
    for name, first, largest, first_limit, limit in rows:
        within = largest <= limit and (first is None or first <= first_limit)
        good &= within
        first, first_limit = ("" if x is None else f"{x:.1e}" for x in (first, first_limit))
        verdict = "" if within else "  <-- exceeded"
        print(f"{name:28} {first:>9} {first_limit:>9} {largest:>10.1e} {limit:>9.0e}{verdict}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--compilers", default="eager,graph,islands,xla")
    parser.add_argument("--devices", default="1,2")
    options = parser.parse_args()
    recording = open_recording(options.folder)
    counts = [int(n) for n in options.devices.split(",")]
    if max(counts) > 1:
        logical_devices(max(counts))
    fitting = [count for count in counts if recording.rows % count == 0]
    if not fitting:
        sys.exit(f"{options.folder}: batches of {recording.rows} rows cannot be split over --devices {options.devices}")
    for count in set(counts) - set(fitting):
        print(
            f"{recording.folder.name}: batches of {recording.rows} rows cannot be split over {count} devices: left out"
        )
    good = True
    for devices in fitting:
        for compiler in options.compilers.split(","):
            for way in recording.ways:
                said = f", {way}" if way else ""
                print(f"\n{recording.folder.name}, {len(recording)} steps, {compiler}, {devices} device(s){said}")
                good &= report(replay(recording, compiler, devices, way))
    print("\nall within the limits" if good else "\nNOT within the limits")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
