"""Files that were damaged, or made to do harm, through the commands that read: words, no traceback, nothing astray.

STRANGE_SEED sets another seed. What is expected of a status of 0: that an outside reader finds the same weights.
"""

import json
import os
import random
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from in_process import run_command
from safetensors.numpy import load_file

from electra_tf.checkpoints import read_model
from electra_tf.checkpoints.convert import convert
from electra_tf.data.builder import build_data

SEED = int(os.environ.get("STRANGE_SEED", "0"))
HEADS = {"num_attention_heads": 2}
TEXT = "The captain looked at the sea .\nthe ship\n\nat the sea .\n" * 5
# Values that other programs, or an attacker, put where another is expected.
VALUES = (
    None,
    True,
    -1,
    0,
    10**30,
    1e999,
    float("nan"),
    "",
    "x",
    "\x1b]0;title\x07",
    "../../x",
    [],
    {},
    [[]],
    "9" * 5000,
)
BYTES = (b"", b"\0", b"\xff\xfe", b"PK\x03\x04", b"\x1f\x8b", b"null", b"[" * 3000, b"version https://git-lfs")


@pytest.fixture(scope="module")
def sources(folders, tmp_path_factory):
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
    return root


def commands(folder, output):
    """What is typed about a folder that is called after its format."""
    name, gin = folder.name, Path(folder) / "own.gin"
    if name == "text":
        given = ["--vocab", output / "vocab", "--output", output / "data", "--length", 8, "--processes", 0]
        return [
            ["data", "--input", folder / "a.txt", *given],
            ["data", "--input", folder / "b.jsonl", *given],
            ["vocab", "--input", f"{folder}/*", "--output", output / "learned", "--size", 60],
        ]
    if name == "gin":
        return [["pretrain", "--gin_file", gin, "--data", output / "none", "--model_dir", output / "run"]]
    if name == "data":
        return [["inspect", folder], ["pretrain", "--gin_file", gin, "--data", folder, "--model_dir", output / "run"]]
    path = folder / "m.keras" if name == "keras" else folder
    told = ["--config", folder.parent.parent / "heads.json"] if name == "tf1" else []
    converted = ["convert", "--input", path, "--to", "safetensors", "--output", output / "hf", *told]
    return [["inspect", path], ["inspect", "--json", "--tensors", path], converted]


def strange(chance, data: bytes, is_json: bool) -> bytes:
    """One change of a file's content."""
    if is_json and chance.random() < 0.6:
        try:
            return changed_json(chance, json.loads(data))
        except ValueError:
            pass
    kind, at = chance.randrange(6), chance.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + chance.choice(BYTES) + data[at:]
    if kind == 3:
        other = chance.randrange(len(data) + 1)
        return data[: min(at, other)] + data[max(at, other) :]
    if kind == 4:
        return chance.choice(BYTES)
    digits = [i for i, byte in enumerate(data[:20_000]) if chr(byte).isdigit()]
    at = chance.choice(digits or [0])
    return data[:at] + str(chance.choice((0, 9, 10**18, -7))).encode() + data[at + 1 :]


def changed_json(chance, content) -> bytes:
    places, todo = [], [content]
    while todo:
        here = todo.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        places += [(here, key) for key in keys]
        todo += [here[key] for key in keys]
    if not places:
        return json.dumps(chance.choice(VALUES)).encode()
    here, key = chance.choice(places)
    if isinstance(here, dict) and chance.random() < 0.3:
        value = here.pop(key)
        if chance.random() < 0.5:
            here[chance.choice(("\x1b[2J", "x" * 1000, "é", "\ud800"))] = value
    else:
        here[key] = chance.choice(VALUES)
    return json.dumps(content).encode()


def everything(folder):
    return {path.relative_to(folder): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def check(number, sources, home):
    """One strange file through one command."""
    chance = random.Random(f"{SEED} {number}")
    kinds = sorted(path.name for path in sources.iterdir() if path.is_dir())
    folder, output = home / "given" / chance.choice(kinds), home / "output"
    shutil.copytree(sources / folder.name, folder)
    output.mkdir()
    shutil.copytree(sources / "discriminator", output / "vocab")
    if folder.name == "data":
        shutil.copy(sources / "gin/own.gin", folder / "own.gin")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = chance.choice(files)
    is_json = file.suffix == ".json" or file.name == "index.json"
    file.write_bytes(strange(chance, file.read_bytes(), is_json))
    words = chance.choice(commands(folder, output))
    told = f"STRANGE_SEED={SEED}, number {number}: {file.relative_to(home)}, {' '.join(map(str, words[:3]))}"
    before, began = everything(home / "given"), time.monotonic()
    done = run_command(*words)
    assert time.monotonic() - began < 60, told
    said = done.stdout + done.stderr
    assert done.returncode in (0, 2), f"{told}\n{said}"
    assert "Traceback" not in said, f"{told}\n{said}"
    assert not [c for c in said if (ord(c) < 32 and c not in "\n\t\r") or 127 <= ord(c) < 160], f"{told}\n{said!r}"
    assert done.returncode == 0 or "error: " in done.stderr, f"{told}\n{said}"
    assert everything(home / "given") == before, told
    made = {path.name for path in output.iterdir()} - {"vocab", "data.building", "none"}
    assert made <= {"hf", "data", "learned", "run"}, told
    if words[0] == "convert":
        assert (output / "hf").exists() == (done.returncode == 0), told
        if done.returncode == 0:
            model = read_model(output / "hf")
            if file.name == "model.safetensors":  # as its own library reads it
                given, got = load_file(file), load_file(output / "hf/model.safetensors")
                for name in got.keys() & given.keys():
                    np.testing.assert_array_equal(got[name], given[name].astype("float32"), err_msg=told)
            assert model.weights, told


def peak_memory(begin: bool = False) -> float:
    """GiB that this process has held at most since this was last called with `begin`: its tests share it."""
    if begin:
        Path("/proc/self/clear_refs").write_text("5")
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak[1]) / 2**20


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


def test_five_hundred_strange_files(sources, tmp_path, monkeypatch):
    run_all(range(500), sources, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_thousands_of_strange_files(part, sources, tmp_path, monkeypatch):
    run_all(range(500 + 1125 * part, 500 + 1125 * (part + 1)), sources, tmp_path, monkeypatch)
