"""The two elementary operations of every block: an affine map of the last axis and layer normalisation."""

import math

import keras
from keras import ops


def gelu(x):
    """`x P(X <= x)` for a normal X, as BERT's authors and PyTorch compute it: by `erf`. TensorFlow's own takes `erfc`,
    which ONNX does not have; LiteRT knows the whole by this order of products. In float32, since `1 + erf` of a
    bfloat16 would lose the negative tail.
    """
    x32 = ops.cast(x, "float32")
    return ops.cast(0.5 * x32 * (1.0 + ops.erf(x32 * math.sqrt(0.5))), x.dtype)


ACTIVATIONS = {
    "gelu": gelu,
    "gelu_new": lambda x: ops.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
    "silu": ops.silu,
    "swish": ops.silu,
    "tanh": ops.tanh,
}


def truncated_normal(stddev: float):
    """The initialiser of BERT's family: redrawn beyond two standard deviations."""
    return keras.initializers.TruncatedNormal(stddev=stddev)


@keras.saving.register_keras_serializable("electra_tf")
class Dense(keras.layers.Layer):
    """`activation(x @ kernel + bias)` over the last axis; all other axes are flattened into one product.

    Args:
        inputs, units: sizes of the last axis before and after.
        activation: a name in `ACTIVATIONS`, or None.
        initializer: of the kernel `[inputs, units]`; the bias starts at zero.
    """

    def __init__(self, inputs: int, units: int, activation=None, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.inputs, self.units, self.activation = inputs, units, activation
        self.activate = ACTIVATIONS[activation] if activation else None
        self.initializer = keras.initializers.get(initializer)
        self.kernel = self.add_weight(name="kernel", shape=(inputs, units), initializer=self.initializer)
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self.built = True

    def call(self, x):
        shape = ops.shape(x)
        y = self.finish(ops.matmul(ops.reshape(x, (-1, self.inputs)), self.kernel), self.bias)
        return ops.reshape(y, (*shape[:-1], self.units))

    def finish(self, product, bias):
        """`activation(product + bias)`."""
        return self.activate(product + bias) if self.activate else product + bias

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        config = {"inputs": self.inputs, "units": self.units, "activation": self.activation}
        return {**super().get_config(), **config, "initializer": initializer}


@keras.saving.register_keras_serializable("electra_tf")
class Matrix(keras.layers.Layer):
    """`x @ kernel`: a `Dense` without bias and activation."""

    def __init__(self, inputs: int, units: int, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.inputs, self.units, self.initializer = inputs, units, keras.initializers.get(initializer)
        self.kernel = self.add_weight(name="kernel", shape=(inputs, units), initializer=self.initializer)
        self.built = True

    def call(self, x):
        return ops.matmul(x, self.kernel)

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "inputs": self.inputs, "units": self.units, "initializer": initializer}


@keras.saving.register_keras_serializable("electra_tf")
class LayerNorm(keras.layers.Layer):
    """Layer normalisation of the last axis, computed in float32 whatever the dtype policy.

    Args:
        size: of the last axis.
        epsilon: added to the variance; the whole family uses 1e-12.
    """

    def __init__(self, size: int, epsilon: float = 1e-12, **kwargs):
        super().__init__(**kwargs)
        self.size, self.epsilon = size, epsilon
        self.gamma = self.add_weight(name="gamma", shape=(size,), initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=(size,), initializer="zeros", autocast=False)
        self.built = True

    def call(self, x):
        return self.normalise(x, self.gamma, self.beta)

    def normalise(self, x, gamma, beta):
        """The same with weights that are given."""
        x = ops.cast(x, "float32")
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        y = centred * ops.rsqrt(variance + self.epsilon) * gamma + beta
        return ops.cast(y, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "epsilon": self.epsilon}
