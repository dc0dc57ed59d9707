"""TFRecords that Google's code made, for ELECTRA or for ALBERT: what they hold, and whether it can be meant.

ALBERT's hold an example that is masked and, maybe, swapped already: `masked_lm_positions`, `masked_lm_ids` (what
stood there), `masked_lm_weights` (0 for padding), and `next_sentence_labels`, which for ALBERT says whether the
segments are in order. `token_boundary` (1 where a word begins) is checked but not read: the masks are there.
"""

import numpy as np

from electra_tf.data.examples import FEATURES, ORDER, STATIC_MASKS, WEIGHTS, decode
from electra_tf.errors import DataError

_BOUNDARY = "token_boundary"
_REMAKE = "give records made by ALBERT's create_pretraining_data.py or ELECTRA's build_pretraining_dataset.py"
ALBERT = (*FEATURES, _BOUNDARY, *STATIC_MASKS, ORDER)


class RecordCheck:
    """Checks records, one after another. The first says which features all must have.

    Args:
        length: tokens of an example.
        tokenizer: a `Tokenizer`, of the vocabulary they were made with.
    """

    def __init__(self, length: int, tokenizer):
        self._length, self.tokenizer = length, tokenizer
        self._sizes = self._first = None

    def __call__(self, record: bytes, where: str) -> dict[str, np.ndarray]:
        """The features of a record, as `examples.decode` gives them.

        Raises: `DataError` for what is no example, and for one that lacks a feature, or has one of another size or
        with values that cannot be meant.
        """
        try:
            example = decode(record)
        except DataError as error:
            raise DataError(error.found, where=where, expected=error.expected, remedy=_REMAKE) from error
        found = _sizes(example)
        if self._sizes is None:
            _check_sizes(example, found, self._length, where)
            self._sizes, self._first = found, where
        elif found != self._sizes:
            raise DataError(
                f"a record holds {_in_words(found)}",
                where=where,
                expected=f"{_in_words(self._sizes)}, as in {self._first}",
                remedy="give files of one kind, made with the same settings",
            )
        _check_values(example, self.tokenizer, where)
        return example

    @property
    def features(self) -> dict[str, int]:
        """The sizes of the features that are read: `Manifest.features`."""
        return {name: size for name, size in self._sizes.items() if name != _BOUNDARY}


def _sizes(example):
    return {name: len(example[name]) for name in ALBERT if name in example}


def _check_sizes(example, found, length, where):
    is_albert = any(name in found for name in (_BOUNDARY, *STATIC_MASKS))
    wanted = ALBERT if is_albert else FEATURES
    if missing := [name for name in wanted if name not in found]:
        raise DataError(
            f"a record holds no {', no '.join(missing)}; its features are {', '.join(sorted(example)) or 'none'}",
            where=where,
            expected=", ".join(wanted) + (", as ALBERT's records have" if is_albert else ", as ELECTRA's records have"),
            remedy=_REMAKE,
        )
    rows = [name for name in (*FEATURES, _BOUNDARY) if name in found]
    if {found[name] for name in rows} != {length}:
        raise DataError(
            f"a record holds {', '.join(f'{found[name]} {name}' for name in rows)}",
            where=where,
            expected=f"{length} of each",
            remedy="give the length the records were made with",
        )
    masks = [name for name in STATIC_MASKS if name in found]
    if len({found[name] for name in masks}) > 1 or found.get(ORDER, 1) != 1:
        raise DataError(
            f"a record holds {_in_words(found)}",
            where=where,
            expected=f"as many of {', '.join(STATIC_MASKS)}, and 1 {ORDER}",
            remedy=_REMAKE,
        )


def _in_words(sizes):
    return ", ".join(f"{size} {name}" for name, size in sizes.items())


def _check_values(example, tokenizer, where):
    vocabulary = {"input_ids", "masked_lm_ids"}
    ends = {"masked_lm_positions": len(example["input_ids"]), **dict.fromkeys(vocabulary, len(tokenizer))}
    for name in ALBERT:
        values = example.get(name)
        if values is None or not len(values):
            continue
        low, high = values.min(), values.max()
        if name in vocabulary and not 0 <= low <= high < len(tokenizer):
            raise DataError(
                f"a record holds the id {high if high >= len(tokenizer) else low} in {name}",
                where=where,
                expected=f"ids below {len(tokenizer)}, the size of the vocabulary",
                remedy="give the vocabulary the records were made with",
            )
        is_float, end = name == WEIGHTS, ends.get(name, 2)
        if (values.dtype == np.float32) != is_float or not (0 <= low <= high < (np.inf if is_float else end)):
            kind = "float numbers, 0 or more" if is_float else f"whole numbers from 0 to {end - 1}"
            raise DataError(
                f"a record holds {name} from {low} to {high}, as {values.dtype}",
                where=where,
                expected=kind,
                remedy=_REMAKE,
            )
    if example["input_ids"][0] != tokenizer.cls_id:
        raise DataError(
            f"a record begins with the id {example['input_ids'][0]}, {tokenizer.vocabulary[example['input_ids'][0]]}",
            where=where,
            expected=f"{tokenizer.cls_id}, {tokenizer.vocabulary[tokenizer.cls_id]}",
            remedy="give the vocabulary the records were made with",
        )
