"""What all commands have in common."""

import os
import subprocess
import sys
import time

import pytest

from electra_tf.cli import error_messages
from electra_tf.cli.main import COMMANDS
from electra_tf.errors import InputError, as_json
from electra_tf.version import __version__


def test_help_names_every_command(electra_tf):
    done = electra_tf("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_no_command_is_answered_with_the_commands_and_status_2(electra_tf):
    done = electra_tf()
    assert done.returncode == 2
    assert "pretrain" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example_and_its_flags(electra_tf, name):
    done = electra_tf(name, "--help")
    assert done.returncode == 0
    assert f"electra-tf {name} " in done.stdout
    assert done.stdout.count("  --") >= 1
    assert "  --" in done.stdout.split("For instance:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_there_in_a_second(name):
    """The best of three, in a process of its own: other work on this machine is not the command's."""
    took = []
    while len(took) < 3 and not any(seconds < 1 for seconds in took):
        began = time.monotonic()
        command = [sys.executable, "-m", "electra_tf", name, "--help"]
        done = subprocess.run(command, capture_output=True, text=True)
        took.append(time.monotonic() - began)
        assert done.returncode == 0, done.stderr
    assert min(took) < 1


def test_the_version(electra_tf):
    assert electra_tf("--version").stdout.strip() == __version__


def test_an_unknown_command_is_answered_with_the_commands(electra_tf):
    done = electra_tf("pretain")
    assert done.returncode == 2
    assert "there is no command 'pretain'" in done.stderr
    assert "pretrain" in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["vocab", "--input=a", "--output=b", "--sizes=3"], "Unknown command line flag 'sizes'"),
        (["vocab", "--input=a", "--output=b", "--size=many"], "--size=many"),
        (["data", "--input=a", "--vocab=b"], "--output"),
        (["data", "--input=a", "--vocab=b", "--output=c", "stray"], "stray"),
        (["pretrain", "--data=a", "--model_dir=b", "--threads=0"], "threads"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_flags_that_cannot_be_meant_are_refused_with_a_way_to_help(electra_tf, arguments, words):
    done = electra_tf(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert f"Try: electra-tf {arguments[0]} --help" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "vocab --input a --output=",
        "data --input a --vocab b --output=",
        "data --input a --vocab= --output b",
        "convert --input a --output=",
        "convert --input= --output b",
        "pretrain --data a --model_dir=",
        "pretrain --data= --model_dir b",
        "finetune --train a --init_checkpoint b --model_dir=",
        "predict --input= words",
        "evaluate --input= --file a",
        "detect --input= words",
        "fill-mask --input= words",
        "quickstart --output=",
    ],
)
def test_an_empty_name_is_not_the_folder_that_a_command_is_typed_in(electra_tf, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = electra_tf(*line.split())
    empty = next(word for word in line.split() if word.endswith("="))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{empty.removesuffix('=')} is empty: is a variable unset?")
    assert not list(tmp_path.iterdir())


def test_an_empty_path_is_not_inspected(electra_tf):
    done = electra_tf("inspect", "")
    assert done.returncode == 2 and "the path is empty" in done.stderr


def test_a_command_can_be_run_again_in_the_same_process(electra_tf):
    for _ in range(2):
        assert "--size=0" in electra_tf("vocab", "--input=a", "--output=b", "--size=0").stderr


class Panic(BaseException):
    """What a library in Rust raises."""


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (
            PermissionError(13, "Permission denied", "shut/a.txt"),
            2,
            "error: Permission denied\n  where:      shut/a.txt",
        ),
        (OSError(28, "No space left on device", "out"), 2, "error: No space left on device\n  where:      out"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device\n  where:      standard output"),
        (MemoryError(), 2, "error: there is not enough memory"),
        (ImportError("a.so: failed to map segment from shared object"), 2, "error: there is not enough memory"),
        (Panic("index out of bounds"), 1, "error: nobody foresaw this: Panic: index out of bounds"),
        (
            TypeError("first\nsecond"),
            1,
            "error: nobody foresaw this: TypeError: first\n  where:      the traceback is in ",
        ),
        (InputError("a \x1b]0;title\x07 \x9b \u202e b\nc"), 2, "error: a \\x1b]0;title\\x07 \\x9b \\u202e b\nc"),
    ],
    ids=["permission", "full", "full output", "memory", "memory of a library", "panic", "fault", "escapes"],
)
def test_whatever_is_raised_ends_in_words(electra_tf, monkeypatch, tmp_path, raised, status, told):
    def run(values, positional):
        raise raised

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("electra_tf.cli.inspect.run", run)
    done = electra_tf("inspect", "a")
    assert done.returncode == status
    assert done.stderr.startswith(told)
    kept = [path.read_text() for path in tmp_path.glob("electra-tf-*.txt")]
    assert len(kept) == (status == 1)
    assert all("Traceback" in text and type(raised).__name__ in text for text in kept)


def in_a_shell(line, folder, **environment):
    command = f"{sys.executable} -m electra_tf {line}"
    return subprocess.run(["bash", "-c", command], cwd=folder, env={**os.environ, **environment}, capture_output=True)


@pytest.mark.parametrize(
    "line", ["inspect vocab >&-", "inspect vocab 2>&-", "--help > /dev/full", "inspect vocab | true"]
)
def test_streams_that_lead_nowhere_are_no_traceback(line, tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    (tmp_path / "vocab").mkdir()
    (tmp_path / "vocab/vocab.txt").write_text("\n".join(words))
    done = in_a_shell(line, tmp_path)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert done.returncode == (2 if "full" in line else 0)


@pytest.mark.parametrize("line", ["inspect nosuch 2>/dev/full", "inspect nosuch 2>&-"])
def test_the_status_tells_where_nobody_can_read_the_words(line, tmp_path):
    assert in_a_shell(line, tmp_path).returncode == 2


def test_json_has_no_number_that_is_none():
    assert as_json({"a": [float("nan"), 1.5], "b": float("inf")}) == '{"a": [null, 1.5], "b": null}'


def test_a_terminal_that_cannot_show_a_letter_is_no_traceback(tmp_path):
    (tmp_path / "\u6771\u4eac").mkdir()
    done = in_a_shell("inspect \u6771\u4eac", tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 2
    assert b"\\u6771\\u4eac" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("path", ["a" * 300, "a/" * 3000, "loop", "gone/below"])
def test_paths_that_cannot_be_looked_at_end_in_words(electra_tf, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").write_text("a file")
    for words in (("inspect", path), ("convert", "--input", path, "--output", "o"), ("detect", "--input", path, "a")):
        done = electra_tf(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def test_a_folder_that_has_gone_is_told_as_what_is_missing(electra_tf, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("the sea\n" * 50)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = electra_tf("vocab", "--input", tmp_path / "a.txt", "--size", 20, "--output", "v")
    assert done.returncode == 2
    assert "where:      the folder that this is typed in\n  what to do: check that it is there" in done.stderr


def test_a_process_that_is_left_alone_says_so(monkeypatch, capsys):
    """Its class is TensorFlow's, which raises it in the processes of a cluster that are left."""
    error = type("UnavailableError", (Exception,), {})("failed to connect to all addresses\nmore")
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert error_messages._told(error) == 2
    said = capsys.readouterr().err
    assert "another process of the cluster has ended" in said and "failed to connect" in said and "more" not in said
