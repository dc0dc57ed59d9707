"""`electra-tf inspect`: what a run, a data set, a model or a vocabulary is, without loading its weights."""

import dataclasses
import time
from functools import partial
from pathlib import Path

from absl import flags

from electra_tf.errors import ConfigError, as_json, shown

DESCRIPTION = (
    "Tells what a run directory, data set, Hugging Face folder, TF-V1 checkpoint, .keras file or vocabulary holds."
)
EXAMPLE = "electra-tf inspect runs/tiny"
POSITIONAL = "a path"

_LONG = 40  # what is longer gets a line of its own


def define_flags() -> None:
    flags.DEFINE_boolean("json", False, "Print JSON.")
    flags.DEFINE_boolean("tensors", False, "List every tensor: name, shape and type.")
    flags.DEFINE_boolean("verify", True, "Compare a data set's shards with their checksums, about 1 GB a second.")


def run(flag_values, paths: list[str]) -> None:
    from electra_tf.checkpoints import recognise
    from electra_tf.checkpoints.formats import FORMATS
    from electra_tf.checkpoints.hub import located
    from electra_tf.checkpoints.reading import damage_told

    if len(paths) != 1:
        raise ConfigError(f"{len(paths)} paths were given", where="the command line", expected=f"one: {EXAMPLE}")
    if not paths[0]:  # it would be the folder that this is typed in
        raise ConfigError("the path is empty", where="the command line", expected=f"a path, as in {EXAMPLE}")
    readers = {kind: form.facts for kind, form in FORMATS.items()} | {"vocabulary": vocabulary}
    readers["data_set"] = partial(data_set, verify=flag_values.verify)
    with damage_told(paths[0]):
        path = located(paths[0])
        facts = readers[recognise(path)](path)
    if "tensors" in facts:
        facts["tensors"] = _told(facts["tensors"], flag_values) if flag_values.tensors else len(facts["tensors"])
    print(as_json(facts) if flag_values.json else shown("\n".join(in_words(facts))))


def data_set(path: Path, verify: bool = True) -> dict:
    """Facts of a data set: counts, the lengths of examples, the fill rate, and some examples decoded."""
    from electra_tf.checkpoints.run_checkpoints import to_stderr
    from electra_tf.data.dataset_inspection import describe
    from electra_tf.data.reader import DataSet

    dataset = DataSet.open(path)
    if verify:
        dataset.verify(to_stderr)
    return describe(dataset) | {"shards": "as they were written" if verify else "not verified"}


def vocabulary(path: Path) -> dict:
    """Facts of a tokenizer."""
    from electra_tf.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(path)
    return {
        "kind": "vocabulary",
        "tokens": len(tokenizer),
        "settings": dataclasses.asdict(tokenizer.settings),
        "special ids": {token: tokenizer.token_to_id(token) for token in tokenizer.special_tokens},
        "fingerprint": tokenizer.fingerprint,
    }


def _told(tensors, flag_values):
    if flag_values.json:
        return {name: {"shape": shape, "dtype": dtype} for name, (dtype, shape) in tensors.items()}
    return {name: f"{list(shape)} {dtype}" for name, (dtype, shape) in tensors.items()}


def in_words(facts: dict, indent: str = "") -> list[str]:
    """Lines of `name  value`, names aligned, what is in dictionaries indented, counts of lengths with bars."""
    lines, width = [], max((len(str(name)) for name in facts), default=0)
    for name, value in facts.items():
        if value and isinstance(value, dict):
            below = _with_bars(value) if name == "lengths" else value
            lines += [f"{indent}{name}", *in_words(below, indent + "  ")]
        elif isinstance(value, list) and any(len(str(item)) > _LONG for item in value):
            lines += [f"{indent}{name}", *(f"{indent}  {item}" for item in value)]
        else:
            told = _moment(value) if name == "time" and isinstance(value, float) else _value(value)
            lines.append(f"{indent}{name!s:<{width}}  {told}")
    return lines


def _value(value):
    if value in (None, [], {}):
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def _moment(seconds):
    """Of a clock's seconds since 1970."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _with_bars(counts):
    most, width = max(counts.values(), default=0) or 1, max(len(f"{count:,}") for count in counts.values())
    return {name: f"{count:>{width},}  {'█' * round(40 * count / most)}".rstrip() for name, count in counts.items()}
