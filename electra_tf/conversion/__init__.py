"""Checkpoints of every format: recognised by content, read strictly, written whole.

Importing it loads neither Keras nor TensorFlow; reading a model does.
"""

from electra_tf.conversion.detect import recognise
from electra_tf.conversion.towers import LoadedTower, load_encoder, load_tower
from electra_tf.conversion.transformers_folder import read_folder, write_folder

__all__ = ["LoadedTower", "load_encoder", "load_tower", "read_folder", "recognise", "write_folder"]
