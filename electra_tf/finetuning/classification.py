"""Classes, sets of classes and numbers of texts and pairs.

Axes: B rows, T tokens, N classes.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from electra_tf.errors import InputError
from electra_tf.finetuning import metrics
from electra_tf.finetuning.batching import Rows
from electra_tf.finetuning.records import Record
from electra_tf.finetuning.task import Split, probabilities
from electra_tf.finetuning.windows import windows_of
from electra_tf.models.task_models import FirstTokenClassifier, SequenceClassifier
from electra_tf.text.tokenizer import Encoding

_LONGEST = 1000  # characters of a label: a longer one is a text
_JOINERS = "\u200c\u200d"  # not seen themselves, and seen by what they join
_HEAD = 4  # of a long text's room, one part in so many is its beginning, the rest its end (Sun et al., 1905.05583)


class OfText:
    """What the three families here have in common: one row a record, one vector of outputs a row."""

    tells_loss = True
    special = 2  # where there are windows, which are of single texts
    calibrated = None

    @property
    def in_windows(self) -> bool:
        return self.long == "windows"

    @property
    def outputs_per_row(self) -> int:
        return max(1, len(self.labels))

    def heads(self, config):
        if config.model_type == "albert":
            return ("pooler", "sequence_classifier")
        return ("first_token_classifier",) if self.google_head else ("sequence_classifier",)

    def build(self, config, encoder=None, dtype="float32"):
        single = self.google_head and config.model_type == "electra"
        # Google's code drops a tenth there, whatever the encoder does.
        model, rate = (FirstTokenClassifier, config.classifier_dropout_prob) if single else (SequenceClassifier, None)
        return model(config, self.outputs_per_row, encoder=encoder, head_dropout=rate, dtype=dtype)

    def split(self, records, tokenizer, length, learned=True):
        if self.long == "truncate":
            texts = [record.texts for record in records]
            encodings = tokenizer.encode_batch(texts, max_length=length, first_keeps_odd=self.first_keeps_odd)
            places = list(range(len(records)))
        else:
            whole = tokenizer.encode_batch([record.texts[0] for record in records], add_special_tokens=False)
            parts = [self._parts(one.ids, length - 2) for one in whole]
            places = [number for number, several in enumerate(parts) for _ in several]
            rows = [[tokenizer.cls_id, *part, tokenizer.sep_id] for several in parts for part in several]
            encodings = [Encoding(ids, [0] * len(ids), [], []) for ids in rows]
        targets = self.targets(records) if learned else {}
        if learned:
            counts = np.bincount(places, minlength=len(records))
            targets = {name: array[places] for name, array in targets.items()}
            targets["weight"] = (targets["weight"] / counts[places]).astype(np.float32)
        return Split(records, Rows(encodings, targets, length), places)

    def _parts(self, ids, room):
        """What is seen of a long text: its beginning and its end, or all of it in windows that overlap by half."""
        if len(ids) <= room:
            return [ids]
        if self.long == "head_tail":
            head = room // _HEAD
            return [[*ids[:head], *ids[len(ids) - (room - head) :]]]
        return [ids[first:end] for first, end in windows_of(len(ids), room, max(1, room // 2))]

    def of_records(self, outputs: Sequence[np.ndarray], split: Split) -> np.ndarray:
        """Outputs [records, N]: of several windows the mean."""
        found = np.zeros((len(split.records), len(outputs[0])))
        np.add.at(found, split.places, np.stack(outputs))
        return (found / np.bincount(split.places, minlength=len(found))[:, None]).astype(np.float32)

    def targets_of(self, split: Split) -> np.ndarray:
        """What is right of each record."""
        first = np.unique(split.places, return_index=True)[1]
        return split.rows.targets["target"][first]

    def pieces(self, records, tokenizer):
        encodings = tokenizer.encode_batch([record.texts for record in records], add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def lost(self, records, pieces, tokenizer, length):
        rooms = (length - 1 - len(record.texts) for record in records)  # [CLS], and [SEP] behind each
        return [0 if self.in_windows else max(0, len(ids) - room) for ids, room in zip(pieces, rooms, strict=True)]

    def targets(self, records: Sequence[Record]) -> dict[str, np.ndarray]:
        """`target` [rows] or [rows, N], `weight` float32 [rows]."""
        raise NotImplementedError

    def outputs(self, model, hidden, batch, training, seed):
        return model.score(hidden, training, seed)


@dataclass(frozen=True)
class Classification(OfText):
    """One of several classes; a row of class c weighs `weights[c]`.

    `google_head` and `first_keeps_odd` are Google's ways, `long` what becomes of long texts, here and below: see
    `FineTuning`.
    """

    labels: tuple[str, ...]
    weights: tuple[float, ...]
    google_head: bool = False
    first_keeps_odd: bool = False
    long: str = "truncate"
    kind = "classification"
    usual = "accuracy"
    selecting = ("accuracy", "macro_f1", "matthews", "f1")

    @classmethod
    def of(cls, records: Sequence[Record], class_weights: str = "none", **more) -> "Classification":
        """The classes of the training records, in the order of their names, numbers by value."""
        for record in records:
            _check_label(record)
        counts = Counter(record.label for record in records)
        labels = sorted(counts, key=_order)
        if len(labels) < 2:
            raise InputError(
                f"all rows have the label {labels[0]!r}",
                where=records[0].where.rpartition(",")[0],
                expected="two classes or more",
                remedy="check the column of the labels: --label names it",
            )
        check_told_apart(labels, records[0].where.rpartition(",")[0])
        return cls(tuple(labels), weights_of(class_weights, labels, counts), **more)

    def targets(self, records):
        number = {label: n for n, label in enumerate(self.labels)}
        for record in records:
            _check_label(record)
            _check_known(record.label, record.where, self.labels)
        target = np.array([number[record.label] for record in records], np.int32)
        return {"target": target, "weight": np.array(self.weights, np.float32)[target]}

    def loss(self, outputs, batch):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], outputs)

    def hits(self, outputs, batch):
        return tf.cast(tf.argmax(outputs, -1, output_type=tf.int32) == batch["target"], tf.float32)

    def calibrated(self, outputs, split):
        return self.of_records(outputs, split), self.targets_of(split)

    def score(self, outputs, split):
        return self._score(self.of_records(outputs, split), self.targets_of(split))

    def _score(self, logits, targets):
        answers, classes = logits.argmax(-1), len(self.labels)
        found = {
            "accuracy": metrics.accuracy(targets, answers),
            "macro_f1": metrics.macro_f1(targets, answers, classes),
            "matthews": metrics.matthews(targets, answers, classes),
            "calibration_error": metrics.calibration_error(probabilities(logits), targets),
        }
        if classes == 2:  # of the second class, as GLUE has it for paraphrases
            found["f1"] = float(metrics.precision_recall_f1(metrics.confusion(targets, answers, 2))[1, 2])
        return found

    def answers(self):
        return {"labels": list(self.labels)}

    def commonest(self, split):
        targets = self.targets_of(split)
        logits = np.zeros((len(targets), len(self.labels)), np.float32)
        logits[:, np.bincount(targets).argmax()] = 1.0
        return self._score(logits, targets)


@dataclass(frozen=True)
class Multilabel(OfText):
    """Any of several classes, or none: each is a question of its own, answered yes from a probability of a half on."""

    labels: tuple[str, ...]
    weights: tuple[float, ...]
    google_head: bool = False
    first_keeps_odd: bool = False
    long: str = "truncate"
    kind = "multilabel"
    usual = "micro_f1"
    selecting = ("micro_f1", "macro_f1", "exact")

    @classmethod
    def of(cls, records: Sequence[Record], class_weights: str = "none", **more) -> "Multilabel":
        """The classes of the training records, in the order of their names, numbers by value."""
        for record in records:
            for label in names_of(record):
                _check_length(label, record.where)
        counts = Counter(label for record in records for label in names_of(record))
        labels = sorted(counts, key=_order)
        if not labels:
            raise InputError(
                "no row has a label",
                where=records[0].where.rpartition(",")[0],
                expected="labels parted by | or, in JSON lines, lists of them",
                remedy="name the column of the labels with --label",
            )
        check_told_apart(labels, records[0].where.rpartition(",")[0])
        return cls(tuple(labels), weights_of(class_weights, labels, counts), **more)

    def targets(self, records):
        number = {label: n for n, label in enumerate(self.labels)}
        target = np.zeros((len(records), len(self.labels)), np.float32)
        for place, record in enumerate(records):
            for label in names_of(record):
                _check_known(label, record.where, self.labels)
                target[place, number[label]] = 1.0
        of_none = min(self.weights)  # a row without labels weighs no more than any other
        weight = [max([self.weights[n] for n in np.flatnonzero(row)], default=of_none) for row in target]
        return {"target": target, "weight": np.array(weight, np.float32)}

    def loss(self, outputs, batch):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(batch["target"], outputs), -1)

    def hits(self, outputs, batch):
        return tf.cast(tf.reduce_all((outputs > 0) == (batch["target"] > 0.5), -1), tf.float32)

    def score(self, outputs, split):
        return self._score(self.of_records(outputs, split) > 0, self.targets_of(split) > 0.5)

    def _score(self, said, there):
        right, found, real = (said & there).sum(0), said.sum(0), there.sum(0)
        both = found + real
        per_class = np.divide(2.0 * right, both, out=np.zeros(len(both)), where=both > 0)
        total = both.sum()
        return {
            "micro_f1": float(2 * right.sum() / total) if total else 0.0,
            "macro_f1": float(per_class.mean()),
            "exact": float((said == there).all(-1).mean()),
        }

    def answers(self):
        return {"labels": list(self.labels), "problem_type": "multi_label_classification"}

    def commonest(self, split):
        there = self.targets_of(split) > 0.5
        said = np.zeros_like(there)
        said[:, there.sum(0).argmax()] = True
        _, counts = np.unique(there, axis=0, return_counts=True)
        return self._score(said, there) | {"exact": float(counts.max() / len(there))}  # of the commonest set


@dataclass(frozen=True)
class Regression(OfText):
    """A number; the model learns it as distance from `mean`, in units of `deviation`, by which any scale will do."""

    mean: float
    deviation: float
    google_head: bool = False
    first_keeps_odd: bool = False
    long: str = "truncate"
    kind = "regression"
    labels = ()
    hits = None
    usual = "spearman"
    selecting = ("spearman", "pearson")

    @classmethod
    def of(cls, records: Sequence[Record], scale: float | None = None, **more) -> "Regression":
        """`scale`: see `FineTuning.label_scale`."""
        values = _numbers(records)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = float(values.mean()), float(values.std())
        if not np.isfinite([mean, deviation]).all():
            raise InputError(
                f"the numbers are too large, up to {np.abs(values).max():g}",
                where=records[0].where.rpartition(",")[0],
                expected="numbers whose squares can be added up",
                remedy="give them in a larger unit",
            )
        if deviation == 0:
            raise InputError(
                f"all rows have the value {values[0]:g}",
                where=records[0].where.rpartition(",")[0],
                expected="numbers that differ",
                remedy="see that --label names the right column: from equal numbers nothing can be learned",
            )
        return cls(mean, deviation, **more) if scale is None else cls(0.0, scale, **more)

    def targets(self, records):
        values = (_numbers(records) - self.mean) / self.deviation
        return {"target": values.astype(np.float32), "weight": np.ones(len(values), np.float32)}

    def loss(self, outputs, batch):
        return tf.square(outputs[:, 0] - batch["target"])

    def score(self, outputs, split):
        answers, targets = self.of_records(outputs, split)[:, 0], self.targets_of(split)
        return {
            "pearson": metrics.pearson(targets, answers),
            "spearman": metrics.spearman(targets, answers),
            "rmse": float(np.sqrt(np.mean((answers - targets) ** 2)) * self.deviation),
        }

    def answers(self):
        return {"labels": [], "multiply": self.deviation, "add": self.mean}

    def commonest(self, split):
        return self.score(np.zeros((len(split.rows), 1), np.float32), split)


def names_of(record) -> list[str]:
    """The labels of a row of a multilabel task, or of an answer, as they are parted in its `label`."""
    return [name.strip() for name in (record.label or "").split("|") if name.strip()]


def _check_length(label, where):
    if len(label) > _LONGEST:
        raise InputError(
            f"the label has {len(label):,} characters: {label[:60]!r}...",
            where=where,
            expected="the name of a class",
            remedy="check the column of the labels: --label names it",
        )


def weights_of(class_weights, labels: Sequence[str], counts) -> tuple[float, ...]:
    """Of each label: 1; inverse to how often it is there; or as a table by name has it, 1 where it does not.

    Raises: `InputError` for a name in the table that is no label.
    """
    if class_weights == "none":
        return (1.0,) * len(labels)
    if class_weights == "balanced":
        total = sum(counts[label] for label in labels)
        return tuple(total / (len(labels) * counts[label]) for label in labels)
    for name in class_weights:
        if name not in labels:
            raise InputError(
                f"class_weights has a weight for {name!r}, which is no label",
                where="FineTuning",
                expected=f"some of {', '.join(map(repr, labels))}",
            )
    return tuple(float(class_weights.get(label, 1.0)) for label in labels)


def alike(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of labels that are probably meant as one: they differ in case, width or writing of a number alone."""
    seen = {}
    for label in labels:
        key = unicodedata.normalize("NFKC", label).casefold()
        number = _order(key)
        seen.setdefault(number[:2] if number[0] == 0 else key, []).append(label)
    return [(same[0], other) for same in seen.values() for other in same[1:]]


