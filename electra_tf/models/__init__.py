"""Encoders, their configuration and the published family. Importing it registers everything with Keras."""

from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import Encoder, named_variables
from electra_tf.models.presets import preset
from electra_tf.models.task_models import (
    ConditionalQuestionAnswerer,
    FirstTokenClassifier,
    MaskedLanguageModel,
    MultipleChoice,
    PooledEncoder,
    QuestionAnswerer,
    ReplacedTokenDetector,
    SentenceOrderModel,
    SequenceClassifier,
    SpanAnswerer,
    TokenClassifier,
)

__all__ = [
    "ConditionalQuestionAnswerer",
    "Encoder",
    "EncoderConfig",
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
    "named_variables",
    "preset",
]
