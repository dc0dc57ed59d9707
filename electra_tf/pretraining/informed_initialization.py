"""Initial weights that know what every text has: tokens depend on their neighbours, and some are frequent.

From random weights attention is spread evenly over the sequence, so that a neighbour's influence drowns in it: for
millions of tokens a small model learns the tokens' frequencies and nothing else. Here the first block's heads
begin by looking at a neighbour each, and the masked-LM head at the frequencies. What comes out is an ordinary model.
"""

import math
from collections.abc import Sequence

import numpy as np

from electra_tf.errors import ConfigError
from electra_tf.layers.embeddings import Table

_OFFSETS = (-1, 1, -2, 2)  # of the neighbour that a head looks at; later heads stay random
_SCORE = 28.0  # of that neighbour before the softmax; the others are near 0


def start_informed(encoders: Sequence, head, frequencies: np.ndarray) -> None:
    """Replaces some of the initial weights of encoders that are trained together.

    Positions become sinusoids whose frequencies repeat every `size` dimensions, `size` being that of the smallest
    head; a projection to another width keeps them apart; the first block's keys read their own position, its
    queries that of a neighbour, which is a rotation of their own.

    Args:
        encoders: as just built. head: the masked-LM head of one of them, or None.
        frequencies: float `[V]`, of the tokens in the training text, all positive.

    Raises: `ConfigError` where the widths are no multiples of the smallest head's.
    """
    size = min(tower.config.hidden_size // tower.config.num_attention_heads for tower in encoders)
    widths = {width for tower in encoders for width in (tower.config.hidden_size, tower.config.embedding_size)}
    if size % 2 or any(width % size for width in widths):
        raise ConfigError(
            f"heads of {size} do not divide widths of {', '.join(map(str, sorted(widths)))}",
            where="initial_weights",
            expected="an even size of the smallest head that divides all widths, for the weights 'informed'",
            remedy="change the number of heads, or use the weights 'random'",
        )
    for tower in encoders:
        _look_at_neighbours(tower, size)
    if head is not None:
        bias = np.full(head.output_bias.shape, frequencies.min())  # rows beyond the vocabulary as the rarest
        bias[: len(frequencies)] = frequencies
        head.output_bias.assign(np.log(bias).astype("float32"))


def _look_at_neighbours(tower, size):
    c, embeddings = tower.config, tower.embeddings
    angles = _angular_frequencies(size)
    code = _positions(c.max_position_embeddings, angles)
    blocks = c.embedding_size // size
    if isinstance(embeddings.position, Table):  # and no difference from the generator's
        embeddings.position.embeddings.assign(c.initializer_range * np.tile(code, (1, blocks)))
    if tower.projection is not None:
        tower.projection.kernel.assign(np.kron(_averages(blocks, c.hidden_size // size), np.eye(size)))

    # What of the position is in the middle of the blocks, in units of the layer norm's output.
    words = np.asarray(embeddings.word.embeddings)
    scale = c.initializer_range / math.sqrt(np.mean(words**2) + c.initializer_range**2 / 2)
    per_block = np.ones(blocks)
    if tower.projection is not None:
        per_block = per_block @ _averages(blocks, c.hidden_size // size)
    reading = per_block / np.linalg.norm(per_block)
    strength = scale * np.linalg.norm(per_block)
    head = c.hidden_size // c.num_attention_heads
    gain = math.sqrt(_SCORE * math.sqrt(head) / (size / 2)) / strength

    kernel = np.asarray(tower.transformer.blocks[0].attention.qkv.kernel).copy()
    for number, offsets in enumerate(_offsets_of_heads(c.num_attention_heads)):
        queries = slice(number * head, number * head + size)
        keys = slice(c.hidden_size + queries.start, c.hidden_size + queries.stop)
        rotation = sum(_rotation(angles * offset) for offset in offsets)
        kernel[:, queries] = gain * np.kron(reading[:, None], rotation)
        kernel[:, keys] = gain * np.kron(reading[:, None], np.eye(size))
    tower.transformer.blocks[0].attention.qkv.kernel.assign(kernel)


def _offsets_of_heads(heads):
    """The neighbours of each head that gets any: one, or both adjacent ones if there is a single head."""
    return [_OFFSETS[:2]] if heads == 1 else [(offset,) for offset in _OFFSETS[:heads]]


def _angular_frequencies(size):
    """`[size / 2]`, one in each of as many equal parts of 0 .. pi, so that positions below `size` hardly overlap.

    Within its part each is moved by a multiple of the golden ratio, without which position `size` were the negative
    of position 0.
    """
    numbers = np.arange(size // 2)
    return np.pi * (numbers + (numbers + 0.5) * (math.sqrt(5) - 1) / 2 % 1) / (size // 2)


def _positions(count, angles):
    """`[count, size]`: cosine and sine of every frequency, side by side."""
    turned = np.arange(count)[:, None] * angles
    return np.stack([np.cos(turned), np.sin(turned)], -1).reshape(count, -1)


def _rotation(turns):
    """`[size, size]`, which takes (cos a, sin a) as a row to (cos(a + turn), sin(a + turn)) for every frequency."""
    matrix = np.zeros((2 * len(turns), 2 * len(turns)))
    for number, turn in enumerate(turns):
        pair = slice(2 * number, 2 * number + 2)
        matrix[pair, pair] = [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]
    return matrix


def _averages(blocks, outputs):
    """`[blocks, outputs]`: each output the sum of the blocks it gets, of the variance of one."""
    matrix = np.zeros((blocks, outputs))
    for number in range(max(blocks, outputs)):
        matrix[number % blocks, number % outputs] = 1
    return matrix / np.sqrt(matrix.sum(0))
