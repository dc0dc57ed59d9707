"""Folders and texts as other programs leave them, through the commands as a stranger would type them."""

import argparse
import gzip
import json
import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from in_process import run_command

from electra_tf.text.tokenizer import Tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sea", "cap", "##tain", "looked", "at", "ship", "."]
WORDS += ["a", "##s", "cafe", ",", "!", "no", "##w"]
LINES = ["The captain looked at ships.", "Café, now!", "no [MASK] at the SEA, qqq", "  sea\tship  "]
SIZES = {
    "vocab_size": len(WORDS),
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}


def done(*arguments):
    """A command that must end well."""
    found = run_command(*arguments)
    assert found.returncode == 0, found.stderr
    return found


def refused(*arguments):
    """What a command that must refuse says."""
    found = run_command(*arguments)
    assert found.returncode == 2, found.stdout
    assert "Traceback" not in found.stderr and "what to do" in found.stderr
    return found.stderr


def typed(said: str, folder: Path) -> None:
    """Types the command at the end of a remedy."""
    command = said.split("made by: ")[1].strip()
    subprocess.run(command, shell=True, check=True, cwd=folder, timeout=60, stderr=subprocess.DEVNULL)


def random_model(name: str, **fields):
    torch.manual_seed(0)
    model = getattr(transformers, name)(transformers.ElectraConfig(**SIZES, **fields)).eval()
    for parameter in model.parameters():  # biases and norms too, so that a swapped pair would show
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def outputs(model) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([[2, 5, 7, 8, 9, 4, 3], [2, 6, 11, 12, 3, 0, 0]]))[0].numpy()


def check_converted(source: Path, output: Path, model, ids: list | None = None) -> None:
    """`inspect` and `convert`; transformers' class computes of the output what it computed of the model."""
    told = json.loads(done("inspect", "--json", source).stdout)
    assert told["class"] == type(model).__name__
    done("convert", "--input", source, "--output", output, "--verify")
    found, said = type(model).from_pretrained(output, output_loading_info=True)
    assert not said["missing_keys"] and not said["unexpected_keys"]
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor, rtol=0, atol=0)
    np.testing.assert_allclose(outputs(found.eval()), outputs(model), atol=1e-6)
    if ids is not None:
        ours, theirs = Tokenizer.from_pretrained(output), transformers.AutoTokenizer.from_pretrained(output)
        assert [ours.encode(line, special_tokens_in_text=True).ids for line in LINES] == ids
        assert [theirs(line)["input_ids"] for line in LINES] == ids


def write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), "utf-8")


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    """Of `LINES`, by BERT's tokenizer in Python, which reads the vocabulary alone."""
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    write(path, "\n".join(WORDS) + "\n")
    tokenizer = transformers.BertTokenizer(path)
    return [tokenizer(line)["input_ids"] for line in LINES]


# Google's


def test_the_folder_of_googles_electra(tmp_path):
    """As its zip is unpacked: `electra_small/` with a checkpoint of that name, a graph, and the vocabulary."""
    import tensorflow as tf

    folder, golden = tmp_path / "electra_small", GOLDEN / "electra_tied"
    folder.mkdir()
    for end in ("data-00000-of-00001", "index"):
        shutil.copy(golden / f"final.ckpt.{end}", folder / f"electra_small.{end}")
    (folder / "electra_small.meta").write_bytes(b"\n\x0b\n\x03Add")
    write(
        folder / "checkpoint", 'model_checkpoint_path: "electra_small"\nall_model_checkpoint_paths: "electra_small"\n'
    )
    write(folder / "vocab.txt", "\n".join([*WORDS[:5], "the", *(f"w{n}" for n in range(595))]))
    write(tmp_path / "heads.json", {"num_attention_heads": 4})
    assert "TF-V1" in done("inspect", folder).stdout
    done("convert", "--input", folder, "--config", tmp_path / "heads.json", "--output", tmp_path / "hf", "--verify")
    model = transformers.ElectraForPreTraining.from_pretrained(tmp_path / "hf")
    variables = tf.train.load_checkpoint(str(golden / "final.ckpt"))
    kernel = variables.get_tensor("electra/encoder/layer_1/intermediate/dense/kernel")
    np.testing.assert_array_equal(model.electra.encoder.layer[1].intermediate.dense.weight.detach().numpy(), kernel.T)
    table = variables.get_tensor("electra/embeddings/word_embeddings")
    np.testing.assert_array_equal(model.electra.embeddings.word_embeddings.weight.detach().numpy(), table)
    assert model.config.num_attention_heads == 4
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")("The w3")["input_ids"] == [2, 5, 9, 3]


