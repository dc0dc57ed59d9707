"""Each error of the package says where, what was expected and what to do, or here why not; what it names exists."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from absl import flags

import electra_tf
from electra_tf.cli.gin_files import _settings_classes
from electra_tf.cli.main import COMMANDS

PACKAGE = Path(electra_tf.__file__).parent
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}

# (file, beginning of the message): why it has no place, no expectation, or no remedy.
NO_PLACE = {
    ("cli/error_messages.py", "there is not enough memory"): "memory has none",
    ("cli/error_messages.py", "{str(error.strerror)}"): "no folder could be written; the reason names those tried",
    ("cli/error_messages.py", "nobody foresaw this"): "its traceback, where no file could be written, stands above it",
}
NO_EXPECTATION = {
    ("cli/error_messages.py", "{str(error.strerror"): "the system says what failed; its opposite is expected",
    ("cli/error_messages.py", "nobody foresaw this"): "nobody knows",
    ("models/encoder.py", "two weights are called"): "one of each name",
}
NO_REMEDY = {
    ("models/encoder.py", "two weights are called"): "only a change of our layers could lead there",
}
# Where something failed, is missing or is damaged, its opposite is expected.
FAILURE = re.compile(
    r"can(not| be reached)|could not|is missing|misses|damaged|does not match|no readable|not enough|needs"
)
# Raised and caught within the package, where they become an error of ours or a choice; never shown as they are.
INSIDE = {
    "ValueError": (
        "checkpoints/containers/tf1_bundle.py",
        "checkpoints/containers/tf1_index.py",
        "checkpoints/run_json.py",
        "data/examples.py",
        "data/manifest.py",
        "finetuning/question_files.py",
        "training/devices.py",
    ),
    "TypeError": ("finetuning/multiple_choice_files.py", "finetuning/question_files.py"),
    "UnpicklingError": ("checkpoints/containers/pytorch_bin.py",),
    "OSError": ("checkpoints/containers/pytorch_bin.py", "checkpoints/containers/tf1_bundle.py", "files.py"),
}
# Python's own protocols, whose errors have a fixed class.
PROTOCOLS = ("AttributeError", "NotImplementedError", "KeyboardInterrupt", "Stopped")


def _error_classes():
    known = {"ElectraTFError"}
    classes = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while new := {c.name for c in classes if {ast.unparse(base) for base in c.bases} & known} - known:
        known |= new
    return known


ERRORS = _error_classes()


def _name(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _errors():
    """(file, call) for each error of ours that is made anywhere in the package."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node) in ERRORS:
                yield file, node


def _text(node):
    """A string as it stands in the code, its fields in braces."""
    if isinstance(node, ast.JoinedStr):
        parts = (part if isinstance(part, ast.Constant) else part.value for part in node.values)
        return "".join(map(_text, parts))
    return node.value if isinstance(node, ast.Constant) else "{" + ast.unparse(node) + "}"


def _names_its_setting(message):
    """Whether it begins as `seed is {self.seed}` or names a flag: then the name is the place."""
    beginning = re.match(
        r"\{?(\w+)\}? is \{(?:(?:self|values|tokenizer|options)\.)?(\w+|getattr\(.*?\))(?:!r)?\}", message
    )
    return bool(beginning and beginning[1] in beginning[2]) or re.search(r"--[a-z]\w+", message) is not None


# (file, what stands in its code for a place): what it is that the user types, besides flags and classes of settings.
TYPED = {
    ("text/sentencepiece_vocabulary.py", "symbols"): "an argument",
    ("text/tokenizer.py", "max_length"): "an argument",
    ("pretraining/settings.py", "{where}"): "a class of settings",
    ("optimizers/adamw.py", "{type(self).__name__}"): "a class of settings",
    ("settings.py", "{type(settings).__name__}"): "a class of settings",
    ("cli/fill_mask.py", "{sentence}"): "the sentence itself",
    ("cli/predict.py", "{line[:60]}"): "the text itself",
    ("cli/predict.py", "{values.output}"): "--output",
}
SETTINGS = [cls.__name__ for cls in _settings_classes()]


