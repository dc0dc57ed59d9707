"""Which format holds which model: every class through every pair of formats, and every mode of Google's code.

    python benchmarks/conversion_matrix.py --golden ../shared/data/golden

A class is written in a format A, converted to B, and from B back to A; the first table says for each B whether the same
bits came back from every A. The second one converts the checkpoints that Google's code recorded. A cell that cannot be
has the error's words below its table. Writes docs/results/conversion_matrix.md; exits with 1 where bits differ.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from conversion_parity import networks, random_model

from electra_tf import convert
from electra_tf.checkpoints import read_model, write_folder
from electra_tf.checkpoints.google_albert import is_albert
from electra_tf.checkpoints.google_electra import read_tf1
from electra_tf.checkpoints.google_heads import tasks_of
from electra_tf.checkpoints.google_slots import is_weight
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, TOWERS
from electra_tf.errors import ElectraTFError

FORMATS = ("safetensors", "bin", "h5", "keras", "tf1")
SAME = "same bits"


class Table:
    """Rows of cells; an error becomes a letter, and its words a line below."""

    def __init__(self, title, columns):
        self.title, self.columns, self.rows, self.notes = title, columns, [], {}

    def cell(self, outcome) -> str:
        if isinstance(outcome, str):
            return outcome
        return f"({self.notes.setdefault(outcome.found, chr(ord('a') + len(self.notes)))})"

    def lines(self):
        yield from (f"## {self.title}", "", f"| | {' | '.join(self.columns)} |", "|---" * (len(self.columns) + 1) + "|")
        yield from (f"| {' | '.join(row)} |" for row in self.rows)
        yield ""
        yield from (f"- ({letter}) {' '.join(words.split())}" for words, letter in self.notes.items())
        yield ""


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[n], expected[n]) for n in expected)


def heads_of(model):
    """What a TF-V1 ELECTRA does not tell."""
    return {"num_attention_heads": model.config.num_attention_heads} if model.config.model_type == "electra" else None


def place(folder, name, form):
    return folder / (f"{name}.keras" if form == "keras" else name)


def step(source, target, to, model, source_form):
    """One conversion of a model of a class."""
    fine_tuned = model.config.model_type == "electra" and not {"replaced_token", "masked_lm"} & set(model.heads)
    task = "task" if fine_tuned and model.heads and "tf1" in (to, source_form) else None
    settings = heads_of(model) if "tf1" in (to, source_form) else None
    return convert(source, target, to, model_class=model.name, task=task, settings=settings)[0]


def round_trip(model, first, second, folder):
    """The outcome of first -> second -> first."""
    write_folder(folder / "start", model)
    try:
        a = folder / "start"
        if first != "safetensors":
            a = step(a, place(folder, "a", first), first, model, "safetensors")
        b = step(a, place(folder, "b", second), second, model, first)
        c = step(b, place(folder, "c", first), first, model, second)
    except ElectraTFError as error:
        return error
    settings = heads_of(model) if first == "tf1" else None
    found = read_model(c, settings=settings, model_class=model.name)
    return SAME if same(found.weights, model.weights) else "DIFFERENT"


def classes():
    table = Table("Every class, through every pair of formats", FORMATS)
    for name in MODEL_CLASSES:
        model = random_model(name, dict(networks(name))["tiny"])
        row = []
        for second in FORMATS:
            outcomes = []
            for first in FORMATS:
                with tempfile.TemporaryDirectory() as folder:
                    outcomes.append(round_trip(model, first, second, Path(folder)))
            held = [outcome for outcome in outcomes if isinstance(outcome, str)]
            # A first format that cannot hold the model has its own column.
            row.append(table.cell(held[0] if len(set(held)) == 1 else "DIFFERENT" if held else outcomes[0]))
        table.rows.append([name, *row])
        print(*table.rows[-1], file=sys.stderr, flush=True)
    return table


def modes(golden):
    """Whole to TF-V1, and each tower to each other format and back."""
    table = Table("Checkpoints that Google's code wrote", ["tower", *FORMATS])
    for path in sorted(golden.rglob("*.index")):
        if path.name not in ("final.ckpt.index", "model.ckpt.index", "v1.ckpt.index", "v2.ckpt.index"):
            continue
        path = path.with_suffix("")
        checkpoint = None if is_albert(path) else read_tf1(path)
        alone = checkpoint is None or checkpoint.layout.tasks
        towers = [] if alone else [t for t in TOWERS if getattr(checkpoint, t) is not None]
        towers += ["generator"] if not alone and "generator_ltr" in checkpoint.layout.towers else []
        for tower in towers or (None,):
            row = [outcome_of_mode(path, tower, to) for to in FORMATS]
            table.rows.append([str(path.relative_to(golden)), tower or "", *map(table.cell, row)])
            print(*table.rows[-1], file=sys.stderr, flush=True)
    return table


def outcome_of_mode(path, tower, to):
    with tempfile.TemporaryDirectory() as folder:
        try:
            if to == "tf1":
                (written,) = convert(path, Path(folder) / "out", to)
                return SAME if same(raw(written), raw(path)) else "DIFFERENT"
            (written,) = convert(path, place(Path(folder), "out", to), to, tower=tower)
            source = read_model(path, tower)
            if "sequence_classifier" in source.heads and source.config.model_type == "electra":
                # transformers' head has two layers, which hold the one: it is found again on the way back.
                (back,) = convert(written, Path(folder) / "back", "tf1", task=tasks_of(read_tf1(path).weights)[0])
                expected = {name: array for name, array in raw(path).items() if is_weight(name)}
                return SAME if same({n: a for n, a in raw(back).items() if is_weight(n)}, expected) else "DIFFERENT"
            held = SAME if not source.left_out else f"{SAME} but for the {' and '.join(source.left_out)}"
            return held if same(read_model(written).weights, source.weights) else "DIFFERENT"
        except ElectraTFError as error:
            return error


def raw(path):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, help="folders with checkpoints that Google's code wrote")
    parser.add_argument("--output", type=Path, default=Path("docs/results/conversion_matrix.md"))
    options = parser.parse_args()
    tables = [classes(), *([modes(options.golden)] if options.golden else [])]
    lines = ["# Which format holds which model", "", "`python benchmarks/conversion_matrix.py --golden FOLDER`", ""]
    options.output.write_text(
        "\n".join([*lines, *(line for table in tables for line in table.lines())]).rstrip() + "\n"
    )
    sys.exit(any("DIFFERENT" in cell for table in tables for row in table.rows for cell in row))


if __name__ == "__main__":
    main()
