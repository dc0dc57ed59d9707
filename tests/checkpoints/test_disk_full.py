"""A disk that fills up while a conversion replaces an older output: an error in words, and the older output stays."""

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from small_models import CONFIGS, random_weights

from electra_tf import convert
from electra_tf.checkpoints import pretrained, write_folder
from electra_tf.checkpoints.formats import TARGETS

# Where the disk is full, as a share of the largest file.
PLACES = {"at once": 0.0, "near the end": 0.97}

# Each command ends a process of its own; what all of them import is imported once, before, and not collected by each.
_COMMANDS = """
import gc, os, resource, sys
import tensorflow, torch
import electra_tf.checkpoints.convert, electra_tf.models.task_models
from electra_tf.cli.main import main

gc.freeze()
for line in sys.stdin.read().splitlines():
    limit, *arguments = line.split("\\t")
    if not (child := os.fork()):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
        main(arguments)
    print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""


class Refused(NamedTuple):
    """What became of a command: its status, what it said, and the files where its output is, before and after."""

    status: int
    said: str
    output: Path
    before: dict[str, bytes]
    after: dict[str, bytes]


def files(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with two models of the same sizes, `old` and `new`, of half a megabyte."""
    folder = tmp_path_factory.mktemp("models")
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 1}
    config = CONFIGS["electra"].replace(vocab_size=500, **sizes)
    for seed, name in enumerate(("old", "new")):
        write_folder(folder / name, pretrained("discriminator", config, random_weights(config, config, seed=seed)))
    return folder


@pytest.fixture(scope="module")
def refused(models, tmp_path_factory):
    """(target, place) -> what became of converting `new` over an output made of `old`."""
    pytest.importorskip("torch")
    outputs, before, lines = {}, {}, []
    for to in TARGETS:
        made = tmp_path_factory.mktemp("made")
        convert(models / "old", made / ("model.keras" if to == "keras" else "model"), to)
        for place, share in PLACES.items():
            folder = shutil.copytree(made, tmp_path_factory.mktemp(to) / "here")
            (output,) = folder.iterdir()
            outputs[to, place], before[to, place] = output, files(folder)
            limit = int(share * max(len(content or b"") for content in before[to, place].values()))
            command = ["convert", f"--input={models / 'new'}", f"--output={output}", f"--to={to}"]
            lines.append("\t".join([str(limit), *command]))
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS],
        input="\n".join(lines),
        env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3"),
        capture_output=True,
        text=True,
    )
    said = re.findall(r"(.*?)^status (-?\d+)\n", done.stderr, re.DOTALL | re.MULTILINE)
    return {
        case: Refused(int(status), text, outputs[case], before[case], files(outputs[case].parent))
        for case, (text, status) in zip(outputs, said, strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("to", TARGETS)
def test_a_full_disk_is_an_error_that_names_the_output(refused, to, place):
    found = refused[to, place]
    assert found.status == 2, found.said
    assert "Traceback" not in found.said
    assert re.search(r"^error: the (folder|file) cannot be written: ", found.said, re.MULTILINE)
    assert f"\n  where:      {found.output}\n" in found.said
    assert "\n  what to do: " in found.said


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("to", TARGETS)
def test_a_full_disk_leaves_the_older_output_and_nothing_beside_it(refused, to, place):
    found = refused[to, place]
    assert len(found.before) > 0
    assert found.after == found.before


def test_a_disk_without_a_byte_for_temporary_files_is_an_error_too(models, tmp_path):
    command = [
        sys.executable,
        "-m",
        "electra_tf",
        "convert",
        f"--input={models / 'new'}",
        f"--output={tmp_path / 'hf'}",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)),
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
