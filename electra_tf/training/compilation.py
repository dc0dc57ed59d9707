"""How a step is compiled: the one place to tune its speed.

`eager`    nothing is compiled (tests, debugging).
`graph`    TensorFlow graphs; all blocks of an encoder are calls of one graph, since weights are arguments, so that it
           is traced once and not per layer.
`islands`  the same, but what lies between the dense products is XLA programs: a block's attention, activation and
           dropout (which hashes in a dozen operations), an objective's costly parts, the optimizer's formula.
`xla`      loss and gradients are one XLA program; starts slowest.
"""

import os

import keras
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.layers.dropout import Dropout, drop
from electra_tf.layers.transformer import Transformer

COMPILERS = ("eager", "graph", "islands", "xla")


def check_compiler(name: str) -> str:
    """`name`, or `ConfigError` where it is none of `COMPILERS`."""
    if name not in COMPILERS:
        raise ConfigError(
            f"the compiler choice is {name!r}",
            where="Recipe.compiler",
            expected=f"auto, or one of {', '.join(COMPILERS)}",
        )
    return name


def settle_graphs(name: str) -> None:
    """Leaves out TensorFlow's rewriting of graphs: one then computes what is computed eagerly, and starts sooner."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": name in ("graph", "islands")})


def program(function):
    """`function` as an XLA program of its own; its arguments and results are tensors."""
    return tf.function(function, jit_compile=True, autograph=False)


def hush_xla() -> None:
    """Compiles a trivial program while standard error leads to nowhere: the first one of a process says that it was
    compiled, among what a run says, and no setting of TensorFlow keeps it from that.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        program(lambda: tf.zeros([]))()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def island(function, layer):
    """`function(layer, *tensors)` as an XLA program that takes the tensors; the layer's weights are arguments too."""
    compiled = program(lambda values, *tensors: function(_with_weights(layer, values), *tensors))
    return lambda *tensors: compiled(_values(layer), *tensors)


def compile_blocks(transformer) -> None:
    """Runs every block of `transformer` through one graph, which stays a call where it is used; lengths may vary."""
    first, apart = transformer.blocks[0], {"_noinline": True}

    def graph(training):
        def of_weights(values, x, mask, seed):
            return _with_weights(first, values)(x, mask, training=training, seed=seed)

        return tf.function(of_weights, autograph=False, reduce_retracing=True, experimental_attributes=apart)

    graphs = {training: graph(training) for training in (False, True)}

    def call_block(block, x, mask, training, seed):
        return graphs[bool(training)](_values(block), x, mask, seed)

    transformer.call_block = call_block


def compile_between_products(block) -> None:
    """Makes programs of what `block` computes between its dense products, where it has no weights."""
    attention, intermediate = block.attention, block.feed_forward.intermediate
    attention.attend = program(attention.attend)
    intermediate.activate = program(intermediate.activate)


def compile_objective(objective, name: str) -> None:
    """Compiles the encoders of `objective` and, as islands, every dropout and what else it names."""
    if name not in ("graph", "islands"):
        return
    layers = list(objective.model._flatten_layers())
    transformers = [layer for layer in layers if isinstance(layer, Transformer)]
    for transformer in transformers:
        compile_blocks(transformer)
    if name == "islands":
        compiled_drop = program(drop)
        for transformer in transformers:
            compile_between_products(transformer.blocks[0])
        for dropout in (layer for layer in layers if isinstance(layer, Dropout)):
            dropout.drop = compiled_drop
        objective.compile(island)


def _with_weights(layer, values):
    """`layer` as a function that reads `values` for its weights."""

    def call(*arguments, **keywords):
        with keras.StatelessScope(state_mapping=list(zip(layer.trainable_variables, values, strict=True))):
            return layer(*arguments, **keywords)

    return call


def _values(layer):
    return [tf.convert_to_tensor(v.value) for v in layer.trainable_variables]
