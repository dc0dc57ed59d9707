"""Runs transformers' TensorFlow classes on folders with tf_model.h5: needs transformers 4 and TF_USE_LEGACY_KERAS=1.

python tensorflow_classes.py FOLDER...   reads FOLDER.npz (ids, mask, types), writes FOLDER.out.npz
"""

import json
import sys
from pathlib import Path

import numpy as np
import transformers


def main():
    for folder in map(Path, sys.argv[1:]):
        name = json.loads((folder / "config.json").read_text())["architectures"][0]
        model, report = getattr(transformers, f"TF{name}").from_pretrained(folder, output_loading_info=True)
        ids, mask, types = np.load(folder.with_suffix(".npz")).values()
        logits = model(ids, attention_mask=mask, token_type_ids=types).logits.numpy()
        missing, unexpected = report["missing_keys"], report["unexpected_keys"]
        np.savez(folder.with_suffix(".out.npz"), logits=logits, missing=missing, unexpected=unexpected)


if __name__ == "__main__":
    main()
