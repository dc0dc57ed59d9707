"""Files that were damaged, or made to do harm, through the commands that read: words, no traceback, nothing astray.

What is expected of a status of 0: that an outside reader finds the same weights; that a data set holds the tokens that
another tokenizer finds; that answers are probabilities, for every token that was asked.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from safetensors.numpy import load_file
from strange_bytes import SEED, chance_of, changed_json, everything, peak_memory, strange, typed

from electra_tf.checkpoints import pretrained, read_model, write_folder
from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.weight_names import tower_tensors
from electra_tf.data.builder import build_data
from electra_tf.errors import ConfigError
from electra_tf.models import EncoderConfig
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.devices import is_chief

HEADS = {"num_attention_heads": 2}
TEXT = "The captain looked at the sea .\nthe ship\n\nat the sea .\n" * 5


def albert(spiece_folder):
    """A tiny ALBERT with its heads of pre-training, and its tokenizer."""
    tokenizer, random = Tokenizer.from_pretrained(spiece_folder), np.random.default_rng(0)
    sizes = {"embedding_size": 4, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 8, "max_position_embeddings": 8, "hidden_act": "gelu_new"}
    config = EncoderConfig("albert", len(tokenizer), **sizes)
    table = tower_tensors(dataclasses.asdict(config), "generator")
    weights = {t.ours: random.normal(0, 0.5, t.shape("ours")).astype("float32") for t in table}
    return pretrained("generator", config, weights), tokenizer


@pytest.fixture(scope="module")
def sources(folders, spiece_folder, tmp_path_factory):
    """Folder and file of every format, by name."""
    root = tmp_path_factory.mktemp("sources")
    for name in ("discriminator", "generator", "run"):
        shutil.copytree(folders / name, root / name)
    for form in ("bin", "h5"):
        convert(folders / "discriminator", root / form, form)
    (root / "keras").mkdir()
    convert(folders / "generator", root / "keras" / "m.keras", "keras")
    convert(folders / "discriminator", root / "tf1", "tf1", settings=HEADS)
    shutil.copy(folders / "discriminator/vocab.txt", root / "tf1")
    write_folder(root / "albert", *albert(spiece_folder))
    convert(root / "albert", root / "albert_tf1", "tf1")
    settings = {
        "Recipe": {"steps": 10, "batch_size": 4, "seed": 0},
        "Schedule": {"kind": "linear", "peak": 0.1, "warmup_steps": 1},
        "AdamW": {"beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.0},
    }
    run = json.loads((root / "run/run.json").read_text())
    run |= {"settings": settings, "data": {"identity": "0" * 32}, "describe": {"masked": "15%"}}
    (root / "run/run.json").write_text(json.dumps(run))
    (root / "heads.json").write_text(json.dumps(HEADS))
    (root / "text").mkdir()
    (root / "text/a.txt").write_text(TEXT)
    (root / "text/b.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in TEXT.splitlines()))
    (root / "gin").mkdir()
    (root / "gin/own.gin").write_text("include 'pretrain/electra_tiny.gin'\nRecipe.steps = 3\nSchedule.peak = 1e-3\n")
    build_data([root / "text/a.txt"], root / "discriminator", root / "data", length=8, held_out=0.2, processes=0)
    (root / "records").mkdir()
    for number, path in enumerate(sorted((root / "data").rglob("*.tfrecord"))):
        shutil.copy(path, root / f"records/{number}.tfrecord")
    (root / "vocabulary").mkdir()
    for path in (root / "discriminator").glob("*"):
        if "token" in path.name or "vocab" in path.name:
            shutil.copy(path, root / "vocabulary")
    return root


def commands(folder, output):
    """What is typed about a folder that is called after its format."""
    name, gin = folder.name, Path(folder) / "own.gin"
    if name == "text":
        given = ["--vocab", output / "vocab", "--output", output / "data", *OF_DATA]
        return [
            ["data", "--input", folder / "a.txt", *given],
            ["data", "--input", folder / "b.jsonl", *given],
            ["vocab", "--input", f"{folder}/*", "--output", output / "learned", "--size", 60],
        ]
    if name == "vocabulary":
        return [
            ["inspect", folder],
            ["data", "--input", output / "vocab/a.txt", "--vocab", folder, "--output", output / "data", *OF_DATA],
            ["detect", "--json", "--input", output / "vocab", "--vocab", folder, "the sea ."],
        ]
    if name == "records":
        words = ["data", "--records", f"{folder}/*", "--vocab", output / "vocab", "--output", output / "data"]
        return [[*words, "--length", 8], [*words, "--length", 8, "--held_out", 0.2]]
    if name == "gin":
        return [["pretrain", "--gin_file", gin, "--data", output / "none", "--model_dir", output / "run"]]
    if name == "data":
        return [["inspect", folder], ["pretrain", "--gin_file", gin, "--data", folder, "--model_dir", output / "run"]]
    path = folder / "m.keras" if name == "keras" else folder
    told = ["--config", folder.parent.parent / "heads.json"] if name == "tf1" else []
    converted = ["convert", "--input", path, "--to", "safetensors", "--output", output / "hf", *told]
    asked = ["--json", "--input", path, *(["--heads", 2] if name == "tf1" else [])]
    if name in ("run", "generator", "keras"):
        asked = ["fill-mask", *asked, "the [MASK] at the sea", "[MASK] ."]
    else:
        asked = ["detect", *asked, "the ship at the sea ."]
    return [["inspect", path], ["inspect", "--json", "--tensors", path], converted, asked]


OF_DATA = ["--length", 8, "--processes", 0, "--json"]


def tokens_of(text: Path, vocabulary: Path) -> int | None:
    """How many tokens another tokenizer finds in a text, or in lines of JSON; None where it cannot open its file."""
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(vocabulary / "tokenizer.json"))
    except Exception:  # what it reads and we do not need may be damaged
        return None
    lines = text.read_text("utf-8-sig").split("\n")
    if text.suffix == ".jsonl":
        lines = [part for line in lines if line.strip() for part in json.loads(line)["text"].split("\n")]
    return sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in lines)


def check_result(words, done, file, output, told):
    """What a command with the status 0 has made or said."""
    if words[0] == "data" and "--records" not in words:
        made, vocabulary = json.loads(done.stdout), words[words.index("--vocab") + 1]
        found = made["train"]["corpus_tokens"] + made["held_out"]["corpus_tokens"]
        assert tokens_of(words[2], vocabulary) in (None, found), told
    if words[0] == "fill-mask":
        for mask in [mask for answer in json.loads(done.stdout) for mask in answer["masks"]]:
            scores = [one["score"] for one in mask["predictions"]]
            assert all(0 <= score <= 1 for score in scores) and sum(scores) < 1.001, told
    if words[0] == "detect":
        (answer,) = json.loads(done.stdout)
        assert all(0 <= token["probability"] <= 1 for token in answer["tokens"]), told
        assert {answer["sentence"][token["start"] : token["end"]] for token in answer["tokens"]} >= {"the", "."}, told


def check(number, sources, home):
    """One strange file through one command."""
    chance = chance_of(number)
    kinds = sorted(path.name for path in sources.iterdir() if path.is_dir())
    folder, output = home / "given" / chance.choice(kinds), home / "output"
    shutil.copytree(sources / folder.name, folder)
    output.mkdir()
    shutil.copytree(sources / "discriminator", output / "vocab")
    shutil.copy(sources / "text/a.txt", output / "vocab")
    if folder.name == "data":
        shutil.copy(sources / "gin/own.gin", folder / "own.gin")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = chance.choice(files)
    file.write_bytes(strange(chance, file.read_bytes()))
    words = chance.choice(commands(folder, output))
    told = f"STRANGE_SEED={SEED}, number {number}: {file.relative_to(home)}, {' '.join(map(str, words[:3]))}"
    before = everything(home / "given")
    done = typed(words, told)
    assert everything(home / "given") == before, told
    made = {path.name for path in output.iterdir()} - {"vocab", "data.building", "none"}
    assert made <= {"hf", "data", "learned", "run"}, told
    if done.returncode == 0:
        check_result(words, done, file, output, told)
    if words[0] == "convert":
        assert (output / "hf").exists() == (done.returncode == 0), told
        if done.returncode == 0:
            model = read_model(output / "hf")
            if file.name == "model.safetensors":  # as its own library reads it
                given, got = load_file(file), load_file(output / "hf/model.safetensors")
                for name in got.keys() & given.keys():
                    np.testing.assert_array_equal(got[name], given[name].astype("float32"), err_msg=told)
            assert model.weights, told


def run_all(numbers, sources, tmp_path, monkeypatch):
    before = peak_memory(begin=True)
    monkeypatch.chdir(tmp_path)
    print(f"STRANGE_SEED={SEED}")
    wrong = []
    for number in numbers:
        home = tmp_path / str(number)
        (home / "given").mkdir(parents=True)
        shutil.copy(sources / "heads.json", home)
        try:
            check(number, sources, home)
        except AssertionError as error:
            wrong.append(str(error))
        shutil.rmtree(home)
    assert not wrong, f"{len(wrong)} of {len(numbers)}\n" + "\n\n".join(wrong)
    assert not list(tmp_path.iterdir())  # nothing astray
    assert peak_memory() - before < 2


def test_hundreds_of_strange_files(sources, tmp_path, monkeypatch):
    run_all(range(290), sources, tmp_path, monkeypatch)


def test_strange_descriptions_of_a_cluster(monkeypatch):
    """Through what reads them: more would begin to wait for the other machines."""
    whole = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    refused = 0
    for number in range(500):
        text = changed_json(chance_of(f"cluster {number}"), json.loads(json.dumps(whole))).decode()
        monkeypatch.setenv("TF_CONFIG", text)
        try:
            assert is_chief("multi_worker") is True
        except ConfigError as error:
            refused += 1
            assert "TF_CONFIG" in str(error)
            continue
        said = json.loads(text)
        assert said["task"]["index"] == 0 and "a:1" in said["cluster"]["worker"], text
    assert 300 < refused < 500


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_thousands_of_strange_files(part, sources, tmp_path, monkeypatch):
    run_all(range(500 + 1125 * part, 500 + 1125 * (part + 1)), sources, tmp_path, monkeypatch)
