"""Tags as they are written in files, and the entities that a sentence's tags stand for.

A tag is O, or a part of an entity and its type: `B-PER` (the part before) or `PER-B` (behind). Parts are B, the
beginning; I, inside; E, the end; S, an entity of one word.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

SCHEMES = ("BIO", "IOB1", "BIOES", "none")
_PARTS = {"B", "I", "E", "S", "L", "U"}
_BILOU = {"L": "E", "U": "S"}  # what others call them


class Entity(NamedTuple):
    """Words `first` to `last` of a sentence, both included, and their type."""

    first: int
    last: int
    kind: str


class Scheme(NamedTuple):
    """How tags are written: one of `SCHEMES`, and whether the part stands behind the type."""

    name: str
    suffix: bool = False

    def __str__(self) -> str:
        place = "behind" if self.suffix else "before"
        return "single words, no entities" if self.name == "none" else f"{self.name}, the part {place} the type"


def scheme_of(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Told from all sentences: IOB1 where an entity begins with I and B stands only between two of one type."""
    tags, sentences = set(), list(sentences)
    for sentence in sentences:
        tags.update(sentence)
    tags.discard("O")
    before = all(tag.partition("-")[0] in _PARTS for tag in tags)
    behind = all(tag.rpartition("-")[2] in _PARTS and "-" in tag for tag in tags)
    if not tags or not (before or behind):
        return Scheme("none")
    suffix = behind and not (before and all("-" in tag for tag in tags))
    parts = {part_and_type(tag, suffix)[0] for tag in tags}
    if not parts & {"B", "I"} and any("-" not in tag for tag in tags):  # single letters may mean anything
        return Scheme("none")
    if parts & {"E", "S", "L", "U"}:
        return Scheme("BIOES", suffix)
    if _is_first(sentences, suffix, "I") and not _is_first(sentences, suffix, "B"):
        return Scheme("IOB1", suffix)
    return Scheme("BIO", suffix)


def part_and_type(tag: str, suffix: bool = False) -> tuple[str, str]:
    """`B-PER` as ("B", "PER"); O and tags without a part have one of the two empty, as seqeval takes them."""
    if suffix:
        return tag[-1], tag[:-1].rsplit("-", 1)[0] or "_"
    return tag[0], tag[1:].split("-", 1)[-1] or "_"


def tag_of(part: str, kind: str, suffix: bool = False) -> str:
    """The tag whose `part_and_type` these are."""
    if kind == "_":
        return part
    return f"{kind}-{part}" if suffix else f"{part}-{kind}"


def entities(tags: Sequence[str], suffix: bool = False) -> list[Entity]:
    """The entities of a sentence, as conlleval and seqeval find them: a change of type or part ends one, and I begins
    one where none is open.
    """
    found, first, before, before_kind = [], 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        part, kind = part_and_type(tag, suffix)
        if _ends(before, part, before_kind, kind):
            found.append(Entity(first, place - 1, before_kind))
        if _starts(before, part, before_kind, kind):
            first = place
        before, before_kind = part, kind
    return found


def google_entities(tags: Sequence[str]) -> list[Entity]:
    """As Google's ELECTRA finds them: only O, B, S and the sentence's end end one, whose type is its last tag's."""
    found, begun, kind = [], None, None
    for place, tag in enumerate([*tags, "O"]):
        if (tag == "O" or tag[0] in "BS") and begun is not None:
            found.append(Entity(begun, place - 1, kind))
            begun = None
        if tag != "O":
            begun = place if begun is None else begun
            kind = tag.split("-")[1] if "-" in tag else tag
    return found


def written(found: Iterable[Entity], words: int, bioes: bool = False) -> list[str]:
    """Entities as the tags of so many words: BIO, or BIOES."""
    tags = ["O"] * words
    for first, last, kind in found:
        tags[first : last + 1] = [f"I-{kind}"] * (last + 1 - first)
        tags[first] = f"B-{kind}"
        if bioes:
            tags[last] = f"{'S' if first == last else 'E'}-{kind}"
    return tags


def normalised(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """IOB1 as BIO, BILOU as BIOES; others stay as they are."""
    if scheme.name == "BIOES":
        return [tag if tag == "O" else _with_part(tag, scheme.suffix) for tag in tags]
    if scheme.name != "IOB1":
        return list(tags)
    new, before = [], "_"
    for tag in tags:
        part, kind = part_and_type(tag, scheme.suffix)
        begins = part == "I" and kind != before
        new.append(tag_of("B", kind, scheme.suffix) if begins else tag)
        before = kind
    return new


def _with_part(tag, suffix):
    part, kind = part_and_type(tag, suffix)
    return tag_of(_BILOU.get(part, part), kind, suffix)


def entity_scores(gold: Sequence[set], found: Sequence[set]) -> dict[str, float]:
    """Precision, recall and F1 of the entities of all sentences together; 0 where there is nothing to divide by."""
    right = sum(len(a & b) for a, b in zip(gold, found, strict=True))
    there, said = sum(map(len, gold)), sum(map(len, found))
    return {
        "precision": right / said if said else 0.0,
        "recall": right / there if there else 0.0,
        "f1": 2 * right / (there + said) if there + said else 0.0,
    }


def scores_by_type(gold: Sequence[set], found: Sequence[set]) -> dict[str, dict[str, float]]:
    """The same for each type of entity, and how many there are."""
    kinds = sorted({entity.kind for sentence in (*gold, *found) for entity in sentence})
    table = {}
    for kind in kinds:
        own = [[{entity for entity in s if entity.kind == kind} for s in side] for side in (gold, found)]
        table[kind] = entity_scores(*own) | {"count": int(np.sum([len(s) for s in own[0]]))}
    return table


def _ends(before, part, before_kind, kind):
    if before in "ES" or (before in "BI" and part in "BSO"):
        return True
    return before not in "O." and before_kind != kind


def _starts(before, part, before_kind, kind):
    if part in "BS" or (before in "ESO" and part in "EI"):
        return True
    return part not in "O." and before_kind != kind


def _is_first(sentences, suffix, wanted):
    """Whether some tag of the part `wanted` stands elsewhere than behind one of its own type."""
    for sentence in sentences:
        before = "_"
        for tag in sentence:
            part, kind = part_and_type(tag, suffix)
            if part == wanted and kind != before:
                return True
            before = kind
    return False
