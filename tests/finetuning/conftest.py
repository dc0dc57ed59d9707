"""A tiny pre-trained ELECTRA and ALBERT, and sentences whose class a word tells."""

import json
import lzma
from pathlib import Path

import pytest
from telling_words import sentences

from electra_tf.pretraining.run import pretrain
from electra_tf.pretraining.settings import Electra, MaskedLM
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.recipe import Recipe

SIZES = {
    "embedding_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
SHORT = Recipe(steps=2, batch_size=8, compiler="graph", eval_examples=0, checkpoint_every=2)


@pytest.fixture(scope="session")
def electra(quick_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("electra") / "run"
    sizes = SIZES | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    pretrain(quick_data, folder, Electra(discriminator=sizes, generator_width=0.5), SHORT)
    return folder


@pytest.fixture(scope="session")
def albert(quick_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("albert") / "run"
    pretrain(quick_data, folder, MaskedLM("albert_base_v2", SIZES), SHORT)
    return folder


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with train.csv, dev.tsv, test.jsonl of `review` and `stars`, and pairs.csv with numbers."""
    folder = tmp_path_factory.mktemp("files")
    rows = {
        name: list(sentences(count, seed))
        for seed, (name, count) in enumerate({"train": 400, "dev": 80, "test": 60}.items())
    }
    (folder / "train.csv").write_text(
        "review,stars\n" + "".join(f'"{text}",{label}\n' for text, label in rows["train"])
    )
    (folder / "dev.tsv").write_text("review\tstars\n" + "".join(f"{text}\t{label}\n" for text, label in rows["dev"]))
    (folder / "test.jsonl").write_text("".join(json.dumps({"review": t, "stars": s}) + "\n" for t, s in rows["test"]))
    pairs = [
        (a, b, 1000 + 50 * (s == "good")) for (a, s), (b, _) in zip(rows["train"], rows["train"][::-1], strict=True)
    ]
    (folder / "pairs.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in pairs))
    return folder


@pytest.fixture(scope="session")
def googles_albert(shared, tmp_path_factory):
    """(folder of ALBERT's recordings, what is said of them, its tokenizer)."""
    folder, model = shared / "data/golden/finetune_albert_data", tmp_path_factory.mktemp("spiece") / "spiece.model"
    model.write_bytes(lzma.decompress((folder / "spiece.model.xz").read_bytes()))
    about = json.loads((folder / "data.json").read_text())
    return folder, about, Tokenizer.from_pretrained(model, tokenization="google")
