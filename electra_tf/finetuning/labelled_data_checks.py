"""What is in the files, said before training: rows, labels, what is cut, unknown, repeated or contradictory."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from electra_tf.errors import InputError
from electra_tf.finetuning.classification import alike, names_of
from electra_tf.finetuning.task import Task
from electra_tf.text.tokenizer import Tokenizer

_MUCH_UNKNOWN, _TOO_MUCH_UNKNOWN = 0.01, 0.2
_SHOWN = 12  # labels


@dataclass(frozen=True)
class Survey:
    """Of a split.

    Attributes:
        rows: their number. labels: how often each is there, the most frequent first.
        cut, lost: share of rows of which something is cut off, and of all tokens that are. longer: how many texts are
            longer than the model takes, and seen in windows.
        unknown: share of tokens that are [UNK]. empty: rows without a token, or with
            an empty text beside another.
        alike: pairs of labels that are probably meant as one.
        contradictory: texts with several labels. repeated: rows whose text is in the training file, too.
    """

    rows: int
    labels: dict[str, int]
    cut: float
    lost: float
    longer: int
    unknown: float
    empty: int
    contradictory: int
    repeated: int = 0
    alike: tuple[tuple[str, str], ...] = ()

    def lines(self, name: str, numbers: bool) -> list[str]:
        """In words; `numbers`: what is learned are numbers, which are not counted."""
        lines = [f"{name}: {self.rows:,} rows"]
        if self.labels and not numbers:
            shown = [f"{label} {count:,}" for label, count in list(self.labels.items())[:_SHOWN]]
            more = f", and {len(self.labels) - _SHOWN} more" if len(self.labels) > _SHOWN else ""
            lines.append(f"  labels: {', '.join(shown)}{more}")
        cut = f"cut: {self.cut:.1%} of the texts, {self.lost:.1%} of the tokens"
        if self.longer:
            cut += f"; {self.longer:,} longer texts are seen in windows"
        lines.append(f"  {cut}; unknown: {self.unknown:.2%}")
        found = {"empty texts": self.empty, "texts with several labels": self.contradictory}
        found |= {"rows whose text is in the training file": self.repeated}
        lines += [f"  {count:,} {what}" for what, count in found.items() if count]
        return lines


def survey(records: Sequence, task: Task, length: int, tokenizer: Tokenizer, train: Sequence = ()) -> Survey:
    """Looks at a split.

    Args:
        records: its rows. task: what is learned of them. length: tokens that the model takes.
        train: the rows of the training file, where this is another one.

    Raises: `InputError` where more than a fifth of the tokens are unknown: another language, or another casing.
    """
    pieces = task.pieces(records, tokenizer)
    sizes, lost = [len(ids) for ids in pieces], task.lost(records, pieces, tokenizer, length)
    tokens = sum(sizes)
    unknown = sum(ids.count(tokenizer.unk_id) for ids in pieces) / max(1, tokens)
    if unknown > _TOO_MUCH_UNKNOWN:
        raise InputError(
            f"{unknown:.0%} of the tokens are unknown to the vocabulary",
            where=records[0].where.rpartition(",")[0],
            expected="texts of the language and the casing that the checkpoint was trained on",
            remedy="use a checkpoint of that language, and of that casing",
        )
    answers = defaultdict(set)
    for record in records:
        answers[record.texts].add(_meant(record, task))
    known = {record.texts for record in train}
    return Survey(
        rows=len(records),
        labels=dict(Counter(label for record in records for label in _labels(record, task)).most_common()),
        cut=sum(count > 0 for count in lost) / len(sizes),
        lost=sum(lost) / max(1, tokens),
        longer=sum(size > length - task.special for size in sizes) if task.in_windows else 0,
        unknown=unknown,
        empty=sum(_is_empty(record, size, task) for record, size in zip(records, sizes, strict=True)),
        contradictory=sum(len(labels) > 1 for labels in answers.values()),
        repeated=sum(record.texts in known for record in records),
        alike=tuple(alike(sorted({label for record in records for label in _labels(record, task)})))
        if task.labels
        else (),
    )


def _meant(record, task):
    """What is learned of a row, however it is written."""
    if task.kind == "multilabel":
        return frozenset(names_of(record))
    return float(record.answer) if task.kind == "regression" else record.answer


def _is_empty(record, size, task):
    """Whether there is nothing to read; of two texts, in either."""
    both_needed = task.kind not in ("tagging", "choice")
    return size == 0 or (both_needed and not all(text.strip() for text in record.texts))


def _labels(record, task):
    return names_of(record) if task.kind == "multilabel" else record.labels


def warnings(found: Survey) -> list[str]:
    """What may spoil the result."""
    told = []
    if found.unknown > _MUCH_UNKNOWN:
        told.append(f"{found.unknown:.1%} of the tokens are unknown: is the vocabulary of this language and casing?")
    for one, other in found.alike[:_SHOWN]:
        told.append(f"{one!r} and {other!r} are two labels: are they meant as one?")
    return told
