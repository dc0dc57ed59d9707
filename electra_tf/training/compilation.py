"""How a step is compiled: the one place to tune its speed.

`eager`    nothing is compiled (tests, debugging).
`graph`    TensorFlow graphs; kernels are not fused, but for dropout, which hashes in a dozen operations, and the
           optimizer's formula, which are XLA programs. All blocks of an encoder are calls of one graph, since weights
           are arguments, so that it is traced once and not per layer.
`islands`  the same, but every block and an objective's costly parts are XLA programs; of blocks, again one.
`xla`      loss and gradients are one XLA program; starts slowest.
"""

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


def subgraph(function):
    """`function` as a graph of its own, which stays a call where it is used; lengths may vary."""
    apart = {"_noinline": True}
    return tf.function(function, autograph=False, reduce_retracing=True, experimental_attributes=apart)


def island(function, layer):
    """`function(layer, *tensors)` as an XLA program that takes the tensors; the layer's weights are arguments too."""
    compiled = program(lambda values, *tensors: function(_with_weights(layer, values), *tensors))
    return lambda *tensors: compiled(_values(layer), *tensors)


def compile_blocks(transformer, compiled) -> None:
    """Runs every block of `transformer` through one `program` or `subgraph`."""
    first = transformer.blocks[0]

    def block_program(training):
        return compiled(
            lambda values, x, mask, seed: _with_weights(first, values)(x, mask, training=training, seed=seed)
        )

    programs = {training: block_program(training) for training in (False, True)}

    def call_block(block, x, mask, training, seed):
        return programs[bool(training)](_values(block), x, mask, seed)

    transformer.call_block = call_block


def compile_objective(objective, name: str) -> None:
    """Runs the blocks of every encoder of `objective`, every dropout and, as islands, what else it names."""
    if name not in ("graph", "islands"):
        return
    compiled_drop = program(drop)
    for layer in objective.model._flatten_layers():
        if isinstance(layer, Transformer):
            compile_blocks(layer, program if name == "islands" else subgraph)
        elif isinstance(layer, Dropout):
            layer.drop = compiled_drop
    if name == "islands":
        objective.compile(island)


def _with_weights(layer, values):
    """`layer` as a function that reads `values` for its weights."""

    def call(*arguments, **keywords):
        with keras.StatelessScope(state_mapping=list(zip(layer.trainable_variables, values, strict=True))):
            return layer(*arguments, **keywords)

    return call


def _values(layer):
    return [tf.convert_to_tensor(v.value) for v in layer.trainable_variables]