def _check_label(record):
    if not record.label:
        raise InputError(
            "the label is empty", where=record.where, expected="the name of a class", remedy="add it, or drop the row"
        )
    _check_length(record.label, record.where)


def check_told_apart(labels: Iterable[str], where) -> None:
    """Raises `InputError` for labels between which nobody sees a difference: they are meant as one."""
    seen = {}
    for label in labels:
        if (other := seen.setdefault(_as_seen(label), label)) != label:
            raise InputError(
                f"the labels {other!a} and {label!a} look the same",
                where=where,
                expected="labels that differ in more than Unicode's normal form, blanks and marks that are not seen",
                remedy="write both as one",
            )


def _as_seen(label):
    seen = "".join(
        c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) not in ("Cf", "Cc") or c in _JOINERS
    )
    return " ".join(seen.split())


def _check_known(label, where, labels):
    if label not in labels:
        alike = [ascii(known) for known in labels if _as_seen(known) == _as_seen(label)]
        raise InputError(
            f"the label {label!r} is none of the training file's"
            + (f"; as characters {label!a}, which only looks like {alike[0]}" if alike else ""),
            where=where,
            expected=f"one of {', '.join(map(repr, labels))}",
            remedy="correct it, leave the row out, or add rows of it to the training file",
        )


def _order(label):
    try:
        number = float(label)
    except ValueError:
        number = np.nan
    return (1, 0.0, label) if np.isnan(number) else (0, number, label)


def _numbers(records):
    values = np.empty(len(records))
    for place, record in enumerate(records):
        try:
            values[place] = float(record.label)
        except ValueError:
            values[place] = np.nan
        if not np.isfinite(values[place]):
            raise InputError(
                f"the label is {record.label!r}",
                where=record.where,
                expected="a finite number",
                remedy="correct the row, or take it out; names are learned by --task classification",
            )
    return values
