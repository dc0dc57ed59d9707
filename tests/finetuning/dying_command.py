"""The command, which kills itself at a chosen moment.

    python dying_command.py KIND:WHAT finetune --task ...

`train:N:SECONDS` so long after the Nth call of the inner loop began, `evaluation:N:SECONDS` of an evaluation;
`put:NAME` when what was written is to be put in place under this name; `never` not at all.
"""

import os
import signal
import sys
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from electra_tf.cli.main import main
from electra_tf.finetuning import evaluation
from electra_tf.training.loop import Trainer

KIND, WHAT, SECONDS = (*sys.argv[1].split(":"), "", "0")[:3]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function, kind):
    """`function`, in whose fatal call the clock is started."""
    calls = 0

    def called(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if kind == KIND and calls == int(WHAT):
            threading.Timer(float(SECONDS), die).start()
        return function(*arguments, **keywords)

    return called


def dying_replace(source, destination, replace=os.replace):
    if KIND == "put" and os.path.basename(destination) == WHAT:
        die()
    replace(source, destination)


os.replace = dying_replace
Trainer.train = dying(Trainer.train, "train")
evaluation.outputs_of = dying(evaluation.outputs_of, "evaluation")
main(sys.argv[2:])
