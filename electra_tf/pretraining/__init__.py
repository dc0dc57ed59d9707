"""Pre-training objectives. Axes: B batch rows, T tokens, P predicted positions, V vocabulary."""
