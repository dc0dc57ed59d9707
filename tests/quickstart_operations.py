"""`electra-tf quickstart` on little text, whose processes die before the Nth operation that changes files.

    python quickstart_operations.py TEXT

Reads lines of JSON: `output`; `dies`, N, counted over all its processes, or 0 for never; `alone`, whether the one
process dies that is about to do it, or all. Answers each by a line of the status, how many operations there were, and
what was said. Its commands are forks of this process, which has imported what they need.
"""

import gc
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib.pyplot  # noqa: F401
import sklearn.feature_extraction.text
import sklearn.linear_model  # noqa: F401
import tensorflow  # noqa: F401
from absl import flags
from file_operations import Counter, watch

import electra_tf.checkpoints.convert
import electra_tf.checkpoints.verify
import electra_tf.cli.detect
import electra_tf.cli.fill_mask
import electra_tf.data.builder
import electra_tf.finetuning.run
import electra_tf.pretraining.run
import electra_tf.text.wordpiece_vocabulary  # noqa: F401
from electra_tf.cli import quickstart, quickstart_books
from electra_tf.cli.main import main

USUAL = set(flags.FLAGS)
SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
PRETRAINING = {
    "Electra.discriminator": SIZES,
    "Recipe.steps": 4,
    "Recipe.batch_size": 4,
    "Recipe.compiler": "graph",
    "Recipe.checkpoint_every": 2,
    "Recipe.eval_every": 2,
    "Recipe.log_every": 1,
    "Recipe.eval_examples": 8,
    "Schedule.warmup_steps": 1,
}
FINETUNING = {
    "FineTuning.epochs": 40.0,
    "FineTuning.peak": 0.005,
    "FineTuning.least_updates": 0,
    "FineTuning.length": 32,
}
FINETUNING |= {"Recipe.batch_size": 16, "Recipe.compiler": "graph"}


class SharedCounter(Counter):
    """Counts over all processes that are forked from this one."""

    def __init__(self, under, dies, alone):
        super().__init__(under, dies)
        self.total, self.group = multiprocessing.Value("q", 0), None if alone else os.getpid()

    def step(self) -> None:
        with self.total.get_lock():
            self.total.value += 1
            count = self.total.value
        if count == self.dies:  # the lock is free again: others may go on
            os.kill(os.getpid(), signal.SIGKILL) if self.group is None else os.killpg(self.group, signal.SIGKILL)


class Forked:
    """A command as `subprocess.Popen` would start it, in a fork."""

    def __init__(self, command, stdout, text, preexec_fn, stderr=None):
        reading, writing = os.pipe()
        if not (child := os.fork()):
            lead(writing, stderr.fileno() if stderr else 2)
            preexec_fn()
            for name in set(flags.FLAGS) - USUAL:  # quickstart's own
                delattr(flags.FLAGS, name)
            leave(lambda: main(made_small(command[4:])))
        os.close(writing)
        self.pid, self.pipe, self.returncode = child, reading, None

    def communicate(self):
        with os.fdopen(self.pipe) as pipe:
            printed = pipe.read()
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return printed, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def made_small(words):
    if words[0] in ("vocab", "data"):
        words[words.index("--input") + 1] = sys.argv[1]
    if words[0] == "vocab":
        words[words.index("--size") + 1] = "300"
    if words[0] == "pretrain":
        words += [word for name, value in PRETRAINING.items() for word in ("--gin_param", f"{name} = {value!r}")]
    return words


def lead(out: int, err: int) -> None:
    """Leads this process' standard streams to open files."""
    for stream, handle in ((1, out), (2, err)):
        os.dup2(handle, stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))


def leave(command):
    """Runs a command, and ends this process with its status."""
    status = 1
    try:
        command()
    except SystemExit as exit:
        status = exit.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status & 255)


def attempt(output: str, dies: int, alone: bool) -> dict:
    """One try; returns when all its processes have ended."""
    alive, inherited = os.pipe()
    counting, counted = os.pipe()
    with tempfile.TemporaryFile("w+") as said:
        if not (child := os.fork()):
            os.setpgid(0, 0)
            lead(said.fileno(), said.fileno())
            counter = SharedCounter(output, dies, alone)
            watch(counter)

            def command():
                try:
                    main(["quickstart", "--output", output])
                finally:
                    os.write(counted, str(counter.total.value).encode())

            leave(command)
        os.close(inherited)
        os.close(counted)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.read(alive, 1)  # until the last of its commands has ended
        os.close(alive)
        with os.fdopen(counting) as pipe:
            count = pipe.read()
        said.seek(0)
        return {"status": status, "operations": int(count or 0), "said": said.read()}


if __name__ == "__main__":
    quickstart.subprocess = SimpleNamespace(Popen=Forked, PIPE=None)
    quickstart.OF_BOOKS = [f"{name} = {value!r}" for name, value in FINETUNING.items()]
    quickstart_books._ROWS = {"train": 8, "dev": 4, "test": 4}
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(attempt(**json.loads(line))), flush=True)
