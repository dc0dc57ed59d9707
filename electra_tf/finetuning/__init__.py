"""Fine-tuning: a checkpoint and a file of labelled texts become a model with a score."""
