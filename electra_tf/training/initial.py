"""Weights that a run starts from, taken from other checkpoints: continued pre-training."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.conversion import LoadedModel, load_tower, read_model, recognise
from electra_tf.conversion.reading import holds_both_towers
from electra_tf.conversion.run_directory import read_run, split_tables, sum_of, sum_tables
from electra_tf.conversion.tf1 import read_tf1
from electra_tf.conversion.tf1_albert import is_albert
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.text.tokenizer import Tokenizer

_OF_VOCABULARY = ("embeddings/word/embeddings", "output_bias")
_OF_POSITIONS = "embeddings/position/embeddings"


@dataclasses.dataclass(frozen=True)
class Start:
    """Where the initial weights come from.

    Attributes:
        checkpoint: any that `read_model` reads: both towers where it holds both, else the one it holds.
        generator: another one for the generator.
        vocab: the tokenizer of the checkpoints, where none is beside them and it is not this run's.
        slots: whether Adam's moments are taken over, too; from a TF-V1 checkpoint or a run.
    """

    checkpoint: str | Path | None = None
    generator: str | Path | None = None
    vocab: str | Path | None = None
    slots: bool = False


class Taken(NamedTuple):
    """Where a weight came from: of a tower `rows` of its `of` rows, or tower None: it starts anew."""

    name: str
    tower: str | None
    rows: int
    of: int

    def __str__(self):
        return f"{self.name}  {f'{self.tower}, {self.rows:,} of {self.of:,} rows' if self.tower else 'starts anew'}"


def initial_weights(start: Start, config, recipe, tokenizer: Tokenizer, built: Mapping[str, np.ndarray]):
    """Weights, moments and a report of a run's start.

    Args:
        start: sources. config: the run's `ElectraConfig`. recipe: its `Recipe`.
        tokenizer: the run's.
        built: every weight as the run would have it without sources, under our names.

    Returns: (weights, (m, v) or None, a `Taken` for each weight): weights of all names of `built`.

    Raises: `CheckpointError` for sources that are damaged or of other sizes, `ConfigError` for what is missing.
    """
    sources, names = _sources(start, config), built.keys()
    built = sum_tables(built)
    if "generator" not in sources and not recipe.generator_steps:
        raise ConfigError(
            "there is no generator to start from",
            where=start.checkpoint,
            expected="a checkpoint with one (--init_generator), or one that starts anew and first learns alone",
            remedy="add --init_generator, or the steps it learns alone: --gin_param 'Recipe.generator_steps = 1000'",
        )
    weights, report = dict(built), {}
    rows = {tower: _known_rows(model, start, tokenizer) for tower, model in sources.items()}
    for tower, model in sources.items():
        _check_sizes(model, getattr(config, tower), tower)
        for name, array in model.weights.items():
            ours = name if name in weights else name.replace("generator/embeddings/", "discriminator/embeddings/", 1)
            if ours not in weights:
                continue  # a pooler, or another head
            taken, kept = _take(name, array, built[ours], rows[tower])
            if ours != name and not np.array_equal(taken, weights[ours]) and "discriminator" in sources:
                raise CheckpointError(
                    f"the two towers' embeddings differ: {name}",
                    where=start.generator or start.checkpoint,
                    expected="the same embeddings in both, which this run shares",
                    remedy="give each its own: --gin_param \"Model.embedding_sharing = 'none'\" and --gin_param "
                    f"\"Model.generator = {{'embedding_size': {model.config.embedding_size}}}\"",
                )
            weights[ours] = taken
            report[ours] = Taken(ours, tower, kept, len(taken))
    report |= {name: Taken(name, None, 0, len(built[name])) for name in sorted(built.keys() - report.keys())}
    if config.embedding_sharing == "gdes" and "generator" not in sources:  # it begins with what the other has learned
        for name in (f"embeddings/{table}/embeddings" for table in ("word", "position")):
            weights[f"generator/{name}"] = weights[f"discriminator/{name}"]
            report[f"generator/{name}"] = report[f"discriminator/{name}"]._replace(name=f"generator/{name}")
    same_rows = all(known is None for known in rows.values())
    slots = _slots(start, built, same_rows) if start.slots else None
    slots = slots and tuple({name: group[sum_of(name)] for name in names} for group in slots)
    return split_tables(weights, names), slots, list(report.values())


def summary(report: list[Taken]) -> str:
    """The report in a line."""
    some = [taken for taken in report if taken.tower]
    parts = [f"{taken.rows:,} of {taken.of:,} rows of {taken.name}" for taken in some if taken.rows < taken.of]
    text = f"{len(some)} of {len(report)} weights are taken over"
    return f"{text}; {', '.join(parts)}" if parts else text


def _sources(start, config) -> dict[str, LoadedModel]:
    found = {}
    if start.checkpoint is not None:
        model = read_model(start.checkpoint)
        found["generator" if "masked_lm" in model.heads else "discriminator"] = model
        if "replaced_token" in model.heads and start.generator is None and holds_both_towers(start.checkpoint):
            found["generator"] = load_tower(start.checkpoint, "generator")
    if start.generator is not None:
        if "generator" in found:
            raise ConfigError(
                f"two generators are given: {start.checkpoint} and {start.generator}",
                expected="a checkpoint with a discriminator, and one with a generator",
            )
        found["generator"] = load_tower(start.generator, "generator")
    for tower, path in (("discriminator", start.checkpoint), ("generator", start.generator or start.checkpoint)):
        model = found.get(tower)
        if model and recognise(path) == "tf1" and model.config.model_type == "electra":
            untold = {name: getattr(getattr(config, tower), name) for name in ("num_attention_heads", "hidden_act")}
            found[tower] = dataclasses.replace(model, config=model.config.replace(**untold))
    return found


def _check_sizes(model, config, tower):
    fields = ("model_type", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    fields += ("intermediate_size", "hidden_act", "type_vocab_size", "num_hidden_groups", "inner_group_num")
    wrong = [
        f"{name} is {getattr(model.config, name)!r} there, {getattr(config, name)!r} here"
        for name in fields
        if getattr(model.config, name) != getattr(config, name)
    ]
    if wrong:
        raise CheckpointError(
            f"the {tower} to start from is another network: " + "; ".join(wrong),
            where=model.name,
            expected="the same sizes; only the vocabulary and the number of positions may differ",
            remedy=f"choose the preset it was made with, or set Model.{tower} = {{...}}",
        )


def _known_rows(model, start, tokenizer):
    """For each token of this run's vocabulary its row there, -1 where it has none; None: the same rows."""
    source = start.vocab or model.tokenizer
    if source is None:
        if model.config.vocab_size == len(tokenizer):
            return None
        raise ConfigError(
            f"the checkpoint has {model.config.vocab_size:,} tokens, the data {len(tokenizer):,}; which, is not said",
            where=model.name,
            expected="the checkpoint's tokenizer, to find the tokens that both have",
            remedy="name its folder or vocab.txt with --init_vocab",
        )
    theirs = Tokenizer.from_pretrained(source)
    theirs.check_fits(model.config.vocab_size)
    tokens = [tokenizer.id_to_token(number) for number in range(len(tokenizer))]
    rows = np.array([-1 if theirs.token_to_id(token) is None else theirs.token_to_id(token) for token in tokens])
    return None if len(theirs) == len(tokens) and np.array_equal(rows, np.arange(len(rows))) else rows


