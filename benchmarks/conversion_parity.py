"""What converted models compute beside transformers' own classes: the largest difference for every class and format.

    python benchmarks/conversion_parity.py --work runs/parity --transformers5 FOLDER

FOLDER is where `pip install --target FOLDER transformers==5.*` has put version 5; without it, that column is missing.
Each figure is the largest absolute difference of outputs at real tokens, relative to the largest output or 1, over
networks that are tiny, of ELECTRA-Small's widths, of one width, and (ALBERT) of several groups. Weights, biases and
norms are random. Writes a table to docs/results/conversion_parity.md, and exits with 1 where a figure is above 1e-5.
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from transformers_peer import OUTPUTS, inputs, spread

from electra_tf import convert
from electra_tf.checkpoints import LoadedModel, read_model, write_folder
from electra_tf.checkpoints.weight_names import MODEL_CLASSES
from electra_tf.models import EncoderConfig

LIMIT = 1e-5
_SIZES = {"num_hidden_layers": 2, "max_position_embeddings": 40}
_TINY = {"vocab_size": 60, "embedding_size": 8, "hidden_size": 12, "num_attention_heads": 2, "intermediate_size": 24}
_SMALL = {"vocab_size": 1000, "embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4}
NETWORKS = {
    "tiny": _SIZES | _TINY,
    "small": _SIZES | _SMALL | {"intermediate_size": 1024},
    "one width": _SIZES | _TINY | {"embedding_size": 12},
    "groups": _SIZES | _TINY | {"num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2},
}
# Column: engine, transformers' version, direction, form. In `to`, ours writes and theirs reads.
COLUMNS = [
    ("torch", 4, "to", "safetensors"),
    ("torch", 4, "from", "safetensors"),
    ("torch", 4, "to", "bin"),
    ("torch", 4, "from", "bin"),
    ("tensorflow", 4, "to", "h5"),
    ("tensorflow", 4, "from", "h5"),
    ("tf1", 4, "to", "tf1"),
    ("torch", 5, "to", "safetensors"),
    ("torch", 5, "from", "safetensors"),
    ("torch", 5, "to", "bin"),
]
# Where version 4's own TF-V1 loaders are right.
TF1_RIGHT = {
    "ElectraForPreTraining": "discriminator",
    "ElectraForMaskedLM": "generator",
    "AlbertForPreTraining": "generator",
    "AlbertForSequenceClassification": "generator",
}


def networks(name):
    for network, sizes in NETWORKS.items():
        albert = name.startswith("Albert")
        if albert or network != "groups":
            act = "gelu_new" if albert else "gelu"
            yield network, EncoderConfig("albert" if albert else "electra", hidden_act=act, **sizes)


def random_model(name, config):
    kind, random = MODEL_CLASSES[name], np.random.default_rng(0)
    model = LoadedModel(name, config, {}, kind.heads, 3 if labels_of(name) else 2)
    shapes = {t.ours: t.shape("ours") for t in model.table()}
    weights = {n: random.normal(0, spread(shape[::-1]), shape).astype("float32") for n, shape in shapes.items()}
    weights = {n: array + 1 if n.endswith("gamma") else array for n, array in weights.items()}
    return dataclasses.replace(model, weights=weights)


def labels_of(name):
    return "SequenceClassification" in name or "TokenClassification" in name


def our_outputs(model):
    """By transformers' names."""
    choices = "MultipleChoice" in model.name
    given = inputs(dataclasses.asdict(model.config), choices)
    found = model.build()(*(given[n].astype("int32") for n in given))
    found = [np.asarray(x) for x in (found if isinstance(found, tuple) else (found,))]
    if "QuestionAnswering" in model.name:
        return {"start_logits": found[0][..., 0], "end_logits": found[0][..., 1]}
    if model.name == "AlbertForPreTraining":
        return {"prediction_logits": found[0], "sop_logits": found[1]}
    return {"last_hidden_state" if model.name.endswith("Model") else "logits": found[0]}


def difference(model, recorded):
    ours, largest = our_outputs(model), 0.0
    mask = inputs(dataclasses.asdict(model.config), False)["attention_mask"] == 1
    assert set(ours) <= set(recorded.files) & set(OUTPUTS), (model.name, sorted(recorded.files))
    for name, array in ours.items():
        theirs = recorded[name]
        rows = mask if array.shape[:2] == mask.shape else slice(None)
        scale = max(1.0, np.abs(theirs[rows]).max())
        largest = max(largest, float(np.abs(array[rows] - theirs[rows]).max() / scale))
    return largest


