"""Rows of ids in batches of like length: a source for the loop whose order is a function of (seed, step).

Axes: B rows, C choices, T tokens.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import tensorflow as tf

from electra_tf.data.randomness import permutation
from electra_tf.text.tokenizer import Encoding, Tokenizer

# Few lengths, since a compiled program serves one: the next is at most 4 tokens or an eighth longer.
_LENGTHS = [n for n in range(4, 1 << 16, 4) if n % (max(64, 1 << n.bit_length()) // 16) == 0]
_INPUTS = ("input_ids", "input_mask", "segment_ids")
_MIXED = 50  # batches among which rows are sorted by length


class Rows:
    """Encoded texts with what is learned of them.

    Args:
        encodings: of texts or pairs; or of the C choices of each row, which then has the axes [C, T].
        targets: arrays whose first axis is the row.
        length: of the longest row; batches have this length or a shorter one of `lengths`.
        by_token: of each row an array [T], padded with 0.
    """

    def __init__(
        self,
        encodings: Sequence[Encoding] | Sequence[Sequence[Encoding]],
        targets: Mapping[str, np.ndarray],
        length: int,
        by_token: Mapping[str, Sequence[np.ndarray]] | None = None,
    ):
        self.has_choices = bool(len(encodings)) and not isinstance(encodings[0], Encoding)
        several = encodings if self.has_choices else [[encoding] for encoding in encodings]
        self.ids = [[np.array(one.ids, np.int32) for one in row] for row in several]
        self.segments = [[np.array(one.type_ids, np.int32) for one in row] for row in several]
        self.targets, self.by_token, self.length = dict(targets), dict(by_token or {}), length
        self.sizes = np.array([max(map(len, row)) for row in self.ids])
        self.lengths = np.array([*(n for n in _LENGTHS if n < length), length])

    def __len__(self) -> int:
        return len(self.ids)

    def length_of(self, rows) -> int:
        """T of a batch of these rows."""
        return int(self.lengths[np.searchsorted(self.lengths, self.sizes[rows].max())])

    def batch(self, rows, length: int) -> dict[str, np.ndarray]:
        """`input_ids`, `input_mask`, `segment_ids`, int32 [B, T] or [B, C, T], and the targets."""
        shape = (len(rows), len(self.ids[rows[0]]), length)
        batch = {name: np.zeros(shape, np.int32) for name in _INPUTS}
        for place, row in enumerate(rows):
            for choice, (ids, segments) in enumerate(zip(self.ids[row], self.segments[row], strict=True)):
                batch["input_ids"][place, choice, : len(ids)] = ids
                batch["segment_ids"][place, choice, : len(ids)] = segments
                batch["input_mask"][place, choice, : len(ids)] = 1
        if not self.has_choices:
            batch = {name: array[:, 0] for name, array in batch.items()}
        for name, arrays in self.by_token.items():
            batch[name] = np.zeros((len(rows), length), _dtype(arrays))
            for place, row in enumerate(rows):
                batch[name][place, : len(arrays[row])] = arrays[row]
        return batch | {name: array[rows] for name, array in self.targets.items()}

    def signature(self, rows: int) -> dict[str, tf.TensorSpec]:
        """Of batches of so many rows; their length is not said."""
        choices = [len(self.ids[0])] if self.has_choices else []
        signature = dict.fromkeys(_INPUTS, tf.TensorSpec([rows, *choices, None], tf.int32))
        signature |= {name: tf.TensorSpec([rows, None], _dtype(arrays)) for name, arrays in self.by_token.items()}
        return signature | {
            name: tf.TensorSpec([rows, *array.shape[1:]], array.dtype) for name, array in self.targets.items()
        }

    def fingerprint(self) -> bytes:
        """A hash of all that is in it."""
        digest = hashlib.sha256()
        for ids, segments in zip(self.ids, self.segments, strict=True):
            for array in (*ids, *segments):
                digest.update(len(array).to_bytes(4, "little") + array.tobytes())
        for name, arrays in [*self.targets.items(), *self.by_token.items()]:
            digest.update(name.encode())
            for array in arrays:
                digest.update(array.tobytes())
        return digest.digest()


def _dtype(arrays):
    return arrays[0].dtype if len(arrays) else np.int32


class Batches:
    """A `training.objective.Source` of rows in memory.

    An epoch is a permutation by (seed, epoch). Within every 50 batches of it rows are sorted by the length that they
    are padded to and cut into batches; batches of one length follow each other there, in an order drawn anew. The last
    batch of an epoch is filled up with rows of its beginning.

    Args:
        rows: what is learned. tokenizer: the vocabulary of its ids. path: where the rows came from, for `run.json`.
        dev: a hash of the rows that choose the checkpoint.
    """

    def __init__(self, rows: Rows, tokenizer: Tokenizer, path, dev: str = ""):
        self.rows, self.tokenizer = rows, tokenizer
        self.identity = hashlib.sha256(tokenizer.fingerprint.encode() + rows.fingerprint()).hexdigest()
        tokens = int(rows.sizes.sum())
        fill_rate = tokens / (len(rows) * rows.length)
        self.facts = {"path": str(path), "examples": len(rows), "tokens": tokens, "length": rows.length}
        self.facts |= {"fill_rate": fill_rate, "dev": dev}
        self._epoch = lru_cache(2)(self._make_epoch)

    def steps_an_epoch(self, rows: int) -> int:
        return -(-len(self.rows) // rows)

    def batches(self, rows: int, *, seed: int, start_step: int = 0) -> tf.data.Dataset:
        def generate():
            step = start_step
            while True:
                chosen, length = self._at(rows, seed, step)
                yield self.rows.batch(chosen, length)
                step += 1

        return tf.data.Dataset.from_generator(generate, output_signature=self.rows.signature(rows))

    def stretch(self, rows: int, *, seed: int, step: int) -> tuple[int, float]:
        (_, length), alike = self._at(rows, seed, step), 1
        epoch, place = divmod(step, self.steps_an_epoch(rows))
        plan = self._epoch(rows, seed, epoch)
        while place + alike < len(plan) and plan[place + alike][1] == length:
            alike += 1
        return length, alike

    def verify(self, say) -> None:
        """There is nothing to verify: `identity` is a hash of the rows themselves."""

    def explain_damage(self, error: Exception) -> Exception:
        return error

    def _at(self, rows, seed, step):
        epoch, place = divmod(step, self.steps_an_epoch(rows))
        return self._epoch(rows, seed, epoch)[place]

    def _make_epoch(self, rows, seed, epoch):
        """(rows of a batch, its length) for every batch of an epoch."""
        order = permutation(len(self.rows), seed, epoch)
        order = np.resize(order, self.steps_an_epoch(rows) * rows)
        plan = []
        for number, first in enumerate(range(0, len(order), rows * _MIXED)):
            some = order[first : first + rows * _MIXED]
            some = some[np.argsort(np.searchsorted(self.rows.lengths, self.rows.sizes[some]), kind="stable")]
            batches = [some[at : at + rows] for at in range(0, len(some), rows)]
            cut = [(batch, self.rows.length_of(batch)) for batch in batches]
            lengths = sorted({length for _, length in cut})
            turn = [lengths[n] for n in permutation(len(lengths), seed, epoch, number)]
            for length in turn:
                alike = [batch for batch in cut if batch[1] == length]
                plan += [alike[n] for n in permutation(len(alike), seed, epoch, number, length)]
        return plan
