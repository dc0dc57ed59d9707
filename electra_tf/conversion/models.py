"""A model of any class that transformers has for ELECTRA and ALBERT, with its weights under our names."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.names import ALBERT, ELECTRA, MODEL_CLASSES, PRETRAINING_HEADS, Tensor, model_tensors
from electra_tf.conversion.translation import tower_weights, translate
from electra_tf.errors import CheckpointError

if TYPE_CHECKING:
    import keras

    from electra_tf.models.config import EncoderConfig
    from electra_tf.models.encoder import Encoder

# Our Keras model by its head, in the order they are looked for; without any it is the encoder.
KERAS = {
    "sentence_order": "SentenceOrderModel",
    "masked_lm": "MaskedLanguageModel",
    "replaced_token": "ReplacedTokenDetector",
    "sequence_classifier": "SequenceClassifier",
    "token_classifier": "TokenClassifier",
    "question_answering": "QuestionAnswerer",
    "conditional_answers": "ConditionalQuestionAnswerer",
    "multiple_choice": "MultipleChoice",
    "pooler": "PooledEncoder",
}
_LABELLED = ("sequence_classifier", "token_classifier")


@dataclass(frozen=True)
class LoadedModel:
    """An encoder with its heads.

    Attributes:
        name: transformers' class, one of `names.MODEL_CLASSES`. There is none for an ALBERT with a head for replaced
            tokens, or Google's for SQuAD 2: these are an `AlbertModel` with that head beside it.
        config: of its encoder.
        weights: all of them under our names.
        heads: as in `names.ARCHITECTURES`; those of the class, where the checkpoint does not lack its pooler.
        num_labels: of its classifier, where it has one.
        tokenizer: where its tokenizer is, or None.
        fields: the content of `config.json`, where there was one.
        left_out: heads of the checkpoint that the class has not.
    """

    name: str
    config: "EncoderConfig"
    weights: dict[str, np.ndarray]
    heads: tuple[str, ...]
    num_labels: int = 2
    tokenizer: Path | None = None
    fields: dict = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def tower(self) -> str:
        """What the encoder is called in the names of its weights."""
        return MODEL_CLASSES[self.name].tower

    @property
    def is_labelled(self) -> bool:
        """Whether it has a classifier with a number of labels of its own."""
        return any(head in _LABELLED for head in self.heads)

    def table(self) -> list[Tensor]:
        """Every weight, with its names in each world."""
        fields = dataclasses.asdict(self.config) | {"num_labels": self.num_labels}
        return model_tensors(fields, self.tower, self.heads)

    def as_class(self, name: str) -> "LoadedModel":
        """This model as another class of transformers, heads that it does not have left out.

        Raises: `CheckpointError` where that class has a head that is not here.
        """
        wanted = MODEL_CLASSES.get(name)
        if wanted and name.endswith("Model") and "pooler" not in self.heads:
            wanted = wanted._replace(heads=())
        if wanted is None or wanted.model_type != self.config.model_type or set(wanted.heads) - set(self.heads):
            have = [n for n, c in MODEL_CLASSES.items() if c.model_type == self.config.model_type]
            have = [n for n in have if set(MODEL_CLASSES[n].heads) <= set(self.heads)]
            raise CheckpointError(
                f"the checkpoint cannot be a {name}: its heads are {', '.join(self.heads) or 'none'}",
                expected=f"one of {', '.join(have)}",
            )
        left_out = (*self.left_out, *(head for head in self.heads if head not in wanted.heads))
        model = dataclasses.replace(self, name=name, heads=wanted.heads, left_out=left_out)
        renamed = {
            f"{wanted.tower}/" + n.removeprefix(f"{self.tower}/") if n.startswith(f"{self.tower}/") else n: array
            for n, array in self.weights.items()
        }
        return dataclasses.replace(model, weights={t.ours: renamed[t.ours] for t in model.table()})

    def with_vocabulary(self, size: int) -> "LoadedModel":
        """With the first `size` rows of the vocabulary; for tables that were padded to a round number.

        Raises: `CheckpointError` where the table is smaller.
        """
        old = self.config.vocab_size
        if size > old:
            raise CheckpointError(f"the vocabulary has {old} rows", expected=f"at least the {size} asked for")
        weights = {name: array[:size] if _is_of_vocabulary(name) else array for name, array in self.weights.items()}
        return dataclasses.replace(self, config=self.config.replace(vocab_size=size), weights=weights)

    def build(self, **kwargs) -> "keras.Model":
        """The Keras model; `kwargs` are Keras' (name, dtype)."""
        from electra_tf import models

        name = next((keras_name for head, keras_name in KERAS.items() if head in self.heads), None)
        if name is None:
            return self.build_encoder(**kwargs)
        has_labels = not set(self.heads) & {"masked_lm", "replaced_token"} or "sentence_order" in self.heads
        labels = {"num_labels": self.num_labels} if has_labels else {}
        model = getattr(models, name)(self.config, **labels, **kwargs)
        self._assign(model, "encoder/")
        return model

    def build_encoder(self, **kwargs) -> "Encoder":
        """The encoder alone."""
        from electra_tf.models import Encoder

        encoder = Encoder(self.config, **kwargs)
        self._assign(encoder, "")
        return encoder

    def _assign(self, model, prefix):
        from electra_tf.models import named_variables

        for name, variable in named_variables(model).items():
            variable.assign(
                self.weights[f"{self.tower}/" + name.removeprefix(prefix) if name.startswith(prefix) else name]
            )


def _is_of_vocabulary(name):
    return name.endswith("embeddings/word/embeddings") or name == "masked_lm/output_bias"


def pretrained(tower: str, config: "EncoderConfig", weights: Mapping[str, np.ndarray], tokenizer=None, where=None):
    """The `LoadedModel` of one tower and its head, out of the weights of both.

    Raises: `CheckpointError` listing weights that do not fit.
    """
    name = class_with(config.model_type, PRETRAINING_HEADS[tower])
    weights = tower_weights(weights, tower)
    table = model_tensors(dataclasses.asdict(config), tower, PRETRAINING_HEADS[tower])
    weights = translate(weights, table, "ours", "ours", where)
    return LoadedModel(name, config, weights, PRETRAINING_HEADS[tower], tokenizer=tokenizer)


def class_with(model_type: str, heads) -> str:
    """The class of transformers for an encoder with such heads; a pooler that it does not need does not matter."""
    essential = {*heads} - {"pooler", *({"replaced_token", "conditional_answers"} if model_type == "albert" else ())}
    for name, kind in MODEL_CLASSES.items():
        if kind.model_type == model_type and {*kind.heads} - {"pooler"} == essential:
            return name
    raise CheckpointError(
        f"no class of transformers has an {model_type.upper()} with the heads {', '.join(heads)}",
        expected=", ".join({"electra": ELECTRA, "albert": ALBERT}[model_type].heads),
    )
