"""Runs transformers' own classes, in whatever environment starts it; it imports nothing of ours.

    python transformers_peer.py torch run FOLDER...     what each Hugging Face folder computes, to FOLDER.npz
    python transformers_peer.py torch make FOLDER...    a random model of FOLDER/config.json, saved there, likewise
    python transformers_peer.py tensorflow run|make ... the same by the TensorFlow classes of version 4, as tf_model.h5
    python transformers_peer.py tf1 run FOLDER...       a TF-V1 checkpoint FOLDER/model.ckpt, by version 4's own loaders

`peer.json` in a folder: `class`, `form` (`safetensors`, `bin`, `h5`), and `tower` for TF-V1.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

TOKENS = 12
OUTPUTS = ("prediction_logits", "sop_logits", "logits", "start_logits", "end_logits", "last_hidden_state")


def inputs(config, choices):
    """Ids, mask and segments [4, T], or [2, 2, T] for choices: two segments, and rows with padding."""
    random = np.random.default_rng(1)
    ids = random.integers(0, config["vocab_size"], (4, TOKENS))
    mask = (np.arange(TOKENS) < np.array([[TOKENS], [TOKENS - 4], [5], [TOKENS]])).astype("int64")
    types = (np.arange(TOKENS) >= TOKENS // 2) * mask
    shape = (2, 2, TOKENS) if choices else (4, TOKENS)
    return {
        "input_ids": (ids * mask).reshape(shape),
        "attention_mask": mask.reshape(shape),
        "token_type_ids": types.reshape(shape),
    }


def configuration(name, fields):
    import transformers

    return getattr(transformers, f"{name.split('For')[0].removesuffix('Model')}Config")(**fields)


def spread(shape):
    """Standard deviation of a random tensor: products keep the size of their inputs, so that rounding stays small."""
    return min(0.2, 0.7 / shape[-1] ** 0.5) if len(shape) == 2 else 0.2


def random_torch(name, fields):
    """A model whose biases and norms are random, too, so that a swapped pair would show."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, name)(configuration(name, fields))
    with torch.no_grad():
        for tensor_name, tensor in model.named_parameters():
            if "embedding_hidden_mapping_in" in tensor_name and fields["embedding_size"] == fields["hidden_size"]:
                tensor.copy_(torch.eye(len(tensor)) if tensor.ndim == 2 else torch.zeros_like(tensor))
            else:
                tensor.add_(spread(tensor.shape) * torch.randn_like(tensor))
    return model


def by_torch(folder, peer, fields, task):
    import torch
    import transformers

    if task == "make":
        model = random_torch(peer["class"], fields)
        safe = {"safe_serialization": False} if peer["form"] == "bin" else {}
        model.save_pretrained(folder, **safe)
    else:
        cls = getattr(transformers, peer["class"])
        model, report = cls.from_pretrained(folder, output_loading_info=True)
        assert not report["unexpected_keys"], report
        assert not [n for n in report["missing_keys"] if "decoder" not in n and "lm_head.weight" not in n], report
    with torch.no_grad():
        given = inputs(fields, "MultipleChoice" in peer["class"])
        return model.eval()(**{n: torch.from_numpy(x) for n, x in given.items()})


def by_tensorflow(folder, peer, fields, task):
    import tensorflow as tf
    import transformers

    cls = getattr(transformers, f"TF{peer['class']}")
    given = inputs(fields, "MultipleChoice" in peer["class"])
    if task == "run":
        model, report = cls.from_pretrained(folder, output_loading_info=True)
        assert not report["missing_keys"], report
        assert not report["unexpected_keys"], report
        return model(**given)
    model, random = cls(configuration(peer["class"], fields)), tf.random.Generator.from_seed(0)
    model(**given)
    for weight in model.weights:
        if "embedding_hidden_mapping_in" in weight.name and fields["embedding_size"] == fields["hidden_size"]:
            weight.assign(tf.eye(weight.shape[0]) if len(weight.shape) == 2 else tf.zeros_like(weight))
        else:
            weight.assign_add(spread(weight.shape[::-1]) * random.normal(weight.shape))
    # ALBERT's head has a bias of two names, of which these classes add the second.
    biases = {
        weight.name.split("/predictions/")[-1]: weight for weight in model.weights if "/predictions/" in weight.name
    }
    if {"bias:0", "decoder/bias:0"} <= biases.keys():
        biases["bias:0"].assign(biases["decoder/bias:0"])
    model.save_pretrained(folder)
    return model(**given)


def by_tf1_loader(folder, peer, fields, task):
    import torch
    import transformers

    model = getattr(transformers, peer["class"])(configuration(peer["class"], fields))
    prefix = str(folder / "model.ckpt")
    if fields["model_type"] == "electra":
        from transformers.models.electra.modeling_electra import load_tf_weights_in_electra

        load_tf_weights_in_electra(model, model.config, prefix, peer["tower"])
    else:
        from transformers.models.albert.modeling_albert import load_tf_weights_in_albert

        load_tf_weights_in_albert(model, model.config, prefix)
        model.tie_weights()
    with torch.no_grad():
        return model.eval()(**{n: torch.from_numpy(x) for n, x in inputs(fields, False).items()})


def main():
    engine, task, *folders = sys.argv[1:]
    if engine == "tensorflow":
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    run = {"torch": by_torch, "tensorflow": by_tensorflow, "tf1": by_tf1_loader}[engine]
    for folder in map(Path, folders):
        peer = json.loads((folder / "peer.json").read_text())
        fields = json.loads((folder / "config.json").read_text())
        (folder / "peer.json").unlink()
        found = run(folder, peer, fields, task)
        np.savez(folder.with_suffix(".npz"), **{n: np.asarray(found[n]) for n in OUTPUTS if n in found})


if __name__ == "__main__":
    main()
