"""The processes that run the builder's stages, or this process in their place.

Each worker has a tokenizer of its own, made when it starts; `tokenize` is that tokenizer.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from electra_tf.errors import ConfigError, OutputError

BYTES_A_PROCESS = 20_000_000  # of text: for less, a process does not earn its start

_tokenizer: Callable


def tokenize(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Flat ids and row splits of lines, by the tokenizer of this process."""
    return _tokenizer(lines)


@contextmanager
def worker_pool(processes: int | None, paths: Sequence[Path], tokenizer) -> Iterator[Executor]:
    """Workers that are ready to tokenize.

    Args:
        processes: how many; 0: this process does the work, without TensorFlow, which does not earn its start
            on a small corpus; None: by the number of cores and the size of the files.
        paths: the corpus.
        tokenizer: a `Tokenizer`.

    Raises: `OutputError` where a worker died.
    """
    if processes is None:
        processes = min(len(os.sched_getaffinity(0)), sum(map(_text_bytes, paths)) // BYTES_A_PROCESS)
    if processes < 0:
        raise ConfigError(f"processes is {processes}", expected="0 or more")
    if processes == 0:
        yield _ThisProcess(tokenizer)
        return
    context = multiprocessing.get_context("spawn")
    arguments = (context.Barrier(processes), tokenizer)
    with ProcessPoolExecutor(processes, context, _start_worker, arguments) as pool:
        try:
            for started in [pool.submit(abs, n) for n in range(processes)]:
                started.result()
            yield pool
        except BrokenProcessPool as error:
            raise OutputError(
                "a worker process ended before its work was done",
                expected="0.75 GB of memory for each; in a script, a call below `if __name__ == '__main__':`",
                remedy="run the same command again, with fewer processes: what is finished is kept",
            ) from error


def each(pool: Executor, task: Callable, jobs: Iterable) -> Iterator[tuple]:
    """Pairs of a job and its result, as they are finished. Takes jobs no faster than they can be done."""
    ahead = getattr(pool, "_max_workers", 0) + 1
    pending = {}
    for job in jobs:
        pending[pool.submit(task, job)] = job
        if len(pending) > ahead:
            yield from _finished(pending)
    while pending:
        yield from _finished(pending)


def _finished(pending):
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future.result()


def _text_bytes(path):
    """About what a file holds when it is decompressed."""
    return path.stat().st_size * (3 if path.suffix in (".gz", ".xz") else 1)


class _ThisProcess(Executor):
    """Does what it is given at once."""

    def __init__(self, tokenizer):
        from electra_tf.text.wordpiece import LineTokenizer

        _set_tokenizer(LineTokenizer(tokenizer, engine="reference"))

    def submit(self, task, /, *args, **kwargs):
        future = Future()
        future.set_result(task(*args, **kwargs))
        return future


def _start_worker(barrier, tokenizer):
    # An interrupt is the parent's to handle; and where the parent is killed, its workers follow.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(multiprocessing.parent_process(),), daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a worker would take an accelerator's memory, and not use it
    # What Keras, which comes with TensorFlow, imports where it finds it. No worker needs the 0.2 GB.
    sys.modules |= dict.fromkeys(("jax", "matplotlib", "sklearn"))
    import tensorflow as tf

    from electra_tf.text.wordpiece import LineTokenizer

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    _set_tokenizer(LineTokenizer(tokenizer))
    tokenize(["a"])
    barrier.wait()


def _follow(parent):
    parent.join()
    os._exit(1)


def _set_tokenizer(line_tokenizer):
    global _tokenizer
    _tokenizer = line_tokenizer
