"""Vocabularies that exist only as numbers."""

import numpy as np

from electra_tf.pretraining.tokens import Tokens


def numbered(size: int, pad=0, cls=1, sep=2, mask=3, unk=4, begins=None) -> Tokens:
    """`size` tokens with these special ids, each of which begins a word unless `begins` says otherwise."""
    return Tokens(pad, unk, cls, sep, mask, size, np.ones(size, bool) if begins is None else begins)
