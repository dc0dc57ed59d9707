"""Replays a trajectory recorded from Google's ELECTRA code with the product's own step.

    python tests/replay_golden.py FOLDER [--compilers eager,graph,islands,xla] [--devices 1,2]

FOLDER holds config.json, initial.ckpt, final.ckpt (TF-V1) and steps.npz. Starting from initial.ckpt, the recorded
masks and samples are fed to `training.step.Step`; the largest differences from the recording are printed, and the
exit status is 1 when one exceeds its limit. Row-sparse gradients are made dense before clipping here, as on TPUs in
the original, so a folder in which that matters is compared with its `onehot_*` arrays, in losses and norms only.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from electra_tf.conversion.names import joint_tensors
from electra_tf.conversion.tf1 import read_tf1
from electra_tf.conversion.translation import translate
from electra_tf.models.config import EncoderConfig
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.electra import Draw, Electra, ElectraConfig, SpecialIds
from electra_tf.pretraining.masking import Masked
from electra_tf.training.step import Step, sum_over_replicas
from electra_tf.training.strategy import make_strategy

# Limits of the recording's README: (at step 0, over the whole run).
DENSE = {
    "losses, relative": (1e-6, 2e-6),
    "logits": (5e-6, 3e-5),
    "gradient norm, relative": (2e-6, 1e-4),
    "learning rate, relative": (1e-6, 1e-6),
    "labels": (0, 0),
}
# Where the norm of single steps is ill-conditioned: initial weights changed by one unit in the last place move it by up
# to 2.4e-3 and the losses by up to 6.6e-6 (8 seeds, graph, one device). The median over the steps stays strict.
SPARSE = {**DENSE, "losses, relative": (1e-6, 1e-5), "gradient norm, relative": (2e-6, 5e-3)}
MEDIAN_NORM = 1e-4
FINAL = {"final weights": 5e-6, "final key biases": 3e-5, "final Adam slots, relative": 1e-4}


def logical_devices(count: int) -> None:
    """Makes `count` logical CPU devices; must come before TensorFlow's first operation."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