def test_the_folder_of_googles_albert(tmp_path, shared, spiece_folder):
    """As its archive is unpacked: `albert_base/` with `model.ckpt-best` and `30k-clean.model`, no file `checkpoint`."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    folder, golden = tmp_path / "albert_base", shared / "data/golden/albert_outputs/e_lt_h"
    folder.mkdir()
    for end in ("data-00000-of-00001", "index"):
        shutil.copy(golden / f"model.ckpt.{end}", folder / f"model.ckpt-best.{end}")
    (folder / "model.ckpt-best.meta").write_bytes(b"\n\x0b\n\x03Add")
    shutil.copy(golden / "config.json", folder / "albert_config.json")
    model = ModelProto.FromString((spiece_folder / "spiece.model").read_bytes())
    del model.pieces[320:]  # as many as the recorded model has rows
    (folder / "30k-clean.model").write_bytes(model.SerializeToString())
    assert "albert" in done("inspect", folder).stdout
    done("convert", "--input", folder, "--output", tmp_path / "hf", "--verify")
    model = transformers.AlbertForPreTraining.from_pretrained(tmp_path / "hf").eval()
    recorded = np.load(golden / "outputs.npz")
    ids, mask, segments = (torch.tensor(recorded[n]) for n in ("input_ids", "input_mask", "segment_ids"))
    with torch.no_grad():
        found = model(ids.long(), attention_mask=mask, token_type_ids=segments.long())
    np.testing.assert_allclose(found.sop_logits, recorded["sop_logits"], atol=1e-5)
    scores = np.take_along_axis(found.prediction_logits.numpy(), recorded["masked_lm_positions"][..., None], 1)
    np.testing.assert_allclose(scores, recorded["mlm_logits"], atol=1e-4)
    theirs = transformers.AlbertTokenizer(str(folder / "30k-clean.model"))
    found = Tokenizer.from_pretrained(tmp_path / "hf")
    assert found.encode("The ship, 49 men (at sea)").ids == theirs("The ship, 49 men (at sea)")["input_ids"]


# transformers'


@pytest.mark.parametrize("name", ["ElectraForPreTraining", "ElectraForMaskedLM"])
def test_a_folder_of_transformers_3(tmp_path, ids, name):
    """PyTorch's older format with the buffer of positions, a configuration without a version, no tokenizer.json."""
    model, folder = random_model(name), tmp_path / "electra"
    state = dict(model.state_dict())
    state["electra.embeddings.position_ids"] = torch.arange(SIZES["max_position_embeddings"])[None]
    folder.mkdir()
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    others = {"hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    others |= {"initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0, "type_vocab_size": 2}
    others |= {"summary_activation": "gelu", "summary_last_dropout": 0.1, "summary_type": "first"}
    others |= {"summary_use_proj": True, "model_type": "electra", "architectures": [name]}
    write(folder / "config.json", SIZES | others)
    write(folder / "vocab.txt", "\n".join(WORDS) + "\n")
    special = {f"{n}_token": f"[{n.upper()}]" for n in ("unk", "sep", "pad", "cls", "mask")}
    write(folder / "special_tokens_map.json", special)
    files = {"special_tokens_map_file": None, "full_tokenizer_file": None}
    settings = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True, "model_max_length": 512}
    write(folder / "tokenizer_config.json", special | settings | files)
    check_converted(folder, tmp_path / "out", model, ids)


