"""Encoders and heads that are trained together, as one layer: their weights by name, and nothing else."""

from collections.abc import Mapping

import keras


class Parts(keras.layers.Layer):
    """Holds `layers`, each as an attribute of its name, in their order; what they compute is the objective's affair."""

    def __init__(self, layers: Mapping[str, keras.layers.Layer]):
        super().__init__(name="parts")
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.built = True