def prepare(name, config, column, folder):
    """Writes what the peer of a column starts from."""
    _, _, direction, form = column
    if direction == "from":
        folder.mkdir(parents=True)
        fields = config.to_dict() | ({"num_labels": 3} if labels_of(name) else {})
        (folder / "config.json").write_text(json.dumps(fields))
    else:
        model = random_model(name, config)
        if form == "tf1":
            start = folder.with_name(folder.name + ".start")
            write_folder(start, model)
            as_tf1(model, start, folder)
            labels = {"num_labels": 3} if labels_of(name) else {}
            (folder / "config.json").write_text(json.dumps(config.to_dict() | labels))
        else:
            write_folder(folder, model, form=form)
    (folder / "peer.json").write_text(json.dumps({"class": name, "form": form, "tower": TF1_RIGHT.get(name)}))


def as_tf1(model, start, folder):
    """A generator with a discriminator that shares its embeddings: version 4's loader misreads a generator alone."""
    if model.config.model_type == "albert":
        convert(start, folder, "tf1")
        return
    heads = {"num_attention_heads": model.config.num_attention_heads}
    if model.tower == "discriminator":
        convert(start, folder, "tf1", settings=heads)
        return
    other, own = random_model("ElectraForPreTraining", model.config), "discriminator/embeddings/"
    shared = {n: model.weights[n.replace("discriminator", "generator", 1)] for n in other.weights if n.startswith(own)}
    beside = folder.with_name(folder.name + ".beside")
    write_folder(beside, dataclasses.replace(other, weights=other.weights | shared))
    convert(beside, folder, "tf1", generator=start, settings=heads)


def run_peer(column, folders, transformers5):
    engine, version, direction, _ = column
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    if version == 5:
        environment["PYTHONPATH"] = str(transformers5)
    command = [sys.executable, str(Path(__file__).with_name("transformers_peer.py")), engine]
    command += ["make" if direction == "from" else "run", *map(str, folders)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{column} failed:\n{done.stderr[-3000:]}")


def measure(column, work, transformers5):
    """Largest difference by class, over the networks."""
    cases = []
    for name in MODEL_CLASSES:
        if column[3] == "tf1" and name not in TF1_RIGHT:
            continue
        for network, config in networks(name):
            if column[3] == "tf1" and network == "one width" and name.startswith("Albert"):
                continue  # version 4's loader leaves the mapping of such an ALBERT random
            folder = work / "-".join(map(str, column)) / f"{name}-{network.replace(' ', '-')}"
            prepare(name, config, column, folder)
            cases.append((name, config, folder))
    run_peer(column, [folder for *_, folder in cases], transformers5)
    found = {}
    for name, config, folder in cases:
        model = read_model(folder) if column[2] == "from" else random_model(name, config)
        found[name] = max(found.get(name, 0.0), difference(model, np.load(folder.with_suffix(".npz"))))
    return found


def versions(transformers5):
    """Of transformers, in both environments."""
    for path in ("", *([transformers5] if transformers5 else [])):
        command = [sys.executable, "-c", "import transformers; print(transformers.__version__)"]
        environment = dict(os.environ, PYTHONPATH=str(path))
        yield subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/parity"))
    parser.add_argument("--transformers5", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/results/conversion_parity.md"))
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    columns = [c for c in COLUMNS if c[1] == 4 or options.transformers5]
    table = {}
    for column in columns:
        table[column] = measure(column, options.work, options.transformers5)
        print(f"{column}: at most {max(table[column].values()):.1e}", file=sys.stderr, flush=True)
    lines = [
        "# Converted models beside transformers' own classes",
        "",
        "`python benchmarks/conversion_parity.py --transformers5 FOLDER`: the largest difference of outputs, relative",
        "to the largest output or 1, over four networks with random weights; `to`: we write and transformers reads,",
        f"`from`: transformers saves and we read. Versions: {', '.join(versions(options.transformers5))}; TensorFlow",
        "classes and TF-V1 loaders are version 4's (the loaders only for what they read rightly).",
        "",
        "| class | " + " | ".join(f"{v} {e}, {d} {f}" for e, v, d, f in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in MODEL_CLASSES:
        cells = [f"{table[c][name]:.0e}" if name in table[c] else "" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    options.output.write_text("\n".join(lines) + "\n")
    worst = max(value for found in table.values() for value in found.values())
    print(f"largest of all: {worst:.1e}, limit {LIMIT:.0e}")
    sys.exit(0 if worst <= LIMIT else 1)


if __name__ == "__main__":
    main()
