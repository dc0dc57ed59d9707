"""A lock is one process's, and ends with it."""

import os
import subprocess
import sys

import pytest

from electra_tf import locks
from electra_tf.locks import locked_folder

HOLDER = (
    "import sys; from pathlib import Path; from electra_tf.locks import locked_folder\n"
    "with locked_folder(Path(sys.argv[1])) as mine:\n    print(mine, flush=True); sys.stdin.read()"
)


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path):
    with locked_folder(tmp_path / "run") as first, locked_folder(tmp_path / "run") as second:
        assert (first, second) == (True, False)
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock"]
    assert not (tmp_path / "run").exists()
    with locked_folder(tmp_path / "run") as again:
        assert again
        (tmp_path / "run" / "text").write_text("kept")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["text"]


def test_a_folder_that_was_there_stays(tmp_path):
    with locked_folder(tmp_path):
        pass
    assert tmp_path.is_dir()


def test_the_lock_of_a_killed_process_binds_nobody(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "True\n"
    with locked_folder(tmp_path) as mine:
        assert mine is False
    process.kill()
    process.communicate()
    assert (tmp_path / "lock").exists()
    with locked_folder(tmp_path) as mine:
        assert mine
    assert not list(tmp_path.iterdir())


def test_a_lock_that_was_removed_while_it_was_waited_for_is_made_anew(tmp_path, monkeypatch):
    """Whoever locks a file that is no longer there has locked out nobody."""
    lock, removed = locks.lock, []

    def late(handle):
        if not removed:
            removed.append(os.unlink(tmp_path / "lock"))
        return lock(handle)

    monkeypatch.setattr(locks, "lock", late)
    with locked_folder(tmp_path) as first, locked_folder(tmp_path) as second:
        assert (first, second) == (True, False)


@pytest.mark.parametrize("number", [37, 95, 9], ids=["no locks", "not supported", "only what is open for writing"])
def test_a_file_system_without_locks_is_told_from_one_whose_lock_is_held(tmp_path, monkeypatch, number):
    def unknown(*_):
        raise OSError(number, "")

    monkeypatch.setattr("fcntl.flock", unknown)
    with locked_folder(tmp_path) as mine:
        assert mine is None


def test_a_file_of_somebodys_that_is_called_lock_stays(tmp_path):
    (tmp_path / "lock").write_text("mine")
    with locked_folder(tmp_path) as mine:
        assert mine
    assert (tmp_path / "lock").read_text() == "mine"
