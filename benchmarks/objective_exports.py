"""Which format holds each model that benchmarks/objectives.py trained, and what transformers makes of it.

    python benchmarks/objective_exports.py --work runs/objectives

Each model is written by `electra-tf convert --verify` in every format, both towers where there are two; the Hugging
Face folders are then opened by transformers' own classes. What is done is not done again. Adds a table to
docs/results/objectives.md; exits with 1 where what is written differs from what was trained.
"""

import argparse
import contextlib
import io
import json
import re
import sys
import tempfile
import warnings
from pathlib import Path

from conversion_matrix import FORMATS, Table

from electra_tf.errors import CheckpointError

TITLE = "## What holds which model"
_SENTENCES = {"english": "He put his hand upon my shoulder.", "korean": "이 책은 우리 사회의 역사를 다룬다."}


def command(*words) -> tuple[int, str, str]:
    """(status, standard output, standard error) of one of the product's commands, run in this process."""
    from electra_tf.cli.main import main

    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            return int(end.code or 0), output.getvalue(), errors.getvalue()
    return 0, output.getvalue(), errors.getvalue()


def heads_file(run, folder: Path) -> Path:
    """What TF-V1 does not tell of a run's encoders."""
    from electra_tf.checkpoints.read_write_options import told_as

    told = {tower: {"num_attention_heads": config.num_attention_heads} for tower, config in run.towers.items()}
    told = {told_as(tower): fields for tower, fields in told.items()}
    path = folder / "heads.json"
    path.write_text(json.dumps(told if len(told) > 1 else next(iter(told.values()))))
    return path


def export(source: Path, tower: str | None, form: str, folder: Path, told: Path | None):
    """The words of a cell, or the error that the command gave; `folder` gets what is written."""
    place = folder / (f"{form}.keras" if form == "keras" else form)
    words = ["convert", "--input", source, "--to", form, "--output", place, "--verify"]
    words += ["--tower", tower] if tower else []
    words += ["--config", told] if told else []
    status, output, errors = command(*words)
    if status == 2:
        found = errors.partition("error: ")[2].replace(str(source), "RUN").replace(str(folder), "OUTPUT")
        return CheckpointError(found.strip())
    if status:
        return f"DIFFERENT: {output} {errors}"
    verified = re.findall(r"verified by (\S+), as (\w+): .* differs by at most (\S+),", output)
    copied = re.findall(r"copied and not run.*: (.*)", output)
    beside = "" if form == "tf1" and not tower else heads_beside(place)
    words = [f"{name}{beside}, {float(difference):.0e} by {engine}" for engine, name, difference in verified]
    return "; ".join([*words, *(f"{names} copied" for names in copied)])


def heads_beside(place: Path) -> str:
    """Heads of what was written that its class of transformers has not."""
    from electra_tf.checkpoints import read_model
    from electra_tf.checkpoints.weight_names import MODEL_CLASSES

    model = read_model(place)
    return "".join(f" + {head}" for head in model.heads if head not in MODEL_CLASSES[model.name].heads)


