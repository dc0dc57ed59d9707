"""Encoders, their configuration and the published family. Importing it registers everything with Keras."""

from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import Encoder, load_model, named_variables
from electra_tf.models.presets import preset
from electra_tf.models.task_models import (
    ConditionalQuestionAnswerer,
    MaskedLanguageModel,
    MultipleChoice,
    PooledEncoder,
    QuestionAnswerer,
    ReplacedTokenDetector,
    SentenceOrderModel,
    SequenceClassifier,
    TokenClassifier,
)

__all__ = [
    "ConditionalQuestionAnswerer",
    "Encoder",
    "EncoderConfig",
    "MaskedLanguageModel",
    "MultipleChoice",
    "PooledEncoder",
    "QuestionAnswerer",
    "ReplacedTokenDetector",
    "SentenceOrderModel",
    "SequenceClassifier",
    "TokenClassifier",
    "load_model",
    "named_variables",
    "preset",
]
