"""A recorded trajectory of other sizes, made by other code: transformers' PyTorch classes in float64.

The folder looks as those in `tests/golden`; checkpoints are written by TensorFlow's own op.
"""

import json

import numpy as np
import tensorflow as tf
import torch
from torch.nn import functional
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

from electra_tf.checkpoints.torch_classes import from_torch
from electra_tf.checkpoints.translation import translate
from electra_tf.checkpoints.weight_names import joint_tensors
from electra_tf.models.config import EncoderConfig

STEPS, ROWS, LENGTH, MASKED = 9, 6, 21, 4
PAD, CLS, SEP, MASK, FIRST = 1, 4, 0, 2, 6
DISCRIMINATOR = {
    "vocab_size": 131,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 30,
    "type_vocab_size": 3,
    "initializer_range": 0.1,
}
GENERATOR = DISCRIMINATOR | {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 20,
}
FLAGS = {
    "electra_objective": True,
    "untied_generator": True,
    "untied_generator_embeddings": False,
    "uniform_generator": False,
    "two_tower_generator": False,
    "electric_objective": False,
    "embedding_size": 10,
    "mask_prob": 0.2,
    "gen_weight": 1.5,
    "disc_weight": 20.0,
    "temperature": 1.0,
    "disallow_correct": False,
    "weight_decay_rate": 0.02,
    "learning_rate": 3e-3,
    "num_train_steps": 40,
    "num_warmup_steps": 4,
    "lr_decay_power": 1.0,
}
OPTIMIZER = {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6, "bias_correction": False, "clip_global_norm": 0.5}


def record(folder) -> None:
    """Writes the recording into an existing, empty folder."""
    torch.manual_seed(3)
    random = np.random.default_rng(3)
    towers = _towers()
    parameters = {id(p): (name, p) for tower in towers for name, p in tower.named_parameters()}
    moments = {key: (torch.zeros_like(p), torch.zeros_like(p)) for key, (_, p) in parameters.items()}
    _write(folder / "initial.ckpt", _tensors(towers, lambda p: p))
    arrays = {}
    for number in range(STEPS):
        batch = _batch(random)
        seen = _forward(*towers, {name: torch.tensor(values) for name, values in batch.items()})
        seen["total_loss"].backward()
        norm = torch.sqrt(sum((p.grad**2).sum() for _, p in parameters.values()))
        rate = FLAGS["learning_rate"] * (1 - number / FLAGS["num_train_steps"])
        rate *= min(1.0, number / FLAGS["num_warmup_steps"])
        for key, (name, p) in parameters.items():
            _update(name, p, *moments[key], norm, rate)
        values = {name: value.detach().numpy() for name, value in seen.items()}
        values |= batch | {"grad_norm": norm.numpy(), "learning_rate": np.float64(rate)}
        logits = values.pop("mlm_logits")
        for name, value in values.items():
            arrays.setdefault(name, []).append(value)
        arrays.setdefault("mlm_logits_first", logits)
    arrays["mlm_logits_last"] = logits
    np.savez(folder / "steps.npz", **{name: _as_32_bits(np.asarray(value)) for name, value in arrays.items()})
    final = _tensors(towers, lambda p: p)
    for slot, name in enumerate(("adam_m", "adam_v")):
        slots = _tensors(towers, lambda p, slot=slot: moments[id(p)][slot])
        final |= {f"{weight}/{name}": value for weight, value in slots.items()}
    _write(folder / "final.ckpt", final)
    config = {
        "flags": FLAGS,
        "bert_config": DISCRIMINATOR,
        "generator_bert_config": GENERATOR,
        "special_token_ids": {"[PAD]": PAD, "[CLS]": CLS, "[SEP]": SEP, "[MASK]": MASK},
        "optimizer": OPTIMIZER,
        "variables_with_row_sparse_gradient": [],
    }
    (folder / "config.json").write_text(json.dumps(config))


def _towers():
    """(discriminator, generator) with shared embeddings, dropout off."""
    fields = {"embedding_size": FLAGS["embedding_size"], "pad_token_id": PAD}
    discriminator = ElectraForPreTraining(ElectraConfig(**DISCRIMINATOR, **fields)).double()
    generator = ElectraForMaskedLM(ElectraConfig(**GENERATOR, **fields)).double()
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = discriminator.electra.embeddings.word_embeddings.weight
    for tower in (discriminator, generator):
        for p in tower.parameters():
            torch.nn.init.normal_(p, 1.0 if p.ndim == 1 else 0.0, 0.1)
    return discriminator.eval(), generator.eval()