def opened(folder: Path, sentence: str) -> str:
    """What transformers' classes for a folder make of a sentence: finite numbers, with which heads made anew."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    fields = json.loads((folder / "config.json").read_text())
    names, kind = fields["architectures"], transformers.AutoTokenizer
    if fields["model_type"] == "albert" and (folder / "vocab.txt").exists():
        kind = transformers.BertTokenizer  # as ALECTRA is published, and opened to be fine-tuned
        names = ["AlbertForSequenceClassification"] if names == ["AlbertModel"] else names
    elif "AlbertForPreTraining" in names:
        names = ["AlbertForPreTraining", "AlbertForMaskedLM", "AlbertForSequenceClassification"]
    tokenizer, words = kind.from_pretrained(folder), []
    given = tokenizer(sentence, return_tensors="pt")
    for name in ("AutoModel", *names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, told = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
        with torch.no_grad():
            outputs = [value for value in model.eval()(**given).to_tuple() if torch.is_tensor(value)]
        finite = outputs and all(bool(torch.isfinite(value).all()) for value in outputs)
        anew = sorted({re.sub(r"\.(weight|bias)$", "", key).removeprefix("albert.") for key in told["missing_keys"]})
        good = finite and not told["mismatched_keys"] and {*anew} <= {"pooler", "classifier"}
        words.append(name + (f" (new: {' and '.join(anew)})" if anew else ""))
        words += [] if good else [f"DIFFERENT: finite {finite}, {told}"]
    return f"{', '.join(words)}; {type(tokenizer).__name__}"


def towers_of_run(run) -> list[str | None]:
    if "discriminator" not in run.towers:
        return [None]
    has_generator = len(run.towers) > 1 or "masked_lm" in run.heads["discriminator"]
    return ["discriminator", "generator"] if has_generator else ["discriminator"]


def exported(recipe: str, text: str, work: Path) -> list[list]:
    """A row for each tower of a run: the recipe, the tower, and the outcomes; an error as [its words]."""
    from electra_tf.checkpoints.run_directory import read_run

    source, rows = work / recipe, []
    run, sentence = read_run(source), _SENTENCES["korean" if text == "korean" else "english"]
    # Google's code keeps all towers of an ELECTRA in one checkpoint.
    is_electra = all(config.model_type == "electra" for config in run.towers.values())
    for tower in towers_of_run(run):
        with tempfile.TemporaryDirectory() as name:
            folder, row = Path(name), [recipe, tower or "encoder"]
            for form in FORMATS:
                told = heads_file(run, folder) if form == "tf1" else None
                outcome = export(source, None if form == "tf1" and is_electra else tower, form, folder, told)
                row.append(outcome if isinstance(outcome, str) else [outcome.found])
            written = (folder / "safetensors" / "config.json").exists()
            rows.append([*row, opened(folder / "safetensors", sentence) if written else ""])
    return rows


def exports(recipes: dict[str, str], work: Path) -> Table:
    """Of every run that is finished; what was done is kept beside them."""
    table = Table(TITLE.removeprefix("## "), ["tower", *FORMATS, "opened in transformers"])
    for recipe, text in recipes.items():
        kept = work / f"{recipe}-exports.json"
        if not kept.exists() and (work / f"{recipe}.json").exists():
            kept.write_text(json.dumps(exported(recipe, text, work)))
        for row in json.loads(kept.read_text()) if kept.exists() else []:
            table.rows.append([cell if isinstance(cell, str) else table.cell(CheckpointError(*cell)) for cell in row])
            print(*table.rows[-1], sep=" | ", file=sys.stderr, flush=True)
    return table


INTRODUCTION = """
`python benchmarks/objective_exports.py --work runs/objectives`: each model of the table above, written by `electra-tf
convert --verify` and run beside its source: the class, the largest difference of an output, and what ran the result.
TF-V1 holds all towers of an ELECTRA in one checkpoint. A letter stands for the error that the command gives. In the
last column, transformers' classes that opened the safetensors folder and gave finite numbers for a sentence, and what
they make anew; *+ replaced_token* is a head that no class has, and that the file holds beside the encoder.
"""


def main():
    from objectives import RECIPES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    table = exports({name: RECIPES.get(name, "english") for name in options.recipes.split(",")}, options.work)
    title, _, *lines = table.lines()
    page = options.output / "objectives.md"
    before = page.read_text("utf-8").partition(TITLE)[0] if page.exists() else ""
    page.write_text(f"{before.rstrip()}\n\n{title}\n{INTRODUCTION}\n" + "\n".join(lines).rstrip() + "\n", "utf-8")
    sys.exit(any("DIFFERENT" in cell for row in table.rows for cell in row))


if __name__ == "__main__":
    main()
