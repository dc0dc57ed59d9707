"""A command that dies at any file operation leaves the older output or the new one, and the next try succeeds."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from electra_tf.checkpoints import pretrained, write_folder
from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.models import EncoderConfig

DRIVER = Path(__file__).resolve().parents[1] / "file_operations.py"
SEED = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))  # the same again: KILL_SEED=...
SECONDS, EVERY = 10, "EVERY_OPERATION" in os.environ  # of a slow test, and whether it may take longer


class Case(NamedTuple):
    """A command with two different outputs.

    Attributes:
        imports: what all tries import. name: of the output.
        old, new: arguments but for --output. None as `old`: the command replaces nothing.
    """

    imports: str
    name: str
    old: list[str] | None
    new: list[str]


class Driver:
    """The driver, started; a call of it is one try of a command."""

    def __init__(self, imports, under, exchanges=True):
        self.under, self.exchanges = under, exchanges
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, DRIVER, imports], **pipes)

    def __call__(self, arguments, dies=0):
        job = {"under": str(self.under), "dies": dies, "exchanges": self.exchanges, "arguments": arguments}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def contents(path: Path) -> dict | None:
    """What a folder or a file holds, by hashes; None: there is none."""
    if not path.exists():
        return None
    names = [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else [path]
    return {str(file.relative_to(path.parent)): _held(file) for file in names}


def _held(file):
    if file.suffix != ".keras":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    with zipfile.ZipFile(file) as members:  # its metadata say when it was written
        return {name: members.read(name) for name in members.namelist() if name != "metadata.json"}


def check_kills(case: Case, folder: Path, over_old: bool, exchanges: bool = True, most: int | None = None) -> str:
    """Kills the command at `most` of its operations, or at as many as `SECONDS` allow. Returns a line for people."""
    root = folder / "here"
    run = Driver(case.imports, root, exchanges)
    output = root / case.name
    new, old = ([*arguments, "--output", str(output)] for arguments in (case.new, case.old or case.new))

    def beginning():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        if over_old:
            kept = folder / "kept" / case.name
            shutil.copytree(kept, output) if kept.is_dir() else shutil.copy2(kept, output)

    if over_old:
        over_old = False
        beginning()
        assert run(old)["status"] == 0
        shutil.rmtree(folder / "kept", ignore_errors=True)
        root.rename(folder / "kept")
        over_old = True
    beginning()
    before = contents(output)
    whole = run(new)
    assert whole["status"] == 0, whole["said"]
    after, count = contents(output), whole["operations"]
    assert after != before and os.listdir(root) == [case.name]
    chosen = random.Random(SEED).sample(range(1, count + 1), min(most or count, count))
    began, done = time.monotonic(), 0
    states = {"older": 0, "new": 0, "away until the next try": 0}
    for number in chosen:
        if most is None and not EVERY and time.monotonic() > began + SECONDS:
            break
        done += 1
        beginning()
        where = f"before operation {number} of {count}, KILL_SEED={SEED}"
        assert run(new, number)["status"] == -9, where
        found = contents(output)
        if found == before:
            states["older"] += 1
        elif found == after:
            states["new"] += 1
        else:
            assert not exchanges and over_old and found is None, (where, found)
            states["away until the next try"] += 1
        again = run(new)
        assert again["status"] == 0, (where, again["said"])
        assert contents(output) == after, where
        assert os.listdir(root) == [case.name], where
    run.process.stdin.close()
    assert run.process.wait() == 0
    told = ", ".join(f"{n} {name}" for name, n in states.items() if n)
    return f"{count} operations, killed at {done} by KILL_SEED={SEED}: {told}"


@pytest.fixture(scope="module")
def text(quick_text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(quick_text.read_text("utf-8").splitlines()[:60]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory, quick_vocab):
    """Two discriminators and two generators of the same sizes, with a vocabulary."""
    folder = tmp_path_factory.mktemp("models")
    config = EncoderConfig(
        vocab_size=500, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    for seed, name in enumerate(("old", "new")):
        rng = np.random.default_rng(seed)
        table = model_tensors(vars(config), "discriminator", ("replaced_token",))
        weights = {t.ours: rng.normal(size=t.shape("ours")).astype("float32") for t in table}
        write_folder(folder / name, pretrained("discriminator", config, weights), str(quick_vocab))
    return folder


SPIECE = "electra_tf.cli.vocab,electra_tf.text.sentencepiece_vocabulary,electra_tf.data.corpus"
PLACES = {"nothing": False, "an older one": True}


def vocab_case(text):
    few = ["vocab", "--kind", "sentencepiece", "--input", str(text)]
    return Case(SPIECE, "vocab", [*few, "--size", "120", "--nolower_case"], [*few, "--size", "110"])


def data_case(text, vocab):
    build = ["data", "--input", str(text), "--vocab", str(vocab), "--length", "32", "--held_out", "0.1"]
    return Case("electra_tf.cli.data,electra_tf.data.builder,tqdm", "data", None, [*build, "--processes", "0"])


def test_a_vocabulary_killed_at_some_operations(text, tmp_path):
    print(check_kills(vocab_case(text), tmp_path, True, most=4))


def test_a_data_set_killed_at_some_operations(text, quick_vocab, tmp_path):
    print(check_kills(data_case(text, quick_vocab), tmp_path, False, most=8))


@pytest.mark.slow
@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_a_vocabulary_killed_at_any_operation(text, tmp_path, place, exchanges):
    print(check_kills(vocab_case(text), tmp_path, PLACES[place], exchanges))


@pytest.mark.slow
def test_a_data_set_killed_at_any_operation(text, quick_vocab, tmp_path):
    print(check_kills(data_case(text, quick_vocab), tmp_path, False))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("to", ["safetensors", "bin", "h5", "keras", "tf1"])
def test_a_conversion_killed_at_any_operation(models, tmp_path, to, place):
    imports = (
        "tensorflow,torch,h5py,electra_tf.checkpoints.convert,electra_tf.models.task_models,electra_tf.cli.convert"
    )
    old, new = (["convert", "--input", str(models / name), "--to", to] for name in ("old", "new"))
    name = "model.keras" if to == "keras" else "model"
    print(check_kills(Case(imports, name, old, new), tmp_path, PLACES[place]))


@pytest.mark.slow
def test_a_copy_of_records_killed_at_any_operation(text, quick_vocab, tmp_path):
    made = data_case(text, quick_vocab)
    run = Driver(made.imports, tmp_path)
    assert run([*made.new, "--output", str(tmp_path / "made")])["status"] == 0
    copy = ["data", "--records", f"{tmp_path}/made/*.tfrecord", "--vocab", str(quick_vocab), "--length", "32"]
    imports = f"{made.imports},electra_tf.data.import_google_records"
    print(check_kills(Case(imports, "data", None, [*copy, "--held_out", "0.1"]), tmp_path / "of", False))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_predictions_killed_at_any_operation(quick_vocab, tmp_path, place):
    config = EncoderConfig(
        vocab_size=500, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    heads, rng = ("sequence_classifier",), np.random.default_rng(0)
    table = model_tensors(vars(config) | {"num_labels": 2}, "encoder", heads)
    weights = {t.ours: rng.normal(size=t.shape("ours")).astype("float32") for t in table}
    model = LoadedModel("ElectraForSequenceClassification", config, weights, heads)
    write_folder(tmp_path / "model", model, str(quick_vocab))
    commands = []
    for name, rows in (("old", 2), ("new", 3)):
        (tmp_path / f"{name}.csv").write_text("text\n" + "the sea\n" * rows)
        commands.append(["predict", "--input", str(tmp_path / "model"), "--file", str(tmp_path / f"{name}.csv")])
    imports = "tensorflow,electra_tf.models.task_models,electra_tf.cli.predict,electra_tf.finetuning.averaging"
    print(check_kills(Case(imports, "answers.tsv", *commands), tmp_path / "of", PLACES[place]))
