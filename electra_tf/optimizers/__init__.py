"""Optimizers and schedules: formulas only."""
