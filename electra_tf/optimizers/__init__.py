"""Optimizers and schedules: formulas only."""

from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.lamb import Lamb

OPTIMIZERS = {"adamw": AdamW, "lamb": Lamb}
