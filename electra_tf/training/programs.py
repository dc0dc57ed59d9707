"""Functions of tensors as XLA programs of their own."""

import ctypes
import os
from contextlib import suppress

import tensorflow as tf


def program(function):
    """`function` as an XLA program; its arguments and results are tensors."""
    return tf.function(function, jit_compile=True, autograph=False)


def lean_program(function):
    """`function` as an XLA program, and its backward pass as another, which computes again from the arguments what it
    needs: cheap where elements are computed one by one, since what is slow there is memory.
    """
    forward = program(function)

    @program
    def backward(arguments, upstream):
        learned = _floats(arguments)
        with tf.GradientTape() as tape:
            tape.watch(learned)
            result = _floats(tf.nest.flatten(function(*arguments)))
        return tape.gradient(result, learned, upstream, unconnected_gradients="zero")

    @tf.custom_gradient
    def call(*arguments):
        result = forward(*arguments)

        def gradient(*upstream):
            gradients = iter(backward(arguments, _floats(upstream)))
            return [next(gradients) if x.dtype.is_floating else None for x in arguments]

        return result, gradient

    return call


def _floats(tensors):
    """Those that have a gradient."""
    return [x for x in tensors if x is not None and x.dtype.is_floating]


# `absl::SetMinLogLevel` as TensorFlow 2.20 has it.
_SET_LEAST, _FATAL = "_ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE", 3


def hush_xla() -> None:
    """Keeps two things out of what a run says, which no setting of TensorFlow does: the first program of a process says
    that it was compiled, so a trivial one is, while standard error leads to nowhere; and each kept program is read as
    text first, of which protobuf says that it is none.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(os.path.join(tf.sysconfig.get_lib(), "libtensorflow_framework.so.2"))
        getattr(library, _SET_LEAST)(_FATAL)
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
