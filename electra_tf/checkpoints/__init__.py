"""Checkpoints of every format: recognised by content, read strictly, written whole.

Importing it loads neither Keras nor TensorFlow; reading a model does.
"""

from electra_tf.checkpoints.format_detection import recognise
from electra_tf.checkpoints.loaded_model import LoadedModel, pretrained
from electra_tf.checkpoints.reading import load_encoder, load_model, load_tokenizer, load_tower, read_model
from electra_tf.checkpoints.transformers_folder import read_folder, write_folder

__all__ = [
    "LoadedModel",
    "load_encoder",
    "load_model",
    "load_tokenizer",
    "load_tower",
    "pretrained",
    "read_folder",
    "read_model",
    "recognise",
    "write_folder",
]
