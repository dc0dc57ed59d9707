"""Two consecutive segments in their order or swapped, which ALBERT learns to tell (Lan et al., 2020).

Axes: B rows, T tokens.
"""

import tensorflow as tf

from electra_tf.training.randomness import seed_of, uniform


def has_pair(batch):
    """Bool [B]: rows of two segments, `[CLS] A [SEP] B [SEP]`."""
    return tf.reduce_sum(batch["segment_ids"] * batch["input_mask"], -1) > 1


def in_any_order(batch, seed: int, step):
    """The batch with every second pair swapped, by chance, and int32 [B]: 1 where it is; for the global batch."""
    judged = has_pair(batch)
    coin = uniform([judged.shape[0]], seed_of(seed, "order", step)) < 0.5
    return swapped(batch, coin), tf.cast(coin & judged, tf.int32)


def swapped(batch, where) -> dict[str, tf.Tensor]:
    """The batch with A and B changed over in the rows `where` (bool [B]) that have both: `[CLS] B [SEP] A [SEP]`."""
    ids, real, segments = batch["input_ids"], batch["input_mask"], batch["segment_ids"]
    place = tf.range(ids.shape[1])[None, :]
    of_b = tf.reduce_sum(segments * real, -1, keepdims=True)  # tokens of B and its [SEP]
    end = tf.reduce_sum(real, -1, keepdims=True)
    of_a = end - of_b  # [CLS], tokens of A and its [SEP]
    source = tf.where(place < of_b, place + of_a - 1, tf.where(place == of_b, of_a - 1, place - of_b))
    source = tf.where((place == 0) | (place >= end - 1), place, source)
    new_segments = tf.cast((place > of_b) & (place < end), segments.dtype)
    here = (where & has_pair(batch))[:, None]
    return {
        **batch,
        "input_ids": tf.where(here, tf.gather(ids, tf.where(here, source, place), batch_dims=1), ids),
        "segment_ids": tf.where(here, new_segments, segments),
    }
