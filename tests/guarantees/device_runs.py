"""The same steps on one device, on two, and in four micro-batches, side by side; what each computed, as JSON.

    python device_runs.py DATA

Every way starts each step from the same state, draws masks and numbers itself, and is given the same corrupted input.
The last way makes a mistake: each replica divides by its own token counts, so that means are averaged.
"""

import argparse
import hashlib
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from small_run import MODEL, RECIPE

from electra_tf.data.reader import DataSet
from electra_tf.pretraining import electra
from electra_tf.training.recipe import Model, Recipe
from electra_tf.training.step import Step, sum_over_replicas
from electra_tf.training.strategy import make_strategy

STEPS = 6


class LocalStep(Step):
    """The mistake."""

    def normalisers(self, batch, drawn, replica, replicas):
        rows = batch["input_ids"].shape[0] // replicas
        own = tf.nest.map_structure(lambda x: x[replica * rows : (replica + 1) * rows], (batch, drawn))
        return electra.Normalisers(*(count * replicas for count in electra.normalisers(*own)))


class Way:
    """A step under a strategy."""

    def __init__(self, data, step_class, strategy, micro_batches):
        recipe, ids = Recipe(**RECIPE), data.manifest.tokenizer
        self.strategy = strategy
        keras.utils.set_random_seed(recipe.seed)
        with strategy.scope():
            self.step = step_class(
                electra.Electra(Model(**MODEL).electra_config(ids["vocabulary_size"])),
                recipe.optimizer(),
                recipe.learning_rates(),
                electra.SpecialIds(ids["pad_id"], ids["cls_id"], ids["sep_id"], ids["mask_id"]),
                recipe.seed,
                micro_batches=micro_batches,
                observe=observe,
            )
        step = self.step
        self.state = [step.step, *(v for group in (step.weights, step.m, step.v) for v in group.values())]
        self.initial = digest(v.numpy() for v in step.weights.values())
        self.run = tf.function(lambda *tensors: strategy.run(self._update, args=tensors), autograph=False)

    def snapshot(self):
        return [variable.numpy() for variable in self.state]

    def load(self, snapshot):
        for variable, value in zip(self.state, snapshot, strict=True):
            variable.assign(value)

    def __call__(self, batch, corrupted):
        """One step. Returns its losses, and what each replica drew and saw."""
        seen, drawn = tf.nest.map_structure(self.strategy.experimental_local_results, self.run(batch, corrupted))
        replicas = range(self.strategy.num_replicas_in_sync)
        return {
            "mlm_loss": float(sum(seen["mlm_loss"])),
            "disc_loss": float(sum(seen["disc_loss"])),
            "rows": [int(x) for x in seen["rows"]],
            "real_tokens": [int(x) for x in seen["real_tokens"]],
            "draws": [digest(parts[i].numpy() for parts in tensors_of(drawn)) for i in replicas],
        }

    def _update(self, batch, corrupted):
        drawn = self.step.draw(batch)
        gradients, seen = self.step.gradients(batch, (drawn, corrupted))
        self.step.apply_gradients(sum_over_replicas(gradients))
        return seen, drawn


def observe(batch, drawn, outputs):
    rows, real = tf.constant(batch["input_ids"].shape[0]), tf.reduce_sum(batch["input_mask"])
    return {"mlm_loss": outputs.mlm_loss, "disc_loss": outputs.disc_loss, "rows": rows, "real_tokens": real}


def tensors_of(drawn):
    return [*drawn.masked, drawn.numbers]


def digest(arrays):
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def uneven(batch):
    """Later rows are shorter, so that the halves of a batch have different numbers of real tokens."""
    rows, length = batch["input_ids"].shape
    kept = tf.cast(tf.linspace(float(length), length / 4, rows), tf.int32)
    keep = tf.cast(tf.range(length)[None, :] < kept[:, None], tf.int32)
    return {name: values * keep for name, values in batch.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    data = DataSet.open(parser.parse_args().data)
    two, one = make_strategy("mirrored", 2), make_strategy("one")
    ways = {
        "1 device": Way(data, Step, one, 1),
        "2 devices": Way(data, Step, two, 1),
        "4 micro-batches": Way(data, Step, one, 4),
        "2 devices, local normaliser": Way(data, LocalStep, two, 1),
    }
    first = ways["1 device"]
    found = {name: {"initial": way.initial, "steps": []} for name, way in ways.items()}
    found["eager draws"] = []
    snapshot = first.snapshot()
    batches = data.batches(RECIPE["batch_size"], seed=RECIPE["seed"])
    for number, batch in zip(range(STEPS), map(uneven, batches), strict=False):
        config, special_ids = first.step.model.config, first.step.special_ids
        drawn = electra.draw(batch, RECIPE["seed"], number, config, special_ids)
        found["eager draws"].append(digest(tensor.numpy() for tensor in tensors_of(drawn)))
        hidden = drawn.masked.input_ids == special_ids.mask
        corrupted = tf.where(hidden, tf.roll(batch["input_ids"], 1, axis=0), batch["input_ids"])
        for name, way in ways.items():
            way.load(snapshot)
            found[name]["steps"].append(way(batch, corrupted))
        snapshot = first.snapshot()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
