"""Checkpoints of every format: recognised by content, read strictly, written whole.

Importing it loads neither Keras nor TensorFlow; reading a model does.
"""

from electra_tf.conversion.detect import recognise
from electra_tf.conversion.models import LoadedModel, pretrained
from electra_tf.conversion.reading import load_encoder, load_tower, read_model
from electra_tf.conversion.transformers_folder import read_folder, write_folder

__all__ = [
    "LoadedModel",
    "load_encoder",
    "load_tower",
    "pretrained",
    "read_folder",
    "read_model",
    "recognise",
    "write_folder",
]
