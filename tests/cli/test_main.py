"""What all commands have in common."""

import subprocess
import sys
import time

import pytest

from electra_tf.cli.main import COMMANDS
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


def test_a_command_can_be_run_again_in_the_same_process(electra_tf):
    for _ in range(2):
        assert "--size=0" in electra_tf("vocab", "--input=a", "--output=b", "--size=0").stderr
