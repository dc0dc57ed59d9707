"""A model of any class that transformers has for ELECTRA and ALBERT, with its weights under our names."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.checkpoints.translation import tower_weights, translate, with_tower_called
from electra_tf.checkpoints.weight_names import ALBERT, ELECTRA, MODEL_CLASSES, PRETRAINING_HEADS, Tensor, model_tensors
from electra_tf.errors import CheckpointError
from electra_tf.models.config import EncoderConfig

if TYPE_CHECKING:
    import keras

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
    "first_token_classifier": "FirstTokenClassifier",
    "answer_start": "SpanAnswerer",
    "pooler": "PooledEncoder",
}
_LABELLED = ("sequence_classifier", "token_classifier", "first_token_classifier")
# Heads that stand beside an encoder, or another head, without a class of transformers for them.
_BESIDE = {
    "electra": ("pooler", "answer_start", "answer_end", "answer_end_by_start", "answerable", "answerable_by_start")
}
_BESIDE |= {"albert": ("pooler", "replaced_token", "conditional_answers")}


OWN = "electra_tf"  # in `config.json`: what we say of a fine-tuned model, or of Electric's, see `formats`


@dataclass(frozen=True)
class LoadedModel:
    """An encoder with its heads.

    Attributes:
        name: transformers' class, one of `weight_names.MODEL_CLASSES`. There is none for an ALBERT with a head for
            replaced tokens, nor for Google's heads for answers: these are an `AlbertModel` or `ElectraModel` with that
            head beside it. Google's classifier of one layer becomes an `ElectraForSequenceClassification` there.
        config: of its encoder.
        weights: all of them under our names, the encoder's below `encoder/`.
        heads: as in `weight_names.ARCHITECTURES`; those of the class, where the checkpoint does not lack its pooler.
        num_labels: of its classifier, where it has one.
        tokenizer: where its tokenizer is, or None.
        fields: the content of `config.json`, where there was one.
        left_out: heads of the checkpoint that the class has not.
    """

    name: str
    config: EncoderConfig
    weights: dict[str, np.ndarray]
    heads: tuple[str, ...]
    num_labels: int = 2
    tokenizer: Path | None = None
    fields: dict = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def tower(self) -> str:
        """Which of several towers it is, or would be."""
        return MODEL_CLASSES[self.name].tower

    @property
    def is_labelled(self) -> bool:
        """Whether it has a classifier with a number of labels of its own."""
        return any(head in _LABELLED for head in self.heads)

    @property
    def lacks_pooler(self) -> bool:
        """Whether its class has a pooler, and the model none: replaced-token detection trains none."""
        return "pooler" in MODEL_CLASSES[self.name].heads and "pooler" not in self.heads

    def table(self) -> list[Tensor]:
        """Every weight, with its names in each world."""
        fields = dataclasses.asdict(self.config) | {"num_labels": self.num_labels}
        return model_tensors(fields, "encoder", self.heads)

    def tower_weights(self) -> dict[str, np.ndarray]:
        """Its weights as a checkpoint of several towers calls them."""
        return with_tower_called(self.weights, "encoder", self.tower)

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
                where="--class",
                expected=f"one of {', '.join(have)}",
            )
        return dataclasses.replace(self.with_heads(wanted.heads), name=name)

    def with_heads(self, heads: tuple[str, ...]) -> "LoadedModel":
        """With these of its heads alone."""
        left_out = (*self.left_out, *(head for head in self.heads if head not in heads))
        model = dataclasses.replace(self, heads=heads, left_out=left_out)
        return dataclasses.replace(model, weights={t.ours: self.weights[t.ours] for t in model.table()})

    def with_vocabulary(self, size: int) -> "LoadedModel":
        """With the first `size` rows of the vocabulary; for tables that were padded to a round number.

        Raises: `CheckpointError` where the table is smaller.
        """
        old = self.config.vocab_size
        if size > old:
            raise CheckpointError(
                f"the vocabulary has {old} rows", where="--vocab_size", expected=f"at least the {size} asked for"
            )
        weights = {name: array[:size] if _is_of_vocabulary(name) else array for name, array in self.weights.items()}
        return dataclasses.replace(self, config=self.config.replace(vocab_size=size), weights=weights)

    def answering(
        self, labels: Sequence[str], multiply: float = 1.0, add: float = 0.0, problem_type: str | None = None, **more
    ) -> "LoadedModel":
        """With names for its classifier's outputs, or none: a number. Outputs are multiplied and added to.

        `problem_type` is transformers' word, by default that of one class or one number. `more` is for others.
        """
        weights = dict(self.weights)
        for name, factor, term in (("kernel", multiply, 0.0), ("bias", multiply, add)):
            for whole in (f"classifier/output/{name}", f"classifier/{name}"):
                if whole in weights and (multiply, add) != (1.0, 0.0):
                    weights[whole] = (weights[whole] * np.float32(factor) + np.float32(term)).astype(np.float32)
        fields = {"id2label": {str(n): label for n, label in enumerate(labels)}} if labels else {}
        if self.is_labelled and "token_classifier" not in self.heads:
            fields["problem_type"] = problem_type or ("single_label_classification" if labels else "regression")
        labels_here = max(1, len(labels)) if self.is_labelled else self.num_labels
        return dataclasses.replace(self, weights=weights, num_labels=labels_here, fields=self.fields | fields)

    def build(self, **kwargs) -> "keras.Model":
        """The Keras model; `kwargs` are Keras' (name, dtype).

        Its type is float32, as that of the weights, whatever `keras.config.floatx` says.
        """
        from electra_tf import models

        kwargs = {"dtype": "float32"} | kwargs

        name = next((keras_name for head, keras_name in KERAS.items() if head in self.heads), None)
        if name is None:
            return self.build_encoder(**kwargs)
        has_labels = not set(self.heads) & {"masked_lm", "replaced_token"} or "sentence_order" in self.heads
        labels = {"num_labels": self.num_labels} if has_labels else {}
        labels |= {"parts": self.heads} if name == "SpanAnswerer" else {}
        model = getattr(models, name)(self.config, **labels, **kwargs)
        self.assign(model)
        return model

    def build_encoder(self, **kwargs) -> "Encoder":
        """The encoder alone; see `build`."""
        from electra_tf.models import Encoder

        kwargs = {"dtype": "float32"} | kwargs

        encoder = Encoder(self.config, **kwargs)
        self.assign(encoder, "encoder/")
        return encoder

    def assign(self, model, prefix: str = "") -> None:
        """Puts its weights, or those below a prefix, into a Keras model of the same sizes."""
        from electra_tf.models import named_variables

        for name, variable in named_variables(model, prefix).items():
            variable.assign(self.weights[name])


def _is_of_vocabulary(name):
    return name.endswith("embeddings/word/embeddings") or name == "masked_lm/output_bias"


def pretrained(tower: str, config: EncoderConfig, weights: Mapping[str, np.ndarray], tokenizer=None, where=None):
    """The `LoadedModel` of one tower and its head, out of the weights of both.

    Raises: `CheckpointError` listing weights that do not fit.
    """
    name = class_with(config.model_type, PRETRAINING_HEADS[tower])
    weights = tower_weights(weights, tower)
    table = model_tensors(dataclasses.asdict(config), tower, PRETRAINING_HEADS[tower])
    weights = with_tower_called(translate(weights, table, "ours", "ours", where), tower, "encoder")
    return LoadedModel(name, config, weights, PRETRAINING_HEADS[tower], tokenizer=tokenizer)


_ABILITIES = {
    "discriminator": "it tells which tokens were replaced, and has no scores over the vocabulary",
    "generator": "it fills in masked tokens, and cannot tell which were replaced",
}


def missing_tower(tower: str, other: str, where) -> CheckpointError:
    """The error of a checkpoint that has another tower than the one asked for."""
    return CheckpointError(
        f"there is no {tower} here, only a {other}: {_ABILITIES[other]}",
        where=where,
        expected=f"a checkpoint with a {tower}",
        remedy="name another checkpoint, or leave --tower out",
    )


def class_with(model_type: str, heads) -> str:
    """The class of transformers for an encoder with such heads; a pooler that it does not need does not matter."""
    essential = {*heads} - {*_BESIDE[model_type]}
    if essential == {"first_token_classifier"}:
        return "ElectraForSequenceClassification"
    for name, kind in MODEL_CLASSES.items():
        if kind.model_type == model_type and {*kind.heads} - {"pooler"} == essential:
            return name
    raise CheckpointError(
        f"no class of transformers has an {model_type.upper()} with the heads {', '.join(heads)}",
        where=f"a model of the type {model_type}",
        expected=", ".join({"electra": ELECTRA, "albert": ALBERT}[model_type].heads),
        remedy="save the model with the heads of one of these",
    )
