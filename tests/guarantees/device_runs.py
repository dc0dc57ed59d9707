"""The same steps on one device, on two, and in four micro-batches, side by side; what each computed, as JSON.

    python device_runs.py DATA [--gin_file albert_tiny] [--settings '{"Recipe.seed": 1}'] [--mistake]
    python device_runs.py FOLDER --init_checkpoint RUN [--mistake]

DATA is pre-trained on; or every family of fine-tuning learns its files in FOLDER, as tests/finetuning/small_tasks.py
writes them. Every way starts each step from the same state and draws what is random itself; where tokens are sampled it
is given the same corrupted input, since a rounding could change a sample. With --mistake there is a way that makes one:
each replica divides by its own counts, so that means are averaged.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from small_run import settings

from electra_tf.finetuning.run import finetune
from electra_tf.finetuning.settings import FineTuning
from electra_tf.pretraining import electra
from electra_tf.pretraining.run import pretrain
from electra_tf.training.devices import make_strategy
from electra_tf.training.recipe import Recipe
from electra_tf.training.step import Step, sum_over_replicas

STEPS = 6


class Way:
    """A step under a strategy."""

    def __init__(self, plan, strategy, micro_batches=1, local=False):
        recipe = plan.recipe
        self.strategy = strategy
        keras.utils.set_random_seed(recipe.seed)
        with strategy.scope():
            self.objective = plan.build()
            self.step = Step(
                self.objective,
                plan.optimizer,
                plan.schedule,
                recipe.steps,
                recipe.seed,
                micro_batches=micro_batches,
                normalise_per_replica=local,
            )
        total = next(iter(self.objective.readings.metrics.values()))  # of the losses, by their names
        self.losses = getattr(total, "parts", ("task_loss",))
        measure = self.objective.measure
        self.objective.measure = lambda batch, drawn, outputs: {
            **{name: value for name, value in measure(batch, drawn, outputs).items() if name in self.losses},
            "rows": tf.constant(batch["input_ids"].shape[0]),
            "real_tokens": tf.reduce_sum(batch["input_mask"]),
        }
        step = self.step
        self.state = [step.finished, *(v for group in (step.weights, step.m, step.v) for v in group.values())]
        self.initial = digest(v.numpy() for v in step.weights.values())
        self.run = tf.function(lambda *tensors: strategy.run(self._update, args=tensors), autograph=False)

    def snapshot(self):
        return [variable.numpy() for variable in self.state]

    def load(self, snapshot):
        for variable, value in zip(self.state, snapshot, strict=True):
            variable.assign(value)

    def __call__(self, batch, corrupted):
        """One step. Returns its losses, and what each replica drew and saw."""
        results = self.run(batch, corrupted)
        seen, norm, drawn = tf.nest.map_structure(self.strategy.experimental_local_results, results)
        replicas = range(self.strategy.num_replicas_in_sync)
        return {
            "losses": {name: float(sum(seen[name])) for name in self.losses},
            "norm": float(norm[0]),
            "rows": [int(x) for x in seen["rows"]],
            "real_tokens": [int(x) for x in seen["real_tokens"]],
            "draws": [digest(parts[i].numpy() for parts in drawn) for i in replicas],
        }

    def _update(self, batch, corrupted):
        drawn = self.step.draw(batch)
        fed = drawn._replace(corrupted=corrupted) if corrupted is not None else drawn
        gradients, seen = self.step.gradients(batch, fed)
        gradients = sum_over_replicas(gradients)
        norm = self.step.norms(gradients)["grad_norm"]
        self.step.apply_gradients(gradients)
        # Also what is the batch's is each replica's own.
        return seen, norm, [tf.identity(tensor) for tensor in tensors_of(drawn)]


def tensors_of(drawn):
    return [tensor for tensor in tf.nest.flatten(drawn) if tensor is not None]


def digest(arrays):
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def uneven(batch):
    """Later rows are shorter, so that the halves of a batch have different numbers of real tokens."""
    rows, length = batch["input_ids"].shape
    kept = tf.cast(tf.linspace(float(length), length / 4, rows), tf.int32)
    keep = tf.cast(tf.range(length)[None, :] < kept[:, None], tf.int32)
    cut = ("input_ids", "input_mask", "segment_ids")
    return {name: values * keep if name in cut else values for name, values in batch.items()}


def plan_of(function, *arguments, **keywords):
    """The plan that `pretrain` or `finetune` would give to the loop."""
    plans, module = [], sys.modules[function.__module__]

    def take(plan, *_, **__):
        plans.append(plan)
        raise _Taken

    train, module.train = module.train, take
    try:
        function(*arguments, **keywords)
    except _Taken:
        return plans[0]
    finally:
        module.train = train


class _Taken(Exception):
    pass


def compare(plan, mistake) -> dict:
    """What every way computed: `initial` weights, and of each of the `steps` losses, rows, tokens and draws."""
    recipe = plan.recipe
    two, one = make_strategy("mirrored", 2), make_strategy("one")
    ways = {
        "1 device": Way(plan, one),
        "2 devices": Way(plan, two),
        "4 micro-batches": Way(plan, one, micro_batches=4),
    }
    if mistake:
        ways["2 devices, local normaliser"] = Way(plan, two, local=True)
    first = ways["1 device"]
    found = {name: {"initial": way.initial, "steps": []} for name, way in ways.items()}
    found["eager draws"] = []
    snapshot = first.snapshot()
    batches = plan.source.batches(recipe.batch_size, seed=recipe.seed)
    if recipe.objective != "finetuning":
        batches = map(uneven, batches)
    for number, batch in zip(range(STEPS), batches, strict=False):
        drawn, corrupted = first.objective.draw(batch, recipe.seed, number), None
        found["eager draws"].append(digest(tensor.numpy() for tensor in tensors_of(drawn)))
        if isinstance(drawn, electra.Draw):
            hidden = drawn.masked.input_ids == first.objective.tokens.mask
            corrupted = tf.where(hidden, tf.roll(batch["input_ids"], 1, axis=0), batch["input_ids"])
        for name, way in ways.items():
            way.load(snapshot)
            found[name]["steps"].append(way(batch, corrupted))
        snapshot = first.snapshot()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--gin_file")
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--init_checkpoint")
    parser.add_argument("--mistake", action="store_true")
    options = parser.parse_args()
    if options.init_checkpoint:
        found = {}
        for folder in sorted(options.data.iterdir()):
            train, dev = (str(next(folder.glob(f"{part}.*"))) for part in ("train", "dev"))
            asked = {"stride": 8, "question_length": 8} if folder.name == "span" else {}
            task = FineTuning(task=folder.name, train=train, dev=dev, length=32, **asked)
            task = dataclasses.replace(task, class_weights="balanced" if folder.name == "classification" else "none")
            recipe = Recipe(batch_size=16)
            plan = plan_of(finetune, task, folder / "run", options.init_checkpoint, recipe=recipe)
            found[folder.name] = compare(plan, options.mistake)
    else:
        recipe, chosen, masking, schedule, optimizer = settings(options.gin_file, options.settings)
        how = {"masking": masking, "schedule": schedule, "optimizer": optimizer}
        found = compare(plan_of(pretrain, options.data, "nowhere", chosen, recipe, **how), options.mistake)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
