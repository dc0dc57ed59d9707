"""The same steps on one device, on two, and in four micro-batches, side by side; what each computed, as JSON.

    python device_runs.py DATA

Every way starts each step from the state of the first, with the same corrupted input; each draws its masks and
numbers itself. The last way divides by the token counts of a replica instead of the global ones.
"""

import argparse
import hashlib
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from small_run import MODEL, RECIPE, SIZES

from electra_tf.data.reader import DataSet
from electra_tf.pretraining.electra import Electra, SpecialIds, normalisers
from electra_tf.training.recipe import Model, Recipe
from electra_tf.training.step import Step, sum_over_replicas
from electra_tf.training.strategy import make_strategy

STEPS = 5
FIELDS = ("mlm_loss", "disc_loss", "rows", "real_tokens", "corrupted")


class LocalStep(Step):
    """The mistake: every replica divides by what it sees."""

    def normalisers(self, batch, drawn, replica, replicas):
        rows = batch["input_ids"].shape[0] // replicas
        first = replica * rows
        own = tf.nest.map_structure(lambda x: x[first : first + rows], (batch, drawn))
        return normalisers(*own)


class Way:
    """A step under a strategy, with the weights it begins with."""

    def __init__(self, data, step_class, strategy, micro_batches):
        recipe, ids = Recipe(**RECIPE), data.manifest.tokenizer
        model = Model(**{**MODEL, "generator_depth": 1.0, "discriminator": {**SIZES, "num_hidden_layers": 1}})
        special_ids = SpecialIds(ids["pad_id"], ids["cls_id"], ids["sep_id"], ids["mask_id"])
        keras.utils.set_random_seed(recipe.seed)
        self.strategy = strategy
        with strategy.scope():
            self.step = Step(
                Electra(model.electra_config(ids["vocabulary_size"])),
                recipe.optimizer(),
                recipe.learning_rates(),
                special_ids,
                recipe.seed,
                micro_batches=micro_batches,
                observe=observe,
            )
            self.step.__class__ = step_class
        self.initial = digest(self.step.weights)
        self.draw = self._on_replicas(self.step.draw)
        self.run = self._on_replicas(self._update)

    def state(self):
        groups = {"weights": self.step.weights, "m": self.step.m, "v": self.step.v}
        return {f"{group}/{name}": v for group, those in groups.items() for name, v in those.items()}

    def copy(self, other):
        for name, variable in self.state().items():
            variable.assign(other.state()[name].numpy())
        self.step.step.assign(other.step.step.numpy())

    def _update(self, batch, drawn, corrupted):
        gradients, observed = self.step.gradients(batch, (drawn, corrupted))
        gradients = sum_over_replicas(gradients)
        self.step.apply_gradients(gradients)
        return observed

    def _on_replicas(self, function):
        graph = tf.function(lambda *tensors: self.strategy.run(function, args=tensors), autograph=False)
        return lambda *tensors: self.strategy.experimental_local_results(graph(*tensors))


def observe(batch, drawn, outputs):
    real = tf.reduce_sum(batch["input_mask"])
    return {
        "mlm_loss": outputs.mlm_loss,
        "disc_loss": outputs.disc_loss,
        "rows": tf.constant(batch["input_ids"].shape[0]),
        "real_tokens": real,
    }


def digest(tensors):
    flat = tf.nest.flatten(tensors)
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in flat)).hexdigest()


def uneven(batch):
    """Later rows are shorter, so that the two halves of a batch have different numbers of real tokens."""
    rows, length = batch["input_ids"].shape
    kept = tf.cast(tf.linspace(float(length), length / 4, rows), tf.int32)
    keep = tf.cast(tf.range(length)[None, :] < kept[:, None], tf.int32)
    return {name: values * keep for name, values in batch.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    data = DataSet.open(parser.parse_args().data)
    two = make_strategy("mirrored", 2)
    one = make_strategy("one")
    ways = {
        "1 device": Way(data, Step, one, 1),
        "2 devices": Way(data, Step, two, 1),
        "4 micro-batches": Way(data, Step, one, 4),
        "2 devices, local normaliser": Way(data, LocalStep, two, 1),
    }
    first = ways["1 device"]
    found = {name: {"initial": way.initial, "draws": [], "steps": []} for name, way in ways.items()}
    for _, batch in zip(range(STEPS), data.batches(RECIPE["batch_size"], seed=7), strict=False):
        batch = uneven(batch)
        drawn = first.draw(batch)[0]
        # What stands in the masked places does not matter here, only that it is the same everywhere.
        corrupted = tf.where(drawn.masked.input_ids == first.step.special_ids.mask, 77, batch["input_ids"])
        for name, way in ways.items():
            if way is not first:
                way.copy(before) if way.step.step.numpy() else None
    print(json.dumps(found))


if __name__ == "__main__":
    main()
