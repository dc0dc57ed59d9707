"""How a step is compiled: the one place to tune its speed.

`eager`    nothing is compiled (tests, debugging).
`graph`    TensorFlow graphs; all blocks of an encoder are calls of one graph, since weights are arguments, so that it
           is traced once and not per layer.
`islands`  the same, but what lies between the products is XLA programs: within a block (`fast_block`), every dropout
           (which hashes in a dozen operations), an objective's costly parts, the optimizer's formula.
`xla`      loss and gradients are one XLA program; starts slowest.
"""

import itertools

import keras
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.layers.dropout import Dropout, drop
from electra_tf.layers.transformer import Transformer
from electra_tf.training.fast_block import can_run, fast_block, is_ours
from electra_tf.training.programs import lean_program, program

COMPILERS = ("eager", "graph", "islands", "xla")
_STEPS_WORTH_COMPILING = 1000


def check_compiler(name: str) -> str:
    """`name`, or `ConfigError` where it is none of `COMPILERS`."""
    if name not in COMPILERS:
        raise ConfigError(
            f"the compiler choice is {name!r}",
            where="Recipe.compiler",
            expected=f"auto, or one of {', '.join(COMPILERS)}",
        )
    return name


def choose_compiler(steps) -> str:
    """A CPU gets islands, which start soonest; a GPU one program, in a long run; a TPU compiles the step by itself."""
    if tf.config.list_logical_devices("TPU"):
        return "graph"
    if tf.config.list_physical_devices("GPU") and steps >= _STEPS_WORTH_COMPILING:
        return "xla"
    return "islands"


def settle_graphs(name: str) -> None:
    """Leaves out TensorFlow's rewriting of graphs: one then computes what is computed eagerly, and starts sooner."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": name in ("graph", "islands")})


def compile_blocks(transformer, name: str) -> None:
    """Runs every block of `transformer` through one graph, which stays a call where it is used; lengths may vary.

    Where one is a user's own, all run as they are: a graph of the first would not be theirs.
    """
    if not all(map(is_ours, transformer.blocks)):
        return
    first, apart = transformer.blocks[0], {"_noinline": True}
    fast = name == "islands" and can_run(first)

    def graph(training, first_only):
        def plain(values, x, mask, seed):
            return _with_weights(first, values)(x, mask, training=training, seed=seed, first_only=first_only)

        of_weights = fast_block(first, training) if fast and not first_only else plain
        return tf.function(of_weights, autograph=False, reduce_retracing=True, experimental_attributes=apart)

    graphs = {key: graph(*key) for key in itertools.product((False, True), repeat=2)}

    def call_block(block, x, mask, training, seed, first_only):
        return graphs[bool(training), first_only](_values(block), x, mask, seed)

    transformer.call_block = call_block


def compile_objective(objective, name: str) -> None:
    """Compiles the encoders of `objective` and, as islands, every dropout and what else it names."""
    if name not in ("graph", "islands"):
        return
    layers = list(objective.model._flatten_layers())
    for transformer in (layer for layer in layers if isinstance(layer, Transformer)):
        compile_blocks(transformer, name)
    if name == "islands":
        compiled_drop = program(drop)
        for dropout in (layer for layer in layers if isinstance(layer, Dropout)):
            dropout.drop = compiled_drop
        objective.compile(lean_program)


def _with_weights(layer, values):
    """`layer` as a function that reads `values` for its weights."""

    def call(*arguments, **keywords):
        with keras.StatelessScope(state_mapping=list(zip(layer.trainable_variables, values, strict=True))):
            return layer(*arguments, **keywords)

    return call


def _values(layer):
    return [tf.convert_to_tensor(v.value) for v in layer.trainable_variables]
