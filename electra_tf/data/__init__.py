"""From text to shuffled TFRecords, and back as batches that are a function of the step."""
