"""What the terminal shows of a run."""

import os
import sys
from contextlib import contextmanager

from electra_tf.errors import shown


class Display:
    """A bar on a terminal, plain lines elsewhere, both on standard error. A stream that takes no more is given up, for
    the run itself needs none: its reader has gone, or its disk is full.
    """

    def __init__(self, steps: int, first_step: int, stream=None):
        self.stream = stream or sys.stderr
        self.bar = None
        if self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=steps, initial=first_step, unit="step", file=self.stream, dynamic_ncols=True)
        self.steps = steps

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.bar is None:
            say_on(self.stream, text)
        else:
            with _given_up(self.stream):
                self.bar.write(text, file=self.stream)

    def advance(self, step: int) -> None:
        if self.bar is not None:
            with _given_up(self.stream):
                self.bar.update(step - self.bar.n)

    def show(self, step: int, line: str, wall: dict) -> None:
        """The state of training at a logged step: `line` tells the metrics."""
        text = f"{line}  {wall['tokens_per_second']:,.0f} tokens/s"
        if wall.get("peak_share"):
            text += f" ({wall['peak_share']:.0%} of peak)"
        if self.bar is not None:
            with _given_up(self.stream):
                self.bar.set_postfix_str(text)
        else:
            self.say(f"step {step:,}/{self.steps:,}  {text}  {duration(wall['seconds_left'])} left")

    def close(self) -> None:
        if self.bar is not None:
            with _given_up(self.stream):
                self.bar.close()


def say_on(stream, text: str) -> None:
    """A line on a stream, which is given up as a `Display` does."""
    with _given_up(stream):
        print(shown(text), file=stream, flush=True)


@contextmanager
def _given_up(stream):
    """Within it, a stream of the process that cannot be written to is led to nowhere; other streams' errors pass."""
    try:
        yield
    except OSError:
        if stream not in (sys.stderr, sys.stdout):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def duration(seconds: float) -> str:
    """Such as `2 h 05 min` or `48 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
