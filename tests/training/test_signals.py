"""Ctrl-C and SIGTERM are noted, whatever becomes of the exception."""

import signal
import threading
from contextlib import suppress

import pytest

from electra_tf.training.signals import Signals


def test_an_interrupt_is_raised_outside_of_training_and_again_if_it_was_dropped():
    with Signals() as signals:
        signals.check()
        with suppress(KeyboardInterrupt):  # as Python does in a `__del__`
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("it was not raised")
        assert signals.asked == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signals.check()


def test_within_training_the_first_is_noted_and_the_second_raised():
    with Signals() as signals:
        signals.trains = True
        signal.raise_signal(signal.SIGINT)
        assert signals.asked == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_run_within_another_tells_it():
    with Signals() as outer, Signals():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert outer.asked == signal.SIGINT


def test_what_is_ignored_stays_ignored():
    """As of a program in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals:
            signal.raise_signal(signal.SIGINT)
            assert signals.asked is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_there_are_none():
    done = []

    def work():
        with Signals() as signals:
            done.append(signals.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [None]
