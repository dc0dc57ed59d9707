"""Small, strong text encoders: pre-train, fine-tune and convert ELECTRA and ALBERT.

Names are loaded when first used, so that importing the package costs next to nothing.
"""

import os
import sys
from importlib import import_module

from electra_tf.version import __version__

# Products by oneDNN, which TensorFlow takes by itself only on the newest processors; it looks when it is imported.
if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_HOME = {
    "Encoder": "models.encoder",
    "EncoderConfig": "models.config",
    "load_model": "checkpoints.reading",
    "load_encoder": "checkpoints.reading",
    "load_tokenizer": "checkpoints.reading",
    "convert": "checkpoints.convert",
    "preset": "models.presets",
    "Tokenizer": "text.tokenizer",
    "train_vocabulary": "text.wordpiece_vocabulary",
    "build_data": "data.builder",
    "DataSet": "data.reader",
    "pretrain": "pretraining.run",
    "finetune": "finetuning.run",
    "FineTuning": "finetuning.settings",
    "predict": "finetuning.averaging",
    "Predictor": "finetuning.predictor",
    "ElectraTFError": "errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(f"electra_tf.{_HOME[name]}"), name)
    raise AttributeError(f"module 'electra_tf' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
