"""Commands run in this process, and folders of a tiny ELECTRA for them."""

import dataclasses
import json

import numpy as np
import pytest
from in_process import run_command

from electra_tf.checkpoints import pretrained, write_folder
from electra_tf.checkpoints.run_checkpoints import WEIGHTS, write_checkpoint
from electra_tf.checkpoints.weight_names import joint_tensors
from electra_tf.models import EncoderConfig
from electra_tf.models.generator_size import generator_config
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "sea",
    "cap",
    "##tain",
    "looked",
    "at",
    "ship",
    ".",
]


@pytest.fixture(scope="session")
def electra_tf():
    return run_command


@pytest.fixture(scope="session")
def towers():
    """(discriminator, generator, weights of both): a tiny ELECTRA with shared embeddings."""
    discriminator = EncoderConfig(
        vocab_size=len(WORDS),
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    generator = generator_config(discriminator, 0.5)
    fields = [dataclasses.asdict(config) for config in (discriminator, generator)]
    rng = np.random.default_rng(0)
    table = joint_tensors(*fields, "all")
    weights = {t.ours: rng.normal(0, 0.5, t.shape("ours")).astype("float32") for t in table}
    return discriminator, generator, weights


@pytest.fixture(scope="session")
def folders(towers, tmp_path_factory):
    """A folder with the Hugging Face folders `generator` and `discriminator`, and the run directory `run`."""
    root = tmp_path_factory.mktemp("models")
    discriminator, generator, weights = towers
    write_folder(root / "generator", pretrained("generator", generator, weights), WordPieceTokenizer(WORDS))
    write_folder(root / "discriminator", pretrained("discriminator", discriminator, weights), WordPieceTokenizer(WORDS))
    run = root / "run"
    for step in (5, 10):
        write_checkpoint(run, step, {WEIGHTS + name: array for name, array in weights.items()}, {"seed": 1})
    description = {
        "format_version": 2,
        "settings": {"Recipe": {"steps": 10}},
        "towers": {"discriminator": discriminator.to_dict(), "generator": generator.to_dict()},
        "heads": {"discriminator": ["replaced_token"], "generator": ["masked_lm"]},
        "shared": {"generator/embeddings/": "discriminator/embeddings/"},
    }
    (run / "run.json").write_text(json.dumps(description))
    WordPieceTokenizer(WORDS).save(run / "tokenizer")
    lines = [{"step": 5, "kind": "train", "loss": 2.0}, {"step": 10, "kind": "train", "loss": 1.5}]
    lines.append({"step": 10, "kind": "eval", "disc_auc": 0.75})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "metrics.jsonl").write_text(text + '{"step": 15, "ki')
    return root
