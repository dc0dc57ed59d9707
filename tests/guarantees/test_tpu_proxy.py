"""What can be said of TPUs without one: the whole step compiles as one XLA program, and computes the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_run import MODEL, RECIPE

from electra_tf.data.reader import DataSet
from electra_tf.pretraining.electra import Electra, SpecialIds
from electra_tf.training.recipe import Model, Recipe
from electra_tf.training.step import Step

STEPS = 3


def _step(data):
    recipe, ids = Recipe(**RECIPE), data.manifest.tokenizer
    special_ids = SpecialIds(ids["pad_id"], ids["cls_id"], ids["sep_id"], ids["mask_id"])
    keras.utils.set_random_seed(recipe.seed)
    towers = Electra(Model(**MODEL).electra_config(ids["vocabulary_size"]))
    return Step(towers, recipe.optimizer(), recipe.learning_rates(), special_ids, recipe.seed, "graph")


@pytest.mark.slow
def test_the_whole_step_is_one_xla_program_that_computes_what_the_graph_does(quick_data):
    data = DataSet.open(quick_data)
    steps = [_step(data), _step(data)]
    graph = tf.function(steps[0], autograph=False)
    whole = tf.function(steps[1], autograph=False, jit_compile=True)
    for _, batch in zip(range(STEPS), data.batches(RECIPE["batch_size"], seed=0), strict=False):
        usual, compiled = graph(batch), whole(batch)
        for name in ("mlm_loss", "disc_loss", "grad_norm"):
            np.testing.assert_allclose(compiled[name], usual[name], rtol=1e-5, err_msg=name)
    assert int(steps[1].step) == STEPS
    for name, weight in steps[1].weights.items():
        np.testing.assert_allclose(weight, steps[0].weights[name], atol=1e-5, err_msg=name)