@pytest.mark.parametrize("how", ["pytorch_model.bin", "two shards", "safetensors"])
@pytest.mark.skipif(not transformers.__version__.startswith("4."), reason="it takes transformers 4 to write it")
def test_a_folder_of_transformers_4(tmp_path, ids, how):
    model, folder = random_model("ElectraForSequenceClassification", num_labels=3), tmp_path / "electra"
    shards = {"max_shard_size": "9KB"} if how == "two shards" else {}
    model.save_pretrained(folder, safe_serialization=how == "safetensors", **shards)
    assert (folder / "pytorch_model.bin.index.json").is_file() == (how == "two shards")
    write(tmp_path / "vocab.txt", "\n".join(WORDS) + "\n")
    transformers.ElectraTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(folder)
    check_converted(folder, tmp_path / "out", model, ids)


def test_a_folder_of_transformers_5(tmp_path, ids):
    """As 5.24 writes it: `dtype`, all defaults, a tokenizer.json alone, under the name of BERT's class."""
    model, folder = random_model("ElectraForPreTraining"), tmp_path / "electra"
    model.save_pretrained(folder)
    fields = json.loads((folder / "config.json").read_text())
    fields |= {"dtype": "float32", "transformers_version": "5.24.0", "is_decoder": False, "tie_word_embeddings": True}
    fields |= {"add_cross_attention": False, "bos_token_id": None, "eos_token_id": None, "classifier_dropout": None}
    for name in ("torch_dtype", "position_embedding_type"):
        fields.pop(name, None)
    write(folder / "config.json", fields)
    write(tmp_path / "vocab.txt", "\n".join(WORDS) + "\n")
    fast = transformers.ElectraTokenizerFast(vocab_file=str(tmp_path / "vocab.txt"))
    write(folder / "tokenizer.json", fast.backend_tokenizer.to_str())
    special = {f"{n}_token": f"[{n.upper()}]" for n in ("unk", "sep", "pad", "cls", "mask")}
    settings = {"backend": "tokenizers", "do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    settings |= {"model_max_length": 10**30, "tokenizer_class": "BertTokenizer", "is_local": True}
    write(folder / "tokenizer_config.json", special | settings)
    check_converted(folder, tmp_path / "out", model, ids)


# Training programs'


def lightning(model) -> dict:
    """What Lightning's ModelCheckpoint saves, settings kept as objects among it."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    model(torch.tensor([[2, 5, 3]]))[0].sum().backward()
    optimizer.step()
    return {
        "epoch": 1,
        "global_step": 2,
        "pytorch-lightning_version": "2.1.0",
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5), "last": Path("x")}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "hparams",
        "hyper_parameters": argparse.Namespace(lr=1e-3, config=model.config, sizes=np.float64(3.0), names={"a"}),
        "state_dict": {f"model.{name}": tensor for name, tensor in model.state_dict().items()},
    }


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_checkpoint_of_lightning(tmp_path, is_zip):
    """The file is refused with the command that makes a folder of it, which is read, and nothing in it is run."""
    model, folder = random_model("ElectraForPreTraining"), tmp_path / "version_0"
    folder.mkdir()
    file = folder / "epoch=1-step=2.ckpt"
    torch.save(lightning(model), file, _use_new_zipfile_serialization=is_zip)
    said = refused("convert", "--input", file, "--output", tmp_path / "out")
    assert "PyTorch" in said and "config.json" in said
    typed(said, tmp_path)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder / "epoch=1-step=2-folder")
    check_converted(folder / "epoch=1-step=2-folder", tmp_path / "out", model)


def test_a_checkpoint_of_dataparallel(tmp_path):
    model, folder = random_model("ElectraForPreTraining"), tmp_path / "saved"
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(torch.nn.DataParallel(model).state_dict(), folder / "pytorch_model.bin")
    check_converted(folder, tmp_path / "out", model)


# Texts

TEXT = (
    "The captain looked at the sea.\nHe said nothing, and went below.\n\n"
    "Un café noir, s'il vous plaît.\nDéjà vu: l'été à Besançon.\n\n"
    "The ship sailed at noon.\nNobody saw it again.\n\n"
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes((TEXT * 40).encode())
    return path


def built(inputs, folder: Path, *options) -> dict[str, bytes]:
    """A vocabulary and the shards of a text of 120 documents."""
    done("vocab", "--input", inputs, "--size", 150, *options, "--output", folder / "vocab")
    sizes = ["--length", 16, "--held_out", 0.2, "--processes", 0]
    done("data", "--input", inputs, "--vocab", folder / "vocab", *sizes, "--output", folder / "data")
    told = json.loads(done("inspect", "--json", folder / "data").stdout)
    assert told["splits"]["train"]["documents"] + told["splits"]["held_out"]["documents"] == 120
    files = [folder / "vocab" / "vocab.txt", *sorted((folder / "data").glob("*.tfrecord"))]
    return {file.name: file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def plain(text, tmp_path_factory):
    return built(text, tmp_path_factory.mktemp("plain"))


def test_shards_as_those_of_c4(text, plain, tmp_path):
    documents = text.read_text("utf-8").strip("\n").split("\n\n")
    half = len(documents) // 2
    for number, part in enumerate((documents[:half], documents[half:])):
        rows = [
            {"text": one, "timestamp": "2019-04-25T12:57:54Z", "url": f"https://example.org/{number}/{n}"}
            for n, one in enumerate(part)
        ]
        with gzip.open(tmp_path / f"c4-train.{number:05}-of-01024.json.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    assert built(tmp_path / "c4-train.*-of-01024.json.gz", tmp_path) == plain


def test_a_text_of_windows(text, plain, tmp_path):
    content = "\ufeff" + text.read_text("utf-8").replace("\n", "\r\n")
    (tmp_path / "text.txt").write_bytes(content.encode())
    assert built(tmp_path / "text.txt", tmp_path) == plain


@pytest.mark.parametrize(
    "called, content",
    [
        ("cp1252", lambda text: text.replace("\n", "\r\n").encode("cp1252")),
        ("UTF-16", lambda text: text.replace("\n", "\r\n").encode("utf-16")),
        ("old Macs", lambda text: text.replace("\n", "\r").encode()),
    ],
    ids=["cp1252", "UTF-16", "carriage returns"],
)
def test_a_text_in_another_form_is_refused_and_the_remedy_makes_it_one(text, plain, tmp_path, called, content):
    (tmp_path / "my text.txt").write_bytes(content(text.read_text("utf-8")))
    for command in (("vocab",), ("data", "--vocab", text)):
        said = refused(*command, "--input", tmp_path / "my text.txt", "--output", tmp_path / "out")
        assert called in said or command[0] == "data"
    said = refused("vocab", "--input", tmp_path / "my text.txt", "--output", tmp_path / "out")
    typed(said, tmp_path)
    assert built(tmp_path / "my text.new.txt", tmp_path) == plain


@pytest.mark.slow
def test_a_text_of_macos_is_told_to_be_taken_apart(text, tmp_path):
    """Where accents go it makes no difference; where they stay, it is said, and the remedy gives the usual form."""
    (tmp_path / "nfd.txt").write_text(unicodedata.normalize("NFD", text.read_text("utf-8")), "utf-8")
    for name, path in (("here", tmp_path / "nfd.txt"), ("there", text)):
        done("vocab", "--input", path, "--size", 150, "--output", tmp_path / name)
    assert (tmp_path / "here/vocab.txt").read_text() == (tmp_path / "there/vocab.txt").read_text()
    said = done(
        "vocab", "--input", tmp_path / "nfd.txt", "--size", 150, "--nostrip_accents", "--output", tmp_path / "v"
    )
    assert "NFD" in said.stderr
    typed(said.stderr, tmp_path)
    keep = "--nostrip_accents"
    assert built(tmp_path / "nfd.new.txt", tmp_path / "again", keep) == built(text, tmp_path / "plain", keep)