class Recording:
    """The folder's arrays and settings, in the product's terms."""

    def __init__(self, folder):
        self.folder = Path(folder)
        try:
            self.config = json.loads((self.folder / "config.json").read_text())
        except (OSError, ValueError) as error:
            sys.exit(f"{self.folder}: no recorded trajectory: config.json cannot be read ({error})")
        flags = self.flags = self.config.get("flags", {})
        others = ("uniform_generator", "two_tower_generator", "electric_objective")
        if not flags.get("electra_objective") or not flags.get("untied_generator") or any(map(flags.get, others)):
            sys.exit(f"{self.folder}: only ELECTRA with a generator of its own can be replayed")
        with np.load(self.folder / "steps.npz") as arrays:
            self.arrays = dict(arrays)
        untied = flags["untied_generator_embeddings"]
        width = flags["embedding_size"] or self.config["bert_config"]["hidden_size"]
        generator = self.config["generator_bert_config"]
        generator_width = generator["hidden_size"] if untied else width
        self.electra = ElectraConfig(
            discriminator=EncoderConfig.from_dict({**self.config["bert_config"], "embedding_size": width}),
            generator=EncoderConfig.from_dict({**generator, "embedding_size": generator_width}),
            embedding_sharing="none" if untied else "all",
            mask_prob=flags["mask_prob"],
            max_predictions=self.arrays["masked_lm_positions"].shape[-1],
            mlm_weight=flags["gen_weight"],
            disc_weight=flags["disc_weight"],
            temperature=flags["temperature"],
            disallow_correct=flags["disallow_correct"],
        )
        ids = self.config["special_token_ids"]
        self.special_ids = SpecialIds(ids["[PAD]"], ids["[CLS]"], ids["[SEP]"], ids["[MASK]"])
        optimizer = self.config["optimizer"]
        self.rule = AdamW(
            beta_1=optimizer["beta_1"],
            beta_2=optimizer["beta_2"],
            epsilon=optimizer["epsilon"],
            bias_correction=optimizer["bias_correction"],
            weight_decay=flags["weight_decay_rate"],
            clip_norm=optimizer["clip_global_norm"],
        )
        warmup = max(flags["num_train_steps"] * flags.get("warmup_proportion", 0), flags["num_warmup_steps"])
        self.schedule = Schedule(
            "product",
            flags["learning_rate"],
            flags["num_train_steps"],
            warmup,
            flags["lr_decay_power"],
        )
        self.sparse = bool(self.config["variables_with_row_sparse_gradient"])

    def __len__(self):
        return len(self.arrays["total_loss"])

    def fed(self, step):
        """(batch, (Draw, corrupted ids)) of one step."""
        a = {name: tf.constant(array[step]) for name, array in self.arrays.items() if len(array) == len(self)}
        names = ("masked_input_ids", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
        masked = Masked(*(a[name] for name in names))
        batch = {name: a[name] for name in ("input_ids", "input_mask", "segment_ids")}
        return batch, (Draw(masked, tf.zeros_like(masked.weights)), a["corrupted_input_ids"])

    def checkpoint(self, name):
        """(weights, m, v) of `initial` or `final`, in our names."""
        saved = read_tf1(self.folder / f"{name}.ckpt")
        return saved.weights, saved.slots_m, saved.slots_v


def replay(recording: Recording, compiler: str, devices: int) -> list[tuple]:
    """Rows (quantity, difference at step 0, largest difference, limit at step 0, limit)."""
    strategy = make_strategy("mirrored", devices) if devices > 1 else make_strategy("one")
    with strategy.scope():
        model = Electra(recording.electra)
        step = Step(
            model,
            recording.rule,
            recording.schedule,
            recording.special_ids,
            run_seed=0,
            compiler=compiler,
            observe=lambda batch, drawn, outputs: outputs._asdict(),
        )
    initial, *_ = recording.checkpoint("initial")
    assert initial.keys() == step.weights.keys(), sorted(initial.keys() ^ step.weights.keys())
    for name, variable in step.weights.items():
        variable.assign(initial[name])

    def replica_step(batch, fed):
        gradients, outputs = step.gradients(batch, fed)
        gradients = sum_over_replicas(gradients)
        norm, rate = step.norms(gradients)["grad_norm"], step.schedule(step.step)
        step.apply_gradients(gradients)
        return outputs, norm, rate

    def run_eagerly(batch, fed):
        return strategy.run(replica_step, args=(batch, fed))

    run = run_eagerly if compiler == "eager" else tf.function(run_eagerly, autograph=False)
    worst, norms = {}, []
    for number in range(len(recording)):
        batch, fed = recording.fed(number)
        outputs, norm, rate = tf.nest.map_structure(strategy.experimental_local_results, run(batch, fed))
        compare(recording, number, outputs, norm[0], rate[0], worst)
        recorded = recording.arrays["onehot_grad_norm" if recording.sparse else "grad_norm"][number]
        norms.append(abs(float(norm[0]) / float(recorded) - 1))
    limits = SPARSE if recording.sparse else DENSE
    rows = [(name, *worst[name], *limits[name]) for name in limits]
    if recording.sparse:
        rows.append(("gradient norm, median", None, float(np.median(norms)), None, MEDIAN_NORM))
    if not recording.sparse:
        rows += compare_final(recording, step)
    return rows


def compare(recording, number, outputs, norm, rate, worst):
    """Adds one step's differences to `worst`: quantity -> [at step 0, largest]."""
    arrays = recording.arrays
    suffix = "onehot_" if recording.sparse else ""
    config = recording.electra
    mlm, disc = (float(sum(outputs[name])) for name in ("mlm_loss", "disc_loss"))
    joined = {name: np.concatenate([r.numpy() for r in parts]) for name, parts in outputs.items() if parts[0].ndim}

    def note(quantity, ours, theirs, relative=False):
        difference = np.abs(np.float64(ours) - np.float64(theirs))
        if relative:
            difference = difference / np.maximum(np.abs(theirs), 1e-30) * (difference > 0)
        value = float(np.max(difference))
        value = np.inf if np.isnan(value) else value
        first, largest = worst.get(quantity, (0.0, 0.0))
        worst[quantity] = (max(first, value) if number == 0 else first, max(largest, value))

    total = config.mlm_weight * mlm + config.disc_weight * disc
    note("losses, relative", total, arrays[f"{suffix}total_loss"][number], relative=True)
    note("gradient norm, relative", norm, arrays[f"{suffix}grad_norm"][number], relative=True)
    note("learning rate, relative", rate, arrays["learning_rate"][number], relative=True)
    note("labels", joined["replaced"], arrays["is_replaced"][number])
    if not recording.sparse or number == 0:
        note("losses, relative", mlm, arrays["mlm_loss"][number], relative=True)
        note("losses, relative", disc, arrays["disc_loss"][number], relative=True)
        note("logits", joined["disc_logits"], arrays["disc_logits"][number])
        weights = arrays["masked_lm_weights"][number]
        note("logits", joined["mlm_position_loss"] * weights, arrays["mlm_per_position_loss"][number] * weights)
    for at, name in ((0, "mlm_logits_first"), (len(recording) - 1, "mlm_logits_last")):
        if number == at and (at == 0 or not recording.sparse):
            note("logits", joined["mlm_logits"], arrays[name])


def compare_final(recording, step):
    """Rows of the final weights and Adam slots, compared variable by variable under the original's names."""
    weights, m, v = recording.checkpoint("final")
    table = joint_tensors(
        vars(recording.electra.discriminator),
        vars(recording.electra.generator),
        recording.electra.embedding_sharing,
    )
    theirs = [translate(tensors, table, "ours", "tf1") for tensors in (weights, m, v)]
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
                quantity, difference = "final Adam slots, relative", difference / float(np.abs(value).max())
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
    recording = Recording(options.folder)
    counts = [int(n) for n in options.devices.split(",")]
    if max(counts) > 1:
        logical_devices(max(counts))
    rows = recording.arrays["input_ids"].shape[1]
    if any(rows % count for count in counts):
        sys.exit(f"{options.folder}: its batches of {rows} rows cannot be split over --devices {options.devices}")
    good = True
    for devices in counts:
        for compiler in options.compilers.split(","):
            print(f"\n{recording.folder.name}, {len(recording)} steps, {compiler}, {devices} device(s)")
            good &= report(replay(recording, compiler, devices))
    print("\nall within the limits" if good else "\nNOT within the limits")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
