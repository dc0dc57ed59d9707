"""What counting neighbours gives: a mixture of n-gram frequencies, as a measure for masked LMs on the same positions.

p(w) is a mixture of relative frequencies, each given some of the neighbours; the training text's are counted, and the
weights are tuned on a slice of it that is not counted. There is a set of weights for each set of contexts that were
seen, since a context that never came says nothing. Counting knows the original neighbours, where a masked LM sees
[MASK] at those that are masked, too.
"""

import numpy as np

# By name, the contexts whose frequencies are mixed: places relative to the token.
MIXTURES = {
    "left": ((-1,), (-2, -1)),
    "both": ((-1,), (1,), (-2, -1), (1, 2), (-1, 1)),
}
_WIDEST = 2
_TUNED = 0.05  # share of the rows
_ROUNDS = 20


class Neighbours:
    """A mixture over the contexts of `MIXTURES[name]` and the tokens' own frequencies.

    Args:
        rows: int [N, T], training examples. frequencies: float [V], of every token, none 0. name: of the mixture.
    """

    def __init__(self, rows: np.ndarray, frequencies: np.ndarray, name: str):
        self.frequencies, self.size, self.contexts = frequencies, len(frequencies), MIXTURES[name]
        tuned = max(1, int(_TUNED * len(rows)))
        around, words = _windows(rows[tuned:])
        self._counts = [self._counted(around, words, context) for context in self.contexts]
        around, words = _windows(rows[:tuned])
        self._weights = self._tuned(*self._shares(around, words))

    def loss(self, rows: np.ndarray, where: np.ndarray) -> float:
        """The mean of -log p, in nats, of the tokens of `rows` at `where`, bool [N, T]."""
        return float(self.surprise(rows)[where].mean())

    def surprise(self, rows: np.ndarray) -> np.ndarray:
        """-log p of every token, float [N, T]."""
        shares, seen = self._shares(*_windows(rows))
        return -np.log((self._weights[seen] * shares).sum(-1)).reshape(rows.shape)

    def _key(self, around, context):
        key = np.zeros(len(around), np.int64)
        for place in context:
            key = key * self.size + around[:, place + _WIDEST]
        return key

    def _counted(self, around, words, context):
        key = self._key(around, context)
        return np.unique(key, return_counts=True), np.unique(key * self.size + words, return_counts=True)

    def _shares(self, around, words):
        """Of each token, its frequencies by context, float [M, 1 + contexts]; and which contexts were seen, int [M]."""
        shares, seen = [self.frequencies[words]], np.zeros(len(words), int)
        for number, (context, (contexts, pairs)) in enumerate(zip(self.contexts, self._counts, strict=True)):
            key = self._key(around, context)
            times = _looked_up(contexts, key)
            shares.append(_looked_up(pairs, key * self.size + words) / np.maximum(times, 1))
            seen += (times > 0) << number
        return np.stack(shares, -1), seen

    def _tuned(self, shares, seen):
        """Weights by the set of seen contexts, float [2^contexts, 1 + contexts], by expectation maximisation."""
        number = np.arange(1 << len(self.contexts))[:, None]
        allowed = np.concatenate([np.ones_like(number), number >> np.arange(len(self.contexts)) & 1], 1)
        weights = allowed / allowed.sum(-1, keepdims=True)
        for _ in range(_ROUNDS):
            parts = weights[seen] * shares
            parts /= parts.sum(-1, keepdims=True)
            sums = 0.1 * allowed.astype(float)  # sets that the slice hardly has stay near even weights
            np.add.at(sums, seen, parts)
            weights = sums / sums.sum(-1, keepdims=True)
        return weights


def _windows(rows):
    """(tokens around each token, int64 [N * T, 5]; each token, int64 [N * T]); beyond the ends stands token 0."""
    padded = np.pad(rows.astype(np.int64), ((0, 0), (_WIDEST, _WIDEST)))
    around = np.stack([padded[:, k : k + rows.shape[1]] for k in range(2 * _WIDEST + 1)], -1)
    return around.reshape(-1, 2 * _WIDEST + 1), rows.astype(np.int64).reshape(-1)


def _looked_up(table, keys):
    known, counts = table
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[places] == keys, counts[places], 0)
