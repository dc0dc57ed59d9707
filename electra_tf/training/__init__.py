"""The loop: steps, devices, checkpoints, evaluation, health."""
