"""Text to ids and back: both kinds of tokenizer, their files, and the training of vocabularies."""
