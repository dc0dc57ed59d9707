"""What a caller says about how a checkpoint is read and how one is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from electra_tf.checkpoints.weight_names import TOWERS

if TYPE_CHECKING:
    from electra_tf.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Reading:
    """Which model of a checkpoint is meant, and what its files do not tell; see `reading.read_model`."""

    tower: str | None = None
    settings: Mapping | None = None
    model_class: str | None = None
    task: str | None = None
    keep_tied: str | None = None

    def settings_of(self, tower: str | None = None) -> dict:
        """The fields that settings have for a tower: those of both, and those under its name."""
        return settings_of(self.settings, tower)


@dataclass(frozen=True)
class Writing:
    """How a model is written.

    Attributes:
        form: a key of `formats.TARGETS`.
        dtype, shard_bytes: see `transformers_folder.write_folder`.
        tokenizer: of the model, or the folder or file it is in; None: the one that the model came with, if any.
        tokenization: of a SentencePiece tokenizer, where it is to be another.
        card: text of README.md, or None.
        task: what Google's ELECTRA calls the head of a fine-tuned model.
        settings: what the reader of a TF-V1 checkpoint will be told, since it does not hold it.
        say: is told what the caller should know of what is written.
    """

    form: str = "safetensors"
    dtype: str = "float32"
    shard_bytes: int | None = None
    tokenizer: "Tokenizer | str | Path | None" = None
    tokenization: str | None = None
    card: str | None = None
    task: str | None = None
    settings: Mapping | None = None
    say: Callable[[str], None] = lambda text: None


def settings_of(settings: Mapping | None, tower: str | None = None) -> dict:
    """See `Reading.settings_of`. The two towers of a generator are alike, and told as one `generator`."""
    tower = told_as(tower)
    common = {name: value for name, value in (settings or {}).items() if name not in TOWERS}
    return common | (settings or {}).get(tower, {})


def told_as(tower: str | None) -> str | None:
    """Under which name settings tell of a tower."""
    return "generator" if tower in ("generator_ltr", "generator_rtl") else tower