def _take(name, array, fresh, known):
    """(the weight for this run, how many of its rows were taken)."""
    if name.endswith(_OF_VOCABULARY) and known is not None:
        taken, there = fresh.copy(), (known >= 0) & (known < len(array))
        taken[: len(known)][there] = array[known[there]]
        return taken, int(there.sum())
    if name.endswith(_OF_POSITIONS) or name.endswith(_OF_VOCABULARY):
        count = min(len(array), len(fresh))
        return np.concatenate([array[:count], fresh[count:]]), count
    return array, len(fresh)


def _slots(start, built, same_rows):
    readers = {"run_directory": read_run, "tf1": read_tf1}
    kind = recognise(start.checkpoint) if start.checkpoint is not None else None
    alone = start.generator is not None or kind not in readers or (kind == "tf1" and is_albert(start.checkpoint))
    source = None if alone else readers[kind](start.checkpoint)
    slots = (source.slots_m, source.slots_v) if source else ({}, {})
    fits = all(
        slots[0].keys() == group.keys() and all(group[n].shape == built[n].shape for n in group if n in built)
        for group in slots
    )
    if not slots[0] or not fits or not same_rows or slots[0].keys() != built.keys():
        raise ConfigError(
            "Adam's moments cannot be taken over",
            where=start.checkpoint,
            expected="one TF-V1 checkpoint or run that has them, with the same vocabulary and positions",
            remedy="leave --init_slots out: the optimizer then starts anew",
        )
    return slots
