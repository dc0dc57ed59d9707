"""The one configuration of every encoder, under Hugging Face's field names."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from electra_tf.errors import ConfigError

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish", "tanh")
_DEEPEST = 1000  # blocks; each takes time to build, whatever its size, and the deepest published have some hundred
_ALBERT_ONLY = ("num_hidden_groups", "inner_group_num", "classifier_dropout_prob")


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes and settings of one encoder.

    `model_type` is `electra` (every layer has weights of its own) or `albert` (layers share weights in
    `num_hidden_groups` groups of `inner_group_num` blocks, and a pooler exists). `embedding_size` and the group
    fields follow from the others where they are None. Raises `ConfigError` when sizes do not fit together.
    """

    model_type: str = "electra"
    vocab_size: int = 30522
    embedding_size: int | None = None
    hidden_size: int = 256
    num_hidden_layers: int = 12
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    num_hidden_groups: int | None = None
    inner_group_num: int = 1
    classifier_dropout_prob: float = 0.1

    def __post_init__(self):
        albert = self.model_type == "albert"
        if self.embedding_size is None:
            object.__setattr__(self, "embedding_size", self.hidden_size)
        if self.num_hidden_groups is None:
            object.__setattr__(self, "num_hidden_groups", 1 if albert else self.num_hidden_layers)
        if self.model_type not in ("electra", "albert"):
            self._reject("model_type", "'electra' or 'albert'")
        sizes = ("vocab_size", "hidden_size", "embedding_size", "num_hidden_layers", "num_attention_heads")
        sizes += ("intermediate_size", "max_position_embeddings", "type_vocab_size", "num_hidden_groups")
        for name in (*sizes, "inner_group_num"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                self._reject(name, "a whole number of at least 1")
        if self.num_hidden_layers * self.inner_group_num > _DEEPEST:
            self._reject(
                "num_hidden_layers" if self.inner_group_num == 1 else "inner_group_num",
                f"at most {_DEEPEST} blocks in all",
            )
        if type(self.pad_token_id) is not int or not 0 <= self.pad_token_id < self.vocab_size:
            self._reject("pad_token_id", f"an id of the vocabulary of {self.vocab_size}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob"):
            if not _is_number(getattr(self, name)) or not 0 <= getattr(self, name) < 1:
                self._reject(name, "a share in [0, 1)")
        for name in ("initializer_range", "layer_norm_eps"):
            if not _is_number(getattr(self, name)) or not 0 < getattr(self, name) < 1:
                self._reject(name, "a number between 0 and 1")
        if self.hidden_act not in ACTIVATIONS:
            self._reject("hidden_act", f"one of {', '.join(ACTIVATIONS)}")
        if self.hidden_size % self.num_attention_heads:
            self._reject("num_attention_heads", f"a divisor of hidden_size {self.hidden_size}")
        if self.num_hidden_groups > self.num_hidden_layers:
            self._reject("num_hidden_groups", f"at most num_hidden_layers, {self.num_hidden_layers}")
        for name, own in (("num_hidden_groups", self.num_hidden_layers), ("inner_group_num", 1)):
            if not albert and getattr(self, name) != own:
                self._reject(name, f"{own}: an 'electra' encoder has one layer a depth")

    def _reject(self, name, expected):
        raise ConfigError(
            f"{name} is {getattr(self, name)!r}",
            where=f"encoder configuration, field {name}",
            expected=expected,
            remedy="correct the field where it was set",
        )

    def replace(self, **changes) -> "EncoderConfig":
        """A copy with some fields changed. A changed width or depth does not keep a derived field."""
        if "num_hidden_layers" in changes and self.model_type == "electra":
            changes.setdefault("num_hidden_groups", None)
        return dataclasses.replace(self, **changes)

    def encoder_weights(self) -> int:
        """How many numbers its tables and kernels are: all its weights but for biases and norms."""
        h, e = self.hidden_size, self.embedding_size
        tables = (self.vocab_size + self.max_position_embeddings + self.type_vocab_size) * e + (e * h if e != h else 0)
        return tables + self.num_hidden_groups * self.inner_group_num * (4 * h * h + 2 * h * self.intermediate_size)

    def to_dict(self) -> dict:
        """The fields of a Hugging Face `config.json` for this model type."""
        fields = dataclasses.asdict(self)
        if self.model_type == "electra":
            fields = {name: value for name, value in fields.items() if name not in _ALBERT_ONLY}
        return fields

    @classmethod
    def from_dict(cls, fields: dict, where=None) -> "EncoderConfig":
        """From a Hugging Face `config.json`; fields that do not concern the encoder are ignored. `where`: its file."""
        if (kind := fields.get("position_embedding_type", "absolute")) != "absolute":
            raise ConfigError(
                f"position_embedding_type is {kind!r}",
                where=where or "encoder configuration",
                expected="'absolute'",
                remedy="take a model of absolute positions; others are not computed here",
            )
        known = {f.name for f in dataclasses.fields(cls)}
        try:
            return cls(**{name: value for name, value in fields.items() if name in known})
        except ConfigError as error:
            place = error.where if where is None else where
            raise ConfigError(error.found, where=place, expected=error.expected, remedy=error.remedy) from None

    @classmethod
    def from_file(cls, path) -> "EncoderConfig":
        """From a `config.json` file."""
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the configuration cannot be read: {error}",
                where=path,
                expected="a file of JSON",
                remedy="copy the file again",
            ) from error
        return cls.from_dict(fields, path)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
