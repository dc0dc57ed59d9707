"""Encoders, their configuration and the published family.

Names are loaded when first used: configurations and presets need no Keras. `task_models` registers every class with it.
"""

from importlib import import_module

_HOME = {"EncoderConfig": "config", "preset": "presets", "Encoder": "encoder", "named_variables": "encoder"}
_HOME |= dict.fromkeys(
    (
        "ConditionalQuestionAnswerer",
        "FirstTokenClassifier",
        "MaskedLanguageModel",
        "MultipleChoice",
        "PooledEncoder",
        "QuestionAnswerer",
        "ReplacedTokenDetector",
        "SentenceOrderModel",
        "SequenceClassifier",
        "SpanAnswerer",
        "TokenClassifier",
    ),
    "task_models",
)

__all__ = [*_HOME]


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(f"electra_tf.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'electra_tf.models' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
