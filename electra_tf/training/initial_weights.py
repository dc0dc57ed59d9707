"""Weights that a run starts from, taken from other checkpoints: continued pre-training, and fine-tuning."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.checkpoints.loaded_model import missing_tower
from electra_tf.checkpoints.shared_tables import base_of, split_tables, sum_of, sum_tables
from electra_tf.checkpoints.towers import Tower, read_slots, read_towers
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.objective import Objective

_OF_VOCABULARY = ("embeddings/word/embeddings", "output_bias")
_OF_POSITIONS = "embeddings/position/embeddings"
# What a TF-V1 checkpoint does not tell: taken as the run has it.
_UNTOLD = ("num_attention_heads", "hidden_act")


@dataclasses.dataclass(frozen=True)
class Start:
    """Where the initial weights come from.

    Attributes:
        checkpoint: any that `read_model` reads: all towers that it holds.
        towers: other checkpoints for single towers, by the tower's name.
        vocab: the tokenizer of all the checkpoints, whatever is beside them; None: what is, or this run's.
        slots: whether the optimizer's moments are taken over, too; from a TF-V1 checkpoint or a run.
        anew: prefixes of weights that start anew even where a checkpoint has them: the head of another task.
        sha256: of the checkpoint's weights, where it is known: `run.json` keeps it.
    """

    checkpoint: str | Path | None = None
    towers: Mapping[str, str | Path] = dataclasses.field(default_factory=dict)
    vocab: str | Path | None = None
    slots: bool = False
    anew: tuple[str, ...] = ()
    sha256: str | None = None

    def names(self) -> dict[str, str]:
        """What `run.json` keeps of it."""
        own = {"checkpoint": self.checkpoint, **self.towers, "vocab": self.vocab, "slots": self.slots}
        return {name: str(value) for name, value in own.items() if value}


class Taken(NamedTuple):
    """Where a weight came from: of a tower `rows` of its `of` rows, or tower None: it starts anew."""

    name: str
    tower: str | None
    rows: int
    of: int

    def __str__(self):
        return f"{self.name}  {f'{self.tower}, {self.rows:,} of {self.of:,} rows' if self.tower else 'starts anew'}"


def initial_weights(start: Start, objective: Objective, tokenizer: Tokenizer):
    """Weights, moments and a report of a run's start.

    Args:
        start: where from. objective: as just built. tokenizer: the run's.

    Returns: (weights, (m, v) or None, a `Taken` for each weight): weights of all names of the objective's.

    Raises: `CheckpointError` for sources that are damaged or of other sizes, `ConfigError` for what is missing.
    """
    built = sum_tables({name: weight.numpy() for name, weight in objective.weights.items()})
    sources = _sources(start, objective.towers)
    objective.check_start(set(sources), start.checkpoint or next(iter(start.towers.values()), None))
    weights, report = dict(built), {}
    rows = {tower: _known_rows(source, start, tokenizer) for tower, source in sources.items()}
    for tower, source in sources.items():
        _check_sizes(source, objective.towers[tower], tower)
        for name, array in source.weights.items():
            ours = name if name in weights else _shared_name(name, objective.shared)
            if ours not in weights or ours.startswith(start.anew):
                continue  # a pooler, or another head
            taken, kept = _take(ours, array, built[ours], rows[tower])
            if ours != name and ours in report and not np.array_equal(taken, weights[ours]):
                raise CheckpointError(
                    f"two towers have this run's {ours} in common, and differ in it: {name}",
                    where=source.where,
                    expected="the same in both, since this run shares it",
                    remedy="name towers that were trained together, or set the run to share nothing",
                )
            weights[ours] = taken
            report[ours] = Taken(ours, tower, kept, len(taken))
    report |= {name: Taken(name, None, 0, len(built[name])) for name in sorted(built.keys() - report.keys())}
    for delta in (name for name in objective.weights if name.endswith("/delta")):
        table, base = sum_of(delta), base_of(delta)
        if report[base].tower is None and report[table].tower:  # the base begins with what its sum has learned
            weights[base], report[base] = weights[table], report[table]._replace(name=base)
        elif report[table].tower is None and report[base].tower:  # and a sum with its base
            weights[table], report[table] = weights[base], report[base]._replace(name=table)
    same_rows = all(known is None for known in rows.values())
    slots = _slots(start, built, same_rows) if start.slots else None
    slots = slots and tuple({name: group[sum_of(name)] for name in objective.weights} for group in slots)
    return split_tables(weights, objective.weights), slots, list(report.values())


def summary(report: list[Taken]) -> str:
    """The report in a line."""
    some = [taken for taken in report if taken.tower]
    parts = [f"{taken.rows:,} of {taken.of:,} rows of {taken.name}" for taken in some if taken.rows < taken.of]
    text = f"{len(some)} of {len(report)} weights are taken over"
    return f"{text}; {', '.join(parts)}" if parts else text


def _shared_name(name, shared):
    """A name as the tower has it that this one shares with."""
    for own, other in shared.items():
        if name.startswith(own):
            return other + name.removeprefix(own)
    return name


def _sources(start, needed) -> dict[str, Tower]:
    """The towers that the run needs, by their names, as far as the checkpoints have them."""
    untold = {tower: {name: getattr(config, name) for name in _UNTOLD} for tower, config in needed.items()}
    found = {}
    for wanted, path in ((None, start.checkpoint), *start.towers.items()):
        if path is None:
            continue
        if wanted is not None and wanted not in needed:
            raise ConfigError(
                f"a {wanted} is given, and this run has none of its own",
                where=path,
                expected=f"checkpoints of {', '.join(needed)}",
                remedy="leave it out",
            )
        here = read_towers(path, untold)
        if wanted is None and len(needed) == 1:
            wanted = next(iter(needed))
        if wanted is not None and wanted not in here:
            if len(needed) > 1:
                raise missing_tower(wanted, next(iter(here)), path)
            here = {wanted: next(iter(here.values())).renamed(wanted)}  # any encoder will do for the only one
        for tower in here.keys() & ({wanted} if wanted else needed.keys()):
            if tower in found:
                raise ConfigError(
                    f"two sources have a {tower}",
                    where=f"{start.checkpoint} and {path}",
                    expected="one for each tower",
                    remedy="leave one of them out",
                )
            found[tower] = here[tower]
    return {tower: found[tower] for tower in needed if tower in found}


def _check_sizes(source, config, tower):
    fields = ("model_type", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    fields += ("intermediate_size", "hidden_act", "type_vocab_size", "num_hidden_groups", "inner_group_num")
    wrong = [
        f"{name} is {getattr(source.config, name)!r} there, {getattr(config, name)!r} here"
        for name in fields
        if getattr(source.config, name) != getattr(config, name)
    ]
    if wrong:
        raise CheckpointError(
            f"the {tower} to start from is another network: " + "; ".join(wrong),
            where=source.where,
            expected="the same sizes; only the vocabulary and the number of positions may differ",
            remedy="choose the preset it was made with, or set the run's sizes to its own",
        )


def _known_rows(tower, start, tokenizer):
    """For each token of this run's vocabulary its row there, -1 where it has none; None: the same rows."""
    source = start.vocab or tower.tokenizer
    if source is None:
        if tower.config.vocab_size == len(tokenizer):
            return None
        raise ConfigError(
            f"the checkpoint has {tower.config.vocab_size:,} tokens, the data {len(tokenizer):,}; which, is not said",
            where=tower.where,
            expected="the checkpoint's tokenizer, to find the tokens that both have",
            remedy="name its folder or vocab.txt with --init_vocab",
        )
    theirs = Tokenizer.from_pretrained(source)
    theirs.check_fits(tower.config.vocab_size)
    if theirs.vocabulary == tokenizer.vocabulary:
        return None
    tokens = [tokenizer.id_to_token(number) for number in range(len(tokenizer))]
    rows = np.array([-1 if theirs.token_to_id(token) is None else theirs.token_to_id(token) for token in tokens])
    return rows


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
    slots = ({}, {}) if start.towers else read_slots(start.checkpoint)
    if slots[0] and same_rows and all(group.keys() == built.keys() for group in slots):
        # A row that was not there has not moved yet: its moments are 0, as those of every weight in the beginning.
        zeros = {name: np.zeros_like(array) for name, array in built.items()}
        slots = [{name: _take(name, group[name], zeros[name], None)[0] for name in built} for group in slots]
        if all(group[name].shape == array.shape for group in slots for name, array in built.items()):
            return tuple(slots)
    raise ConfigError(
        "the optimizer's moments cannot be taken over",
        where=start.checkpoint,
        expected="one TF-V1 checkpoint or run that has them, of the same network with the same vocabulary",
        remedy="leave --init_slots out: the optimizer then starts anew",
    )
