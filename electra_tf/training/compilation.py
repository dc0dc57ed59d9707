"""How a step is compiled: the one place to tune its speed.

`eager`    nothing is compiled (tests, debugging).
`graph`    one TensorFlow graph; kernels are not fused.
`islands`  a graph in which every block, the masked-LM head and the optimizer's formula are XLA programs. One program
           serves all blocks of a tower, since weights are arguments, so that it is compiled once and not per layer.
`xla`      loss and gradients are one XLA program; starts slowest.
"""

import keras
import tensorflow as tf

from electra_tf.errors import ConfigError

COMPILERS = ("eager", "graph", "islands", "xla")


def check_compiler(name: str) -> str:
    """`name`, or `ConfigError` where it is none of `COMPILERS`."""
    if name not in COMPILERS:
        raise ConfigError(f"the compiler choice is {name!r}", expected=f"auto, or one of {', '.join(COMPILERS)}")
    return name


def settle_graphs(name: str) -> None:
    """Leaves out TensorFlow's rewriting of graphs for islands, where it takes long and gains nothing."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": name == "islands"})


def island(function):
    """`function` as an XLA program of its own; its arguments and results are tensors."""
    return tf.function(function, jit_compile=True, autograph=False)


def compile_blocks(transformer) -> None:
    """Runs every block of `transformer` through one XLA program."""
    first = transformer.blocks[0]

    def program(training):
        return island(lambda values, x, mask, seed: _with_weights(first, values)(x, mask, training=training, seed=seed))

    programs = {training: program(training) for training in (False, True)}

    def call_block(block, x, mask, training, seed):
        return programs[bool(training)](_values(block), x, mask, seed)

    transformer.call_block = call_block


def compile_towers(model) -> None:
    """Runs the blocks of both towers and the masked-LM head of `model` (an `Electra`) as islands."""
    for encoder in (model.generator, model.discriminator):
        compile_blocks(encoder.transformer)
    head, predict, config = model.masked_lm, model.predict, model.config
    program = island(lambda values, *tensors: predict(_with_weights(head, values), *tensors, config))
    model.predict = lambda head, hidden, ids, numbers, config: program(_values(head), hidden, ids, numbers)


def _with_weights(layer, values):
    """`layer` as a function that reads `values` for its weights."""

    def call(*arguments, **keywords):
        with keras.StatelessScope(state_mapping=list(zip(layer.trainable_variables, values, strict=True))):
            return layer(*arguments, **keywords)

    return call


def _values(layer):
    return [tf.convert_to_tensor(v.value) for v in layer.trainable_variables]
