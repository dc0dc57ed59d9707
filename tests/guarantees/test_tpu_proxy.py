"""What can be said of TPUs without one: the whole step compiles as one XLA program, and computes the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_run import settings

from electra_tf.data.reader import DataSet
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.tokens import Tokens
from electra_tf.training.step import Step

STEPS = 3


def _step(data):
    recipe, model, masking, schedule, optimizer = settings()
    keras.utils.set_random_seed(recipe.seed)
    objective = ReplacedTokenDetection(model, masking, Tokens.of(data.tokenizer), recipe.steps)
    return Step(objective, optimizer, schedule, recipe.steps, recipe.seed, "graph")


@pytest.mark.slow
def test_the_whole_step_is_one_xla_program_that_computes_what_the_graph_does(quick_data):
    data = DataSet.open(quick_data)
    steps = [_step(data), _step(data)]
    graph = tf.function(steps[0], autograph=False)
    whole = tf.function(steps[1], autograph=False, jit_compile=True)
    for _, batch in zip(range(STEPS), data.batches(8, seed=0), strict=False):
        usual, compiled = graph(batch), whole(batch)
        for name in ("mlm_loss", "disc_loss", "grad_norm"):
            np.testing.assert_allclose(compiled[name], usual[name], rtol=1e-5, err_msg=name)
    assert int(steps[1].finished) == STEPS
    for name, weight in steps[1].weights.items():
        np.testing.assert_allclose(weight, steps[0].weights[name], atol=1e-5, err_msg=name)
