"""Writes docs/settings.md from the dataclasses themselves: `python docs/settings_page.py > docs/settings.md`."""

import dataclasses
import inspect
import re
import types
from itertools import pairwise
from typing import get_args, get_origin, get_type_hints

from electra_tf.errors import ConfigError
from electra_tf.finetuning.settings import COMPAT, FineTuning
from electra_tf.models.config import EncoderConfig
from electra_tf.models.presets import PRESETS
from electra_tf.optimizers import OPTIMIZERS
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.lamb import Lamb
from electra_tf.optimizers.schedules import KINDS, Schedule
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.run import OBJECTIVES
from electra_tf.pretraining.settings import Electra, MaskedLM
from electra_tf.training.compilation import COMPILERS
from electra_tf.training.recipe import Recipe

CLASSES = (Recipe, Electra, MaskedLM, Masking, Schedule, AdamW, Lamb, FineTuning, EncoderConfig)
# What is only checked where it is used.
LATER = {
    "Recipe.objective": f"one of {', '.join(OBJECTIVES)}",
    "Recipe.optimizer": f"one of {', '.join(OPTIMIZERS)}",
    "Recipe.compiler": f"auto, or one of {', '.join(COMPILERS)}",
    "Schedule.kind": f"one of {', '.join(KINDS)}",
    "Electra.preset": "the name of a preset",
    "MaskedLM.preset": "the name of a preset",
    "Electra.discriminator": "fields of `EncoderConfig`",
    "Electra.generator": "fields of `EncoderConfig`",
    "MaskedLM.encoder": "fields of `EncoderConfig`",
}
PROBES = {int: (-1, 0), float: (-1.0, 0.0, 2.0), str: ("?",)}
HEAD = """# Settings

Every field that a gin file, or `--gin_param 'Class.field = value'`, can set; from Python they are the arguments of
the classes. Which recipe sets what is in [recipes.md](recipes.md); `run.json` in a run's directory says what a run
was given.

This page is written by `python docs/settings_page.py > docs/settings.md`, from the classes and from what their checks
refuse: a test fails where it is not what the classes say.

`pretrain` takes `Recipe`, `Masking`, `Schedule`, `Electra` or `MaskedLM` (by `Recipe.objective`) and `AdamW` or
`Lamb` (by `Recipe.optimizer`); `finetune` takes `FineTuning`, `Recipe` and the optimizer. Where a default is None, or
nothing is said in a gin file, the text says what is taken. Fields marked * may be changed when a run is resumed; all
others define it. What begins with *compat* is a published mistake or oddity, off unless it is asked for.

Not of a run, but of the machine, are three variables of the environment: `ELECTRA_TF_COMPILATION_CACHE`, the folder
where compiled programs are kept (by default `~/.cache/electra_tf/programs`, at most 128 MB for each release of
TensorFlow, kind of processor and number of threads; empty: nowhere); `GLIBC_TUNABLES`, which the commands set
for a faster allocator, and `TF_ENABLE_ONEDNN_OPTS`, which `import electra_tf` sets to 1 for faster products, where they
are not set.
"""
TAIL = [
    f"Presets: {', '.join(f'`{name}`' for name in PRESETS)}.\n",
    "What `FineTuning.compat` takes:\n",
    *(f"- `{name}`: {meaning}" for name, meaning in COMPAT.items()),
    "",
]


def page() -> str:
    return "\n".join([HEAD, *(part for cls in CLASSES for part in _section(cls)), *TAIL])


def _section(cls):
    fields = {field.name: field for field in dataclasses.fields(cls)}
    inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "__dataclass_fields__", ())}
    own = [name for name in fields if name not in inherited]
    doc = inspect.getdoc(cls)
    about, _, attributes = doc.partition("Attributes:")
    about = " ".join(about.partition("Raises")[0].split())
    yield f"## {cls.__name__}\n\n{about}\n"
    yield "| field | default | type, values | what it does |\n|---|---|---|---|"
    meanings = dict(_meanings(attributes, own))
    for names, meaning in _rows(own, meanings):
        shown = ", ".join(f"`{name}`" + "*" * bool(fields[name].metadata.get("free")) for name in names)
        defaults = ", ".join(f"`{_default(fields[name])}`" for name in names)
        kinds = "; ".join(dict.fromkeys(_values(cls, name) for name in names))
        yield f"| {shown} | {defaults} | {_cell(kinds)} | {_cell(meaning)} |"
    yield ""


def _rows(own, meanings):
    """(names, meaning), fields that are explained together in one row; an unexplained field by itself."""
    told = {name: names for names in meanings for name in names}
    for name in own:
        names = told.get(name, (name,))
        if name == names[0]:
            explained_at = next((other[0] for other, text in meanings.items() if f"`{name}`" in text), None)
            usual = f"see `{explained_at}`" if explained_at else "as in Hugging Face's `config.json`"
            yield names, meanings.get(names, usual)


def _meanings(text, own):
    """(names, meaning) by the docstring's "name, name: meaning.", wherever such a beginning stands."""
    text = " ".join(text.split())
    name = "|".join(sorted(own, key=len, reverse=True))
    begins = list(re.finditer(rf"(?:^|(?<=[.)]) )((?:{name})(?:, (?:{name}))*): ", text))
    for begin, after in pairwise([*begins, None]):
        yield tuple(begin[1].split(", ")), text[begin.end() : after and after.start()].strip()


def _default(field):
    return repr(field.default if field.default_factory is dataclasses.MISSING else field.default_factory())


def _values(cls, name):
    """The type, and what the class itself says that it expects when it is given something else."""
    kind = get_type_hints(cls)[name]
    kinds = [get_origin(one) or one for one in (get_args(kind) if isinstance(kind, types.UnionType) else (kind,))]
    said = " or ".join("None" if one is type(None) else one.__name__.lower() for one in kinds)
    expected = LATER.get(f"{cls.__name__}.{name}") or _refused(cls, name, kinds)
    return f"{said}: {expected}" if expected else said


def _refused(cls, name, kinds):
    for probe in (probe for kind in kinds for probe in PROBES.get(kind, ())):
        try:
            cls(**{name: probe})
        except ConfigError as error:
            return error.expected
        except TypeError:
            continue
    return None


def _cell(text):
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
