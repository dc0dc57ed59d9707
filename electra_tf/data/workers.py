"""The processes that run the builder's stages, or this process in their place.

Each worker has a tokenizer of its own, made when it starts; `tokenize` is that tokenizer, and `begins_word` what it
knows of the vocabulary.
"""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from electra_tf.data.corpus import size_on_disk
from electra_tf.errors import OutputError
from electra_tf.settings import check_parallel
from electra_tf.startup import leave_out_optional_imports
from electra_tf.text.lost_marks import characters_of, damaged_words

BYTES_A_PROCESS = 20_000_000  # of text: for less, a process does not earn its start

_tokenizer: Callable
_begins_word: np.ndarray
_normalized: Callable[[str], str]


def tokenize(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Flat ids and row splits of lines, by the tokenizer of this process."""
    return _tokenizer(lines)


def begins_word() -> np.ndarray:
    """For each id, whether its token begins a word: bool `[V]`, by the tokenizer of this process."""
    return _begins_word


def lost_letters(lines: list[str]) -> dict:
    """What this process' tokenizer takes from words in whose script marks are letters: how many `characters` the words
    have, how many those that are `damaged`, and the commonest of these as it `was` and `is`."""
    words = Counter(word for line in lines for word in line.split())
    damaged = damaged_words(words, _normalized)
    was = max(damaged, key=damaged.get, default="")
    return {
        "characters": characters_of(words),
        "damaged": characters_of(damaged),
        "was": was,
        "is": was and _normalized(was),
    }


@contextmanager
def workers(processes: int | None, paths: Sequence[Path], tokenizer) -> Iterator[Callable]:
    """A function `run(task, jobs)` that gives pairs of a job and its result, as they are finished.

    Jobs are taken no faster than they can be done.

    Args:
        processes: how many processes; 0: this one does the work, without TensorFlow, which does not earn its
            start on a small corpus; None: by the number of cores and the size of the files.
        paths: the corpus.
        tokenizer: a `Tokenizer`.

    Raises: `OutputError` where a worker died.
    """
    if processes is None:
        processes = min(len(os.sched_getaffinity(0)), sum(map(_text_bytes, paths)) // BYTES_A_PROCESS)
    check_parallel(processes, "processes")
    if processes == 0:
        _set_tokenizer(tokenizer, "reference")
        yield lambda task, jobs: ((job, task(job)) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    arguments = (context.Barrier(processes), tokenizer)
    with ProcessPoolExecutor(processes, context, _start_worker, arguments) as pool:
        try:
            for started in [pool.submit(abs, n) for n in range(processes)]:
                started.result()
            yield partial(_run, pool, processes + 1)
        except BrokenProcessPool as error:
            raise OutputError(
                "a worker process ended before its work was done",
                where=f"one of {processes}",
                expected="0.75 GB of memory for each; in a script, a call below `if __name__ == '__main__':`",
                remedy="run the same command again, with fewer processes: what is finished is kept",
            ) from error


def _run(pool, ahead, task, jobs):
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
    return size_on_disk(path) * (3 if path.suffix in (".gz", ".xz") else 1)


def _start_worker(barrier, tokenizer):
    # An interrupt is the parent's to handle; and where the parent is killed, its workers follow.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(multiprocessing.parent_process(),), daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a worker would take an accelerator's memory, and not use it
    leave_out_optional_imports()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    _set_tokenizer(tokenizer, "fast")
    tokenize(["a"])
    barrier.wait()


def _follow(parent):
    parent.join()
    os._exit(1)


def _set_tokenizer(tokenizer, engine):
    global _tokenizer, _begins_word, _normalized
    _tokenizer = tokenizer.line_tokenizer(engine)
    _begins_word = _word_beginnings(tokenizer)
    _normalized = tokenizer.normalized


def _word_beginnings(tokenizer):
    from electra_tf.text.sentencepiece import SentencePieceTokenizer

    # SentencePiece marks the tokens that begin a word, WordPiece those that do not.
    if isinstance(tokenizer, SentencePieceTokenizer):
        return np.array([token.startswith("\u2581") for token in tokenizer.vocabulary])
    return np.array([not token.startswith("##") for token in tokenizer.vocabulary])
