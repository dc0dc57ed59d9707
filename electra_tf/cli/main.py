"""`electra-tf COMMAND`: finds the command, reads its flags, and runs it."""

import importlib
import os
import sys

from electra_tf.cli.error_messages import in_words
from electra_tf.startup import leave_out_optional_imports, restart_with_tunables
from electra_tf.version import __version__

COMMANDS = {
    "quickstart": "all of it, on eight bundled books, in some minutes",
    "vocab": "train a vocabulary from text",
    "data": "build a data set from text",
    "pretrain": "pre-train encoders by any objective, or go on with a run",
    "finetune": "fine-tune a checkpoint on labelled texts",
    "predict": "answers of a fine-tuned model to texts",
    "evaluate": "score a fine-tuned model on labelled texts",
    "glue": "write what GLUE's server scores",
    "convert": "write a checkpoint in another format",
    "fill-mask": "fill in [MASK] in a sentence",
    "detect": "find replaced tokens in a sentence",
    "inspect": "say what a run, a data set, a checkpoint or a model folder holds",
}
_MAY_BE_EMPTY = ("symbols", "gin_param")  # flags whose texts are no names


def main(argv: list[str] | None = None) -> None:
    """Runs one command and exits: 0 when all was done, 2 after an error of the user's."""
    with in_words():
        _main(argv is None, sys.argv[1:] if argv is None else argv)


def _main(is_program, argv):
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview())
        sys.exit(0 if argv else 2)
    if argv[0] == "--version":
        print(__version__)
        sys.exit(0)
    name, *rest = argv
    if name not in COMMANDS:
        print(f"there is no command {name!r}\n\n{_overview()}", file=sys.stderr)
        sys.exit(2)
    command = importlib.import_module(f"electra_tf.cli.{name.replace('-', '_')}")
    if is_program and getattr(command, "RESTARTS", False):
        restart_with_tunables()
    if is_program:
        leave_out_optional_imports()
    run_command(command, f"electra-tf {name}", rest)


def run_command(command, name: str, argv: list[str]) -> None:
    """Runs a command module with its flags, as `name`. Exits with its status."""
    from absl import flags  # loads for long; here Ctrl-C is told in words

    os.environ.setdefault(
        "TF_CPP_MIN_LOG_LEVEL", "3"
    )  # TensorFlow's own messages, but for errors, say nothing to users
    before = set(flags.FLAGS)
    try:
        with in_words():
            command.define_flags()
            _run(command, name, argv, flags.FLAGS)
    finally:
        # Absl's flags are the process's; without these, main() can be called again.
        for flag in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, flag)


def _run(command, name, argv, values):
    from absl.flags import Error

    if any(argument in ("-h", "--help", "-help") for argument in argv):
        print(_help(command, name, values))
        sys.exit(0)
    try:
        positional = values([name, *argv])[1:]
    except Error as error:
        print(f"{error}\n\nTry: {name} --help", file=sys.stderr)
        sys.exit(2)
    # An empty path would be the folder that this is typed in.
    given = {flag: values[flag].value for flag in values if values[flag].present}
    for flag in sorted(flag for flag, value in given.items() if value == "" or (type(value) is list and "" in value)):
        if flag not in _MAY_BE_EMPTY:
            print(f"--{flag} is empty: is a variable unset?\n\nTry: {name} --help", file=sys.stderr)
            sys.exit(2)
    takes = getattr(command, "POSITIONAL", None)
    if positional and not takes:
        print(
            f"{name} does not know what to do with {' '.join(positional)}\n\nTry: {name} --help",
            file=sys.stderr,
        )
        sys.exit(2)
    if getattr(command, "RESTARTS", False):
        from electra_tf.training.compilation_cache import use_cache

        use_cache(values.threads)
    sys.exit((command.run(values, positional) if takes else command.run(values)) or 0)


def _overview():
    rows = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    return f"electra-tf {__version__}\n\n{rows}\n\nelectra-tf COMMAND --help says more."


def _help(command, name, values):
    own = [flag for flag in values.flags_by_module_dict().get(command.__name__, [])]
    width = max(len(_usage(flag)) for flag in own) + 2
    lines = [f"  {_usage(flag):{width}}{_text(flag)}{_default(flag)}" for flag in own]
    return "\n".join(
        [command.DESCRIPTION, "", "For instance:", "", *_indented(command.EXAMPLE), "", f"{name}:", *lines]
    )


def _indented(text):
    return [f"  {line}" for line in text.strip().splitlines()]


def _text(flag):
    return flag.help.split(";\n")[0]  # absl adds advice to flags that may be repeated


def _usage(flag):
    return f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"


def _default(flag):
    return "" if flag.default in (None, [], "", False) else f" (default {flag.default_as_str})"
