"""A tag for every word of a sentence, long sentences in overlapping windows.

Axes: B rows (windows of a sentence), T tokens, U units of a window, N tags.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from electra_tf.errors import InputError
from electra_tf.finetuning import metrics
from electra_tf.finetuning.batching import Rows
from electra_tf.finetuning.classification import check_told_apart, weights_of
from electra_tf.finetuning.tagged_files import Sentence
from electra_tf.finetuning.tags import Scheme, entities, entity_scores, google_entities, part_and_type, tag_of
from electra_tf.finetuning.task import Split
from electra_tf.finetuning.windows import windows_of_units
from electra_tf.models.task_models import TokenClassifier
from electra_tf.text.tokenizer import Encoding


class Units(NamedTuple):
    """What of a sentence gets a tag each: its words; of a sentence of characters, its pieces.

    `ids` are the pieces of each unit, `words` the word whose tag it has, `of_words` the unit of each word, -1 for none.
    """

    ids: list[list[int]]
    words: list[int]
    of_words: list[int]


@dataclass(frozen=True)
class TaggedSplit(Split):
    """`places` are the windows of the rows; `units` those of each sentence."""

    units: Sequence[Units] = ()


@dataclass(frozen=True)
class Tagging:
    """The tag of each word is learned at its first piece.

    Attributes:
        labels: the tags. weights: of a word of each. scheme: how they are written.
        google_head: no dropout before the layer. google_entities: see `tags.google_entities`.
        cut_sentences: what is learned and scored is `as_google_cuts`. joined: texts are tagged by their characters.
    """

    labels: tuple[str, ...]
    weights: tuple[float, ...]
    scheme: Scheme
    google_head: bool = False
    google_entities: bool = False
    cut_sentences: bool = False
    joined: bool = False
    kind = "tagging"
    tells_loss = True
    special = 2
    selecting = ("f1", "precision", "recall", "accuracy")

    @classmethod
    def of(cls, sentences: Sequence[Sentence], scheme: Scheme, class_weights="none", **more) -> "Tagging":
        """The tags of the training sentences: O first, the others by type and part."""
        counts = Counter(tag for sentence in sentences for tag in sentence.tags)
        if len(counts) < 2:
            raise InputError(
                f"all words have the tag {next(iter(counts), None)!r}",
                where=sentences[0].where.rpartition(",")[0],
                expected="two tags or more",
                remedy="check the column of the tags: --label takes its number",
            )
        check_told_apart(counts, sentences[0].where.rpartition(",")[0])
        labels = sorted(counts, key=lambda tag: (tag != "O", part_and_type(tag, scheme.suffix)[::-1]))
        if scheme.name == "none":
            labels = sorted(counts)
        joined = all(sentence.joined for sentence in sentences)
        return cls(tuple(labels), weights_of(class_weights, labels, counts), scheme, joined=joined, **more)

    @property
    def in_windows(self) -> bool:
        return not self.cut_sentences

    @property
    def usual(self) -> str:
        return "accuracy" if self.scheme.name == "none" else "f1"

    def heads(self, config):
        return ("token_classifier",)

    def build(self, config, encoder=None, dtype="float32"):
        rate = 0.0 if self.google_head else None
        return TokenClassifier(config, len(self.labels), encoder=encoder, head_dropout=rate, dtype=dtype)

    def split(self, records, tokenizer, length, learned=True):
        if self.cut_sentences and learned:
            records = as_google_cuts(records, tokenizer, length)
        units = units_of(records, tokenizer)
        windows, encodings, arrays = [], [], {"unit_positions": [], "target": [], "weight": []}
        for at, (sentence, own) in enumerate(zip(records, units, strict=True)):
            tags = [self._number(sentence, word) for word in own.words] if learned else []
            for window in windows_of_units(at, [len(ids) for ids in own.ids], length - 2):
                ids, starts = [tokenizer.cls_id], []
                for unit in own.ids[window.first : window.end]:
                    starts.append(len(ids))
                    ids += unit[: length - 2]
                ids.append(tokenizer.sep_id)
                encodings.append(Encoding(ids, [0] * len(ids), [], []))
                windows.append(window)
                target, weight = np.zeros((2, len(starts)))
                if learned:
                    target = np.array(tags[window.first : window.end], int)
                    its = target[window.own]
                    weight[window.own] = np.where(its < 0, 0.0, np.array(self.weights)[its])
                    target = np.maximum(target, 0)
                arrays["unit_positions"].append(np.array(starts, np.int32))
                arrays["target"].append(target.astype(np.int32))
                arrays["weight"].append(weight.astype(np.float32))
        by_token = arrays if learned else {"unit_positions": arrays["unit_positions"]}
        return TaggedSplit(records, Rows(encodings, {}, length, by_token), windows, units)

    def pieces(self, records, tokenizer):
        return [[piece for ids in units.ids for piece in ids] for units in units_of(records, tokenizer)]

    def lost(self, records, pieces, tokenizer, length):
        room = length - 2
        if self.cut_sentences:
            kept = [len(one.words) for one in as_google_cuts(records, tokenizer, length, empty=True)]
            return [
                sum(map(len, own.ids[count:])) for own, count in zip(units_of(records, tokenizer), kept, strict=True)
            ]
        return [sum(max(0, len(ids) - room) for ids in own.ids) for own in units_of(records, tokenizer)]

    def outputs(self, model, hidden, batch, training, seed):
        """Logits [B, U, N] of each unit."""
        return tf.gather(model.score(hidden, training, seed), batch["unit_positions"], batch_dims=1)

    def loss(self, outputs, batch):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], outputs)

    def hits(self, outputs, batch):
        return tf.cast(tf.argmax(outputs, -1, output_type=tf.int32) == batch["target"], tf.float32)

    def of_units(self, outputs: Sequence[np.ndarray], split: TaggedSplit) -> list[np.ndarray]:
        """Logits [units, N] of every sentence, each unit from the window that answers for it."""
        found = [[np.zeros((0, len(self.labels)), np.float32)] for _ in split.records]
        for window, logits in zip(split.places, outputs, strict=True):
            found[window.sentence].append(logits[: window.end - window.first][window.own])
        return [np.concatenate(parts) for parts in found]

    def calibrated(self, outputs, split):
        pairs = zip(split.records, split.units, strict=True)
        right = np.array([self._number(record, word) for record, units in pairs for word in units.words])
        return np.concatenate(self.of_units(outputs, split))[right >= 0], right[right >= 0]

    def _number(self, sentence, word) -> int:
        """Of a word's tag; -1 for one that training never saw, though it saw its type: it can only be answered wrongly.

        Raises: `InputError` where the type is new, too.
        """
        tag = sentence.tags[word]
        if tag in self.labels:
            return self.labels.index(tag)
        kinds = {part_and_type(label, self.scheme.suffix)[1] for label in self.labels if label != "O"}
        if self.scheme.name == "none" or part_and_type(tag, self.scheme.suffix)[1] not in kinds:
            raise InputError(
                f"the tag {tag!r} is none of the training file's",
                where=sentence.where,
                expected=f"one of {', '.join(self.labels)}",
                remedy="correct it, or add sentences with it to the training file",
            )
        return -1

    def tags_of(self, units: Units, numbers: Sequence[int]) -> list[str]:
        """The tag of every word, from that of each unit; see `filled`."""
        tags = []
        for word, unit in enumerate(units.of_words):
            tag = "O" if unit < 0 else self.labels[numbers[unit]]
            if unit >= 0 and units.words[unit] != word:  # a character within a piece goes on
                part, kind = part_and_type(tag, self.scheme.suffix)
                if part == "B" and self.scheme.name != "none":
                    tag = tag_of("I", kind, self.scheme.suffix)
            tags.append(tag)
        return self.filled(tags, [word for word, unit in enumerate(units.of_words) if unit < 0])

    def filled(self, tags: Sequence[str], unseen: Sequence[int]) -> list[str]:
        """Tags with those of the places `unseen`, which are blanks: O, but I between two characters of an entity."""
        tags, unseen, waiting, behind = list(tags), {*unseen}, [], ""
        for place in range(len(tags) - 1, -1, -1) if unseen and self.scheme.name != "none" else ():
            if place in unseen:
                tags[place] = "O"
                waiting.append(place)
                continue
            part, kind = part_and_type(tags[place], self.scheme.suffix)
            if part in "BI" and kind == behind:
                for blank in waiting:
                    tags[blank] = tag_of("I", kind, self.scheme.suffix)
            behind, waiting = kind if part in "IE" else "", []
        return tags

    def score(self, outputs, split):
        logits = self.of_units(outputs, split)
        said = [self.tags_of(own, one.argmax(-1)) for own, one in zip(split.units, logits, strict=True)]
        return self._score(said, split)

    def _score(self, said, split):
        there = [sentence.counted(sentence.tags) for sentence in split.records]
        said = [sentence.counted(tags) for sentence, tags in zip(split.records, said, strict=True)]
        right = metrics.accuracy([t for s in there for t in s], [t for s in said for t in s])
        if self.scheme.name == "none":
            return {"accuracy": right}
        return entity_scores(self.entities(there), self.entities(said)) | {"accuracy": right}

    def entities(self, sentences: Sequence[Sequence[str]]) -> list[set]:
        """The entities of each sentence."""
        if self.google_entities:
            return [set(google_entities(tags)) for tags in sentences]
        return [set(entities(tags, self.scheme.suffix)) for tags in sentences]

    def answers(self):
        return {"labels": list(self.labels), "scheme": list(self.scheme), "joined": self.joined}

    def commonest(self, split):
        tags = Counter(tag for sentence in split.records for tag in sentence.tags)
        most = tags.most_common(1)[0][0]
        return self._score([[most] * len(sentence.words) for sentence in split.records], split)


def units_of(sentences: Sequence[Sentence], tokenizer) -> list[Units]:
    """Of every sentence. A word without pieces is unknown."""
    words = list(dict.fromkeys(word for sentence in sentences if not sentence.joined for word in sentence.words))
    encoded = tokenizer.encode_batch(words, add_special_tokens=False)
    ids = {word: one.ids or [tokenizer.unk_id] for word, one in zip(words, encoded, strict=True)}
    found = []
    for sentence in sentences:
        if sentence.joined:
            found.append(_of_characters(sentence, tokenizer))
        else:
            numbers = list(range(len(sentence.words)))
            found.append(Units([ids[word] for word in sentence.words], numbers, numbers))
    return found


def as_google_cuts(sentences: Sequence[Sentence], tokenizer, length: int, empty: bool = False) -> list[Sentence]:
    """The first words of each: the number of its words counts against the length as pieces do. None is left of a
    sentence of length - 3 words or more, and it is left out unless `empty`; Google's code trains on it without a label,
    and fails where it is scored.
    """
    found = []
    for sentence, own in zip(sentences, units_of(sentences, tokenizer), strict=True):
        pieces = 1 + np.cumsum([0, *map(len, own.ids)])  # before each word, [CLS] included
        fitting = len(own.ids) + 2 + pieces[:-1] + 1 <= length
        kept = len(fitting) if fitting.all() else int(fitting.argmin())
        if kept or empty:
            found.append(sentence._replace(words=sentence.words[:kept], tags=sentence.tags[:kept]))
    return found


def _of_characters(sentence, tokenizer):
    """The pieces of the text that the words of a sentence are, one behind another."""
    encoding = tokenizer.encode("".join(sentence.words), add_special_tokens=False)
    word_of = [number for number, word in enumerate(sentence.words) for _ in word]
    units = Units([], [], [-1] * len(sentence.words))
    for piece, (first, end) in zip(encoding.ids, encoding.offsets, strict=True):
        inside = [word for word in word_of[first:end] if not sentence.words[word].isspace()]
        inside = [word for word in inside if units.of_words[word] < 0]
        if inside:
            units.words.append(inside[0])
            for word in inside:
                units.of_words[word] = len(units.ids)
            units.ids.append([piece])
        elif units.ids:
            units.ids[-1].append(piece)
    return units
