"""A small pre-training run in a process of its own, which can be made to die at a chosen moment.

    python small_run.py DATA MODEL_DIR [--devices 2] [--end kill:3:0.01] ...

`--end kill:CALL:SECONDS` sends SIGKILL to the process so many seconds after the start of its CALLth call of the inner
loop, `term:CALL:SECONDS` SIGTERM, `int:CALL:SECONDS` SIGINT, and `write:NUMBER:BYTES` SIGKILL when its NUMBERth
checkpoint has so many bytes on the disk.
"""

import argparse
import builtins
import io
import json
import os
import signal
import threading
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from electra_tf.cli.gin_files import configured
from electra_tf.pretraining.run import pretrain, settings_of
from electra_tf.training.devices import Devices
from electra_tf.training.loop import Trainer
from electra_tf.training.recipe import Recipe

SIZES = {
    "embedding_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}
MODEL = {"Electra.preset": "electra_small", "Electra.discriminator": SIZES}
# No interval divides another, so that checkpoints fall between two lines of the metrics.
RECIPE = {
    "Recipe.steps": 240,
    "Recipe.batch_size": 8,
    "Schedule.peak": 2e-3,
    "Schedule.warmup_steps": 20,
    "Recipe.compiler": "graph",
    "Recipe.seed": 7,
    "Recipe.log_every": 7,
    "Recipe.checkpoint_every": 10,
    "Recipe.eval_every": 45,
    "Recipe.eval_examples": 64,
    "Recipe.keep": 3,
}
SHORT = {"Recipe.steps": 60}  # for what needs no ten lives


def settings(gin_file: str | None = None, changes: dict | None = None) -> list:
    """(recipe, settings, masking, schedule, optimizer): of a gin file, or of ELECTRA, shrunken and changed."""
    bindings = (RECIPE if gin_file else MODEL | RECIPE) | (changes or {})
    files = [gin_file] if gin_file else []
    return configured(Recipe, settings_of, files, [f"{name} = {value!r}" for name, value in bindings.items()])[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("model_dir")
    parser.add_argument("--strategy", default="one")
    parser.add_argument("--devices", type=int)
    parser.add_argument("--gin_file", help="instead of MODEL")
    parser.add_argument("--settings", type=json.loads, default={}, help="changes to MODEL and RECIPE")
    parser.add_argument("--steps_file", help="gets a line for every call of the inner loop: its number of steps")
    parser.add_argument("--end", default="never:0:0")
    options = parser.parse_args()

    kind, number, amount = options.end.split(":")
    number, amount = int(number), float(amount)
    signals = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
    watch_calls(options.steps_file, signals.get(kind), number, amount)
    if kind == "write":
        builtins.open = dying_open(number, int(amount))
    recipe, model, masking, schedule, optimizer = settings(options.gin_file, options.settings)
    result = pretrain(
        options.data,
        options.model_dir,
        model,
        recipe,
        masking=masking,
        schedule=schedule,
        optimizer=optimizer,
        devices=Devices(options.strategy, options.devices),
    )
    print(json.dumps(result))


def watch_calls(steps_file, number_of_signal, fatal_call, seconds):
    """Writes down the steps of a call before it is made; the fatal one starts the clock."""
    calls, train = 0, Trainer.train

    def watched(trainer, num_steps):
        nonlocal calls
        calls += 1
        if steps_file:
            with open(steps_file, "a") as file:
                file.write(f"{int(num_steps)}\n")
        if number_of_signal and calls == fatal_call:
            threading.Timer(seconds, os.kill, (os.getpid(), number_of_signal)).start()
        train(trainer, num_steps)

    Trainer.train = watched


def dying_open(fatal_checkpoint, fatal_bytes):
    """`open`, but the files of a checkpoint that is being written end the process at a byte of one checkpoint."""
    usual, written = open, {}  # bytes by checkpoint, in order

    class Dying(io.FileIO):
        def write(self, part):
            part, folder = memoryview(part).cast("B"), Path(self.name).parent
            room = fatal_bytes - written.setdefault(folder, 0)
            if len(written) == fatal_checkpoint and len(part) >= room:
                super().write(part[:room])
                os.kill(os.getpid(), signal.SIGKILL)
            written[folder] += len(part)
            return super().write(part)

    def dying(path, mode="r", *arguments, **keywords):
        if mode == "wb" and Path(path).parent.name.startswith("writing-"):
            return Dying(path, mode)
        return usual(path, mode, *arguments, **keywords)

    return dying


if __name__ == "__main__":
    main()
