"""What `electra-tf quickstart` starts ends with it."""

import os
import signal
import subprocess
import sys

import pytest
from in_process import run_command

from electra_tf.cli import quickstart
from electra_tf.cli.vocab import REPORT_NAME

PARENT = (
    "import sys; from electra_tf.cli import quickstart\n"
    "quickstart._shown = lambda code: [sys.executable, '-c', code]\n"
    'quickstart._electra_tf("import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(60)")'
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_that_it_has_started_ends_with_it(number):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stderr=subprocess.PIPE, text=True)
    child = int(parent.stderr.readline())
    os.kill(child, 0)
    parent.send_signal(number)
    assert parent.stderr.read() == ""  # until the child has closed it, too
    assert parent.wait() == -number


def test_modules_of_the_folder_it_is_typed_in_are_not_run(tmp_path):
    for name in ("absl", "random", "electra_tf"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was run')")
    code = "from electra_tf.cli.quickstart import _electra_tf; _electra_tf('--version')"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "a stranger" not in done.stdout + done.stderr


@pytest.mark.parametrize("status, expected", [("3", 3), ("os.kill(os.getpid(), 9)", 128 + 9)])
def test_what_was_left_by_a_command_that_is_not_run_again_is_cleared(status, expected, tmp_path, monkeypatch):
    left, vocab = tmp_path / ".vocab.12345678.new", tmp_path / "vocab"
    for folder in (left, vocab):
        folder.mkdir()
    (vocab / REPORT_NAME).write_text("{}")
    code = f"import os, sys; sys.exit({status})"
    monkeypatch.setattr(quickstart, "_shown", lambda *words: [sys.executable, "-c", code])
    done = run_command("quickstart", "--output", tmp_path)
    assert done.returncode == expected
    assert ("SIGKILL has ended that command" in done.stderr) == (expected > 128)
    assert [path.name for path in tmp_path.iterdir()] == ["vocab"]
