"""Whatever may not be read or written by the one who types a command is said in words, with status 2."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

DRIVER = Path(__file__).resolve().parents[1] / "another_user.py"
SIZES = {"embedding_size": 64, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 16, "max_position_embeddings": 32}
PRETRAINING = {"Electra.discriminator": SIZES, "Recipe.steps": 2, "Recipe.batch_size": 4, "Recipe.compiler": "graph"}
PRETRAINING |= {"Recipe.checkpoint_every": 1}
FINETUNING = {"FineTuning.least_updates": 0, "FineTuning.epochs": 4.0, "FineTuning.length": 16, "FineTuning.peak": 0.01}
FINETUNING |= {"Recipe.compiler": "graph"}


def words(line, settings=None):
    params = [word for name, value in (settings or {}).items() for word in ("--gin_param", f"{name} = {value!r}")]
    return line.split() + params


VOCAB, DATA = "vocab --input text.txt --size 300 --output ", "data --vocab vocab --input text.txt --length 16 --output "
PRETRAIN, TUNE = "pretrain --gin_file electra_tiny --data data --model_dir ", "finetune --train rows.csv --model_dir "
MAKE = [
    words(f"{VOCAB}vocab"),
    words(f"{DATA}data --held_out 0.1 --processes 0"),
    words(f"{PRETRAIN}run", PRETRAINING),
    words(f"{TUNE}tuned --init_checkpoint run", FINETUNING),
    words("convert --input run --tower both --to tf1 --output tf1"),
    words("convert --input run --to keras --output one.keras"),
    words("convert --input run --to bin --output bin"),
    words("convert --input run --to h5 --output h5"),
    words("convert --input run --output hf"),
    words("predict --input tuned --file rows.csv --output answers.tsv"),
    words("evaluate --input tuned --file rows.csv"),
    words("inspect run"),
    words("inspect data"),
    words("detect --input hf sea"),
]
TUNED, NEWEST = "tuned/seed-0", "run/checkpoints/step-00000002"

# (what is typed, what may not be read, what the error names)
UNREADABLE = [
    *((f"inspect {path}", path) for path in ("run", "data", "hf", "tf1", "one.keras", "vocab")),
    *((f"inspect {path.split('/')[0]}", path) for path in ("run/run.json", "run/checkpoints", "data/manifest.json")),
    *((f"inspect {path.split('/')[0]}", path) for path in ("hf/config.json", "hf/model.safetensors")),
    *((f"convert --input {path} --output new", path) for path in ("run", "hf", "bin", "h5", "tf1", "one.keras")),
    ("convert --input run --output new", "run/run.json"),
    ("convert --input run --output new", "run/tokenizer"),
    ("convert --input run --output new", "run/tokenizer/tokenizer.json"),
    ("convert --input run --output new", "run/checkpoints"),
    ("convert --input run --output new", f"{NEWEST}/state.safetensors"),
    ("convert --input run --output new", f"{NEWEST}/index.json"),
    ("inspect run", f"{NEWEST}/state.safetensors"),
    ("convert --input hf --output new", "hf/model.safetensors"),
    ("convert --input hf --output new", "hf/tokenizer.json"),
    ("convert --input hf --output new", "hf/README.md"),
    ("convert --input bin --output new", "bin/pytorch_model.bin"),
    ("convert --input h5 --output new", "h5/tf_model.h5"),
    ("convert --input run --to tf1 --output new --config config.json", "config.json"),
    ("predict --input tuned sea", "tuned"),
    ("predict --input tuned sea", "tuned/results.json"),
    ("predict --input tuned sea", f"{TUNED}/run.json"),
    ("predict --input tuned sea", f"{TUNED}/calibration.json"),
    ("predict --input tuned sea", f"{TUNED}/tokenizer"),
    ("predict --input tuned --file rows.csv", "rows.csv"),
    ("evaluate --input tuned --file rows.csv", "rows.csv"),
    (f"{VOCAB}new", "text.txt"),
    (f"{DATA}new", "text.txt"),
    (f"{DATA}new", "vocab"),
    (f"{DATA}new", "vocab/tokenizer.json"),
    ("data --records data/*.tfrecord --vocab vocab --length 16 --output new", "data/train-00000-of-00001.tfrecord"),
    (f"{PRETRAIN}new", "data"),
    (f"{PRETRAIN}new", "data/manifest.json"),
    (f"{PRETRAIN}new", "data/train-00000-of-00001.tfrecord"),
    (f"{PRETRAIN}new", "data/vocab"),
    ("pretrain --gin_file my.gin --data data --model_dir new", "my.gin"),
    (f"{PRETRAIN}new --init_checkpoint run --gin_param Electra.initial_weights='random'", "run"),
    (f"{TUNE}new --init_checkpoint run", "rows.csv"),
    (f"{TUNE}new --init_checkpoint hf", "hf"),
    (f"{TUNE}new --init_checkpoint hf", "hf/config.json"),
]
# (what is typed, what may not be written into, what the error names)
UNWRITABLE = [
    (f"{VOCAB}kept/new", "kept", "kept"),
    (f"{VOCAB}vocab", "vocab", "."),
    (f"{DATA}kept/new", "kept", "kept/new"),
    ("data --records data/*.tfrecord --vocab vocab --length 16 --output kept/new", "kept", "kept/new"),
    *((f"convert --input run --to {to} --output kept/new", "kept", "kept/new") for to in ("safetensors", "bin", "tf1")),
    ("convert --input run --to keras --output kept/new.keras", "kept", "kept/new.keras"),
    ("convert --input run --output hf", "hf", "hf"),
    ("predict --input tuned --file rows.csv --output kept/a.tsv", "kept", "kept/a.tsv"),
    (f"{PRETRAIN}kept/new", "kept", "kept/new"),
    (f"{PRETRAIN}run", "run", "run"),
    (f"{TUNE}kept/new --init_checkpoint run", "kept", "kept/new"),
    (f"{TUNE}tuned --init_checkpoint run", "tuned", "tuned"),
]
SETTINGS = {"pretrain": PRETRAINING, "finetune": FINETUNING}


@pytest.fixture(scope="module")
def root(quick_text):
    """A folder that everybody may read, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "text.txt").write_text(quick_text.read_text("utf-8")[:40_000], "utf-8")
    rows = "".join(f"{'the sea and the ship' if n % 2 else 'was it his or hers'},{n % 2}\n" for n in range(80))
    (folder / "rows.csv").write_text(f"text,label\n{rows}")
    (folder / "my.gin").write_text("include 'electra_tiny.gin'\n")
    (folder / "config.json").write_text("{}")
    (folder / "kept").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def driver(root):
    """A function: a command, as the user who owns all or as another one, in one process with all others."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, DRIVER], cwd=root, **pipes) as process:

        def run(arguments, **how):
            process.stdin.write(json.dumps({"arguments": arguments, **how}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        for arguments in MAKE:
            made = run(arguments, other=False)
            assert made["status"] == 0, made["said"]
        yield run
        process.stdin.close()


def check_told(found, names, root):
    assert found["status"] == 2, found["said"]
    assert "Traceback" not in found["said"]
    assert re.search(r"^error: ", found["said"], re.MULTILINE), found["said"]
    assert re.search(rf"(?<![\w/]){re.escape(names)}\b|{re.escape(str(root / names))}\b", found["said"]), found["said"]
    assert "Permission denied" in found["said"] or "cannot be read" in found["said"] or "written" in found["said"]
    assert ".building" not in found["said"] and not re.search(r"\.\w{8}\.new", found["said"])
    assert not (root / "new").exists() and os.listdir(root / "kept") == []
    assert not [path for path in root.iterdir() if path.name.startswith(".") or path.name.endswith(".building")]


@pytest.mark.slow
@pytest.mark.parametrize("line, closed", UNREADABLE)
def test_what_may_not_be_read_is_told(driver, root, line, closed):
    kept = root.stat().st_mode
    root.chmod(0o777)  # what fails is the reading
    try:
        found = driver(words(line, SETTINGS.get(line.split()[0])), closed=[closed])
    finally:
        root.chmod(kept)
    check_told(found, closed, root)


@pytest.mark.slow
@pytest.mark.parametrize("line, kept, names", UNWRITABLE)
def test_what_may_not_be_written_is_told(driver, root, line, kept, names):
    check_told(driver(words(line, SETTINGS.get(line.split()[0])), kept=[".", kept]), names, root)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["inspect run", "inspect data", "predict --input tuned sea", "detect --input hf sea"])
def test_what_only_reads_needs_no_right_to_write(driver, line):
    found = driver(words(line), kept=["run", "tuned", TUNED, "hf", "."])
    assert found["status"] == 0 and "error" not in found["said"], found["said"]
