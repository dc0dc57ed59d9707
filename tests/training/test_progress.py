"""Progress: a bar on a terminal, plain lines elsewhere, durations as people tell them."""

import io
import os
import subprocess
import sys

import pytest

from electra_tf.training.progress import Display, duration


def test_where_there_is_no_terminal_progress_is_plain_lines():
    stream = io.StringIO()
    display = Display(100, 0, stream)
    wall = {"tokens_per_second": 12345.0, "seconds_left": 4000, "peak_share": 0.5}
    display.advance(50)
    display.show(50, "mlm 4.500  auc 0.750", wall)
    display.close()
    text = stream.getvalue()
    assert text.count("\n") == 1
    for words in ("step 50/100", "mlm 4.500  auc 0.750", "12,345 tokens/s",
                  "50% of peak", "1 h 06 min left"):  # fmt: skip
        assert words in text


def test_on_a_terminal_progress_is_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    display = Display(100, 0, stream)
    display.advance(100)
    display.say("a line that stays")
    display.close()
    assert "100/100" in stream.getvalue()
    assert "a line that stays" in stream.getvalue()


@pytest.mark.parametrize(
    "seconds, text",
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (7500, "2 h 05 min"), (260_000, "3.0 days")],
)
def test_durations_are_told_as_people_tell_them(seconds, text):
    assert duration(seconds) == text


CLOSED = (
    "import os, sys; sys.stdin.read()\n"
    "from electra_tf.startup import restart_with_tunables as first\n"
    "first(); from electra_tf.training.progress import Display\n"
    "display = Display(10, 0)\n"
    "for number in range(3):\n    display.say('a line')\n"
    "print(sys.stderr is not None, os.path.realpath('/proc/self/fd/2'))"
)


@pytest.mark.parametrize("stream", ["closed", "full", "without a reader"])
def test_a_stream_that_takes_nothing_is_given_up(stream):
    """And it is closed to no other file, which would get what is said."""
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [sys.executable, "-c", CLOSED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=full if stream == "full" else subprocess.PIPE,
            preexec_fn=(lambda: os.close(2)) if stream == "closed" else None,
            text=True,
        )
    if stream == "without a reader":
        process.stderr.close()
    process.stdin.close()
    assert process.stdout.read().split() == ["True", "/dev/null"]
    assert process.wait() == 0