def _is_typed(file, call, message):
    """Whether the place is what the user types. Then what is expected is to be typed, and needs no more words."""
    said = {k.arg: _text(k.value) for k in call.keywords}
    place = said.get("where", "")
    if re.search(r"--[a-z]", said.get("expected", "")) or _names_its_setting(message):
        return True
    named = rf"--[a-z]|the command line|({'|'.join(SETTINGS)})\b"
    return (file, place) in TYPED or re.match(named, place) is not None


def _may_be_none(node):
    if isinstance(node, ast.IfExp):
        return _may_be_none(node.body) or _may_be_none(node.orelse)
    return isinstance(node, ast.Constant) and not node.value


def _lacking(part, exceptions, is_clear):
    """The errors that lack a part and are not clear without it; the exceptions that none of them needs any more."""
    lacking, used = [], set()
    for file, call in _errors():
        said = {k.arg for k in call.keywords if not _may_be_none(k.value)}
        if part in said or is_clear(file, call, message := _text(call.args[0])):
            continue
        excuse = next((e for e in exceptions if e[0] == file and message.startswith(e[1])), None)
        if excuse is None:
            lacking.append(f"{file}:{call.lineno}: {message}")
        used.add(excuse)
    return lacking, set(exceptions) - used


def test_every_error_says_where():
    assert _lacking("where", NO_PLACE, lambda file, call, message: _names_its_setting(message)) == ([], set())


def test_every_error_says_what_was_expected():
    assert _lacking("expected", NO_EXPECTATION, lambda file, call, message: FAILURE.search(message)) == ([], set())


def test_every_error_says_what_to_do():
    assert _lacking("remedy", NO_REMEDY, _is_typed) == ([], set())


def test_a_user_s_error_is_never_one_of_python_s():
    bare = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assert):
                bare.append(f"{file}:{node.lineno}: assert")
            elif isinstance(node, ast.Raise) and node.exc is not None:
                name = _name(node.exc) if isinstance(node.exc, ast.Call) else getattr(node.exc, "id", "")
                is_python_s = name[:1].isupper() and name not in ERRORS and name not in PROTOCOLS
                if is_python_s and file not in INSIDE.get(name, ()):
                    bare.append(f"{file}:{node.lineno}: {ast.unparse(node)}")
    assert bare == []


# ---- What the words name


def _strings():
    """(file, line, text) of every string of the package, fields of a format in braces."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr | ast.Constant) and isinstance(getattr(node, "value", ""), str):
                yield file, node.lineno, _text(node)


@pytest.fixture(scope="module")
def declared():
    """The flags of all commands."""
    before, known = set(flags.FLAGS), set()
    for name in COMMANDS:
        importlib.import_module(f"electra_tf.cli.{name.replace('-', '_')}").define_flags()
        own = set(flags.FLAGS) - before
        known |= own | {f"no{flag}" for flag in own if flags.FLAGS[flag].boolean}
        for flag in own:
            delattr(flags.FLAGS, flag)
    of_others = {"logdir"} | {f"tf_xla_persistent_cache_{what}" for what in ("directory", "device_types")}
    return known | {"help", "version"} | of_others


def test_every_flag_and_command_that_is_named_exists(declared):
    named = [(place, name) for *place, text in _strings() for name in re.findall(r"--(?:\[no\])?([a-z]\w+)", text)]
    assert len(named) > 200
    assert [(place, name) for place, name in named if name not in declared] == []
    named = [(place, name) for *place, text in _strings() for name in re.findall(r"electra-tf ([a-z-]+)", text)]
    assert len(named) > 20
    assert [(place, name) for place, name in named if name not in COMMANDS] == []


def test_every_setting_that_is_named_exists():
    fields = {cls.__name__: {*vars(cls), *cls.__dataclass_fields__} for cls in _settings_classes()}
    pattern = rf"\b({'|'.join(fields)})\.([a-z]\w+)"
    named = [(place, cls, name) for *place, text in _strings() for cls, name in re.findall(pattern, text)]
    assert len(named) > 20
    assert [one for one in named if one[2] not in fields[one[1]]] == []
