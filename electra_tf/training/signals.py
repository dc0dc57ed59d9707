"""SIGTERM and Ctrl-C: a run that is asked to stop saves first."""

import signal
import threading


class Signals:
    """Within it, both are noted, and while the run `trains` that is all: it stops at the next occasion. Else, and at a
    second one, they do what they did before.

    They are noted in any case, since Ctrl-C's exception may be raised within a `__del__`, where Python drops it. In a
    thread that is not the main one there are no signals.

    Attributes:
        asked: the signal that has come, or None.
    """

    def __init__(self):
        self.asked, self.trains, self._before = None, False, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if (before := signal.getsignal(number)) not in (signal.SIG_IGN, None):
                    signal.signal(number, self._note)
                    self._before[number] = before
        return self

    def __exit__(self, *_):
        for number, before in self._before.items():
            signal.signal(number, before)

    def check(self) -> None:
        """Raises `KeyboardInterrupt` if Ctrl-C has come and its own was dropped."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt

    def _note(self, number, _):
        again, self.asked = self.asked is not None, number
        if again or not self.trains:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