def _batch(random):
    """Rows of different lengths; masked positions that do not repeat, some of them unused; samples of any kind."""
    lengths = random.integers(LENGTH // 2, LENGTH + 1, ROWS)
    real = np.arange(LENGTH) < lengths[:, None]
    ids = np.where(real, random.integers(FIRST, DISCRIMINATOR["vocab_size"], (ROWS, LENGTH)), PAD)
    ids[:, 0], ids[np.arange(ROWS), lengths - 1] = CLS, SEP
    positions, weights = np.zeros((2, ROWS, MASKED), int)
    masked, corrupted = ids.copy(), ids.copy()
    for row, length in enumerate(lengths):
        count = round(FLAGS["mask_prob"] * (length - 2))
        chosen = random.choice(np.arange(1, length - 1), min(count, MASKED), replace=False)
        positions[row, : len(chosen)], weights[row, : len(chosen)] = chosen, 1
        masked[row, chosen] = MASK
        corrupted[row, chosen] = random.integers(FIRST, DISCRIMINATOR["vocab_size"], len(chosen))
    return {
        "input_ids": ids,
        "input_mask": real.astype(int),
        "segment_ids": random.integers(0, DISCRIMINATOR["type_vocab_size"], ids.shape) * real,
        "masked_input_ids": masked,
        "masked_lm_positions": positions,
        "masked_lm_ids": np.take_along_axis(ids, positions, 1) * weights,
        "masked_lm_weights": weights.astype(float),
        "corrupted_input_ids": corrupted,
        "is_replaced": (corrupted != ids).astype(int),
    }


def _forward(discriminator, generator, b):
    real, types, weights = b["input_mask"], b["segment_ids"], b["masked_lm_weights"]
    logits = generator(b["masked_input_ids"], real, types).logits
    at = b["masked_lm_positions"][..., None].expand(-1, -1, logits.shape[-1])
    logits = logits.gather(1, at)
    losses = functional.cross_entropy(logits.flatten(0, 1), b["masked_lm_ids"].flatten(), reduction="none")
    losses = losses.view(weights.shape)
    mlm = (losses * weights).sum() / weights.sum()
    scores = discriminator(b["corrupted_input_ids"], real, types).logits
    tokens = functional.binary_cross_entropy_with_logits(scores, b["is_replaced"].double(), reduction="none")
    disc = (tokens * real).sum() / real.sum()
    return {
        "total_loss": FLAGS["gen_weight"] * mlm + FLAGS["disc_weight"] * disc,
        "mlm_loss": mlm,
        "disc_loss": disc,
        "disc_logits": scores,
        "mlm_per_position_loss": losses,
        "mlm_logits": logits,
    }


@torch.no_grad()
def _update(name, p, m, v, norm, rate):
    gradient = p.grad * min(1.0, float(OPTIMIZER["clip_global_norm"] / norm))
    m += (1 - OPTIMIZER["beta_1"]) * (gradient - m)
    v += (1 - OPTIMIZER["beta_2"]) * (gradient**2 - v)
    decay = 0.0 if "LayerNorm" in name or "bias" in name else FLAGS["weight_decay_rate"]
    p -= rate * (m / (v.sqrt() + OPTIMIZER["epsilon"]) + decay * p)
    p.grad = None


def _tensors(towers, of):
    """Both towers' parameters, or what `of` gives for them, under Google's names."""
    configs = [
        EncoderConfig.from_dict({**f, "embedding_size": FLAGS["embedding_size"]}) for f in (DISCRIMINATOR, GENERATOR)
    ]
    ours = {}
    for tower, config in zip(reversed(towers), reversed(configs), strict=True):
        values = {key: of(p).detach().numpy().copy() for key, p in tower.named_parameters()}
        ours |= from_torch(values, config.to_dict(), config).tower_weights()
    ours = {name: value for name, value in ours.items() if not name.startswith("generator/embeddings/")}
    return translate(ours, joint_tensors(*map(vars, configs), "all"), "ours", "tf1")


def _write(prefix, tensors):
    names = sorted(tensors)
    values = [_as_32_bits(tensors[name]) for name in names] + [np.int64(0)]
    names.append("global_step")
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)


def _as_32_bits(array):
    return array.astype({"f": np.float32, "i": np.int32}[array.dtype.kind])
