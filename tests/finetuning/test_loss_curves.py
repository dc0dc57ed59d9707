"""Fifty steps of fine-tuning beside transformers' PyTorch classes: the same losses, from the same weights and rows."""

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.transformers_folder import write_folder
from electra_tf.finetuning.batching import Rows
from electra_tf.finetuning.classification import Classification
from electra_tf.finetuning.objective import TaskObjective
from electra_tf.finetuning.question_answering import Spans
from electra_tf.finetuning.tagging import Tagging
from electra_tf.finetuning.tags import Scheme
from electra_tf.models.config import EncoderConfig
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.text.tokenizer import Encoding
from electra_tf.training.step import Step

STEPS, ROWS, TOKENS, WARMUP, PEAK = 50, 8, 24, 5, 1e-3
SIZES = {
    "vocab_size": 97,
    "embedding_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.0,
}
CONFIGS = {
    "electra": EncoderConfig(**SIZES),
    "albert": EncoderConfig(model_type="albert", num_hidden_groups=1, hidden_act="gelu_new", **SIZES),
}
GIVEN = {"input_ids": "input_ids", "attention_mask": "input_mask", "token_type_ids": "segment_ids"}
LABELS = ("a", "b", "c")
TASKS = {
    "SequenceClassification": Classification(LABELS, (1.0,) * 3),
    "TokenClassification": Tagging(LABELS, (1.0,) * 3, Scheme("none")),
    "QuestionAnswering": Spans(),
}


def batches(kind):
    """Batches of random rows with what is learned of them."""
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        sizes = random.integers(6, TOKENS + 1, ROWS)
        if kind == "QuestionAnswering":
            # In the softmax over all places padding has a part, hence a gradient: transformers leaves it out for the
            # embedding of [PAD] alone.
            sizes = np.full(ROWS, TOKENS)
        encodings = [Encoding(random.integers(5, 97, n).tolist(), [0] * 3 + [1] * (int(n) - 3), [], []) for n in sizes]
        targets, by_token = {"weight": np.ones(ROWS, np.float32)}, {}
        if kind == "TokenClassification":
            by_token["unit_positions"] = [np.arange(1, n - 1, dtype=np.int32) for n in sizes]
            by_token["target"] = [random.integers(0, 3, n - 2).astype(np.int32) for n in sizes]
            by_token["weight"], targets = [np.ones(n - 2, np.float32) for n in sizes], {}
        elif kind == "QuestionAnswering":
            start = random.integers(0, 4, ROWS).astype(np.int32)
            targets |= {"start": start, "end": start + 1}
        else:
            targets["target"] = random.integers(0, 3, ROWS).astype(np.int32)
        yield Rows(encodings, targets, TOKENS, by_token).batch(np.arange(ROWS), TOKENS)


def ours(config, task, kind):
    """(the objective as it begins, its losses)."""
    objective = TaskObjective(config, task)
    initial = {name: variable.numpy() for name, variable in objective.weights.items()}
    objective.measure = lambda batch, drawn, outputs: {}
    optimizer = AdamW(bias_correction=True, epsilon=1e-6, weight_decay=0.01, no_decay=(r"norm/", r"bias"))
    step = Step(objective, optimizer, Schedule("linear", PEAK, warmup_steps=WARMUP), STEPS, 0)

    @tf.function
    def run(batch):
        loss, _ = objective.loss(batch, (), objective.totals(batch, ()))

        def update():
            gradients, _ = step.gradients(batch, ())
            step.apply_gradients(gradients)

        tf.distribute.get_strategy().run(update)
        return loss

    losses = [float(run({name: tf.constant(array) for name, array in batch.items()})) for batch in batches(kind)]
    return initial, losses


def theirs(folder, family, kind):
    """Losses of transformers' class in PyTorch, updated by torch's AdamW and clipping."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    cls = getattr(transformers, f"{family.capitalize()}For{kind}")
    model = cls.from_pretrained(folder, attn_implementation="eager").train()
    plain = [p for n, p in model.named_parameters() if "bias" in n or "norm" in n.lower()]
    decayed = [p for n, p in model.named_parameters() if not ("bias" in n or "norm" in n.lower())]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, eps=1e-6, betas=(0.9, 0.999))
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    losses = []
    for batch in batches(kind):
        given = {name: torch.tensor(batch[own]).long() for name, own in GIVEN.items()}
        if kind == "TokenClassification":
            labels = torch.full((ROWS, TOKENS), -100)
            rows, words = np.nonzero(batch["weight"])
            labels[rows, batch["unit_positions"][rows, words]] = torch.tensor(batch["target"][rows, words]).long()
            given["labels"] = labels
        elif kind == "QuestionAnswering":
            given |= {f"{n}_positions": torch.tensor(batch[n]).long() for n in ("start", "end")}
        else:
            given["labels"] = torch.tensor(batch["target"]).long()
        loss = model(**given).loss
        losses.append(float(loss))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("family", CONFIGS)
def test_fifty_losses_are_those_of_transformers(family, kind, tmp_path):
    config, task = CONFIGS[family], TASKS[kind]
    tf.keras.utils.set_random_seed(4)
    weights, losses = ours(config, task, kind)
    name = f"{family.capitalize()}For{kind}"
    labels = 2 if kind == "QuestionAnswering" else 3
    write_folder(tmp_path / "hf", LoadedModel(name, config, weights, task.heads(config), labels))
    peers = theirs(tmp_path / "hf", family, kind)
    assert np.ptp(losses) > 0.02
    np.testing.assert_allclose(losses, peers, atol=1e-4)
