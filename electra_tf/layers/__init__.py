"""Keras 3 layers of the family, in `keras.ops` only: they run on every Keras backend.

Axes in comments and shapes: B batch, T tokens, P predicted positions, H hidden, E embedding, I intermediate,
N heads, D head size, V vocabulary.
"""
