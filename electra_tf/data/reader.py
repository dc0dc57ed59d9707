"""Reading a data set as `tf.data`: another order in every epoch, and any position found again by its step alone.

The order is a function of (seed, epoch): shards are permuted, and so are the records of each. Epochs follow one
another without a gap, so step k always takes the examples k * batch_size .. (k + 1) * batch_size - 1 of an endless
sequence. To start there, whole shards are skipped by their counts; nothing has to be saved.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from electra_tf.data.corpus import expand
from electra_tf.data.examples import FEATURES, decode
from electra_tf.data.manifest import Manifest, Shard, read_manifest
from electra_tf.data.records import read_records, scan
from electra_tf.data.shuffling import permutation
from electra_tf.errors import DataError

_SHARDS, _RECORDS = 0, 1  # what is permuted
_READ_BUFFER = 8 << 20
