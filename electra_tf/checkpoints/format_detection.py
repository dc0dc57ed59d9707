"""What is at a path: a run, a model, a data set or a vocabulary, told from what is there."""

import shlex
from pathlib import Path

from electra_tf.checkpoints.transformers_folder import BIN, CONFIG, WEIGHT_FILES, WEIGHTS
from electra_tf.errors import InputError
from electra_tf.files import snapshots_of

# Files that tell what a folder is, in the order they are looked for.
_FOLDERS = {
    "run_directory": ("run.json",),
    "data_set": ("manifest.json",),
    "transformers_folder": WEIGHT_FILES,
}
_OF_PYTORCH = (".ckpt", ".pt", ".pth", ".bin")  # Lightning's, and what people call theirs
_VOCABULARIES = ("vocab.txt", "tokenizer.json", "spiece.model")  # which lie beside models, too


def recognise(path) -> str:
    """`run_directory`, `data_set`, `transformers_folder`, `tf1`, `keras` or `vocabulary`.

    Raises: `InputError` saying what was looked for.
    """
    path = Path(path)
    if path.is_dir():
        for kind, files in _FOLDERS.items():
            if any((path / file).is_file() for file in files):
                return kind
        if any(path.glob("*.index")):
            return "tf1"
        if any((path / file).is_file() for file in _VOCABULARIES):
            return "vocabulary"
        if (path / CONFIG).is_file():
            return "transformers_folder"
        found = "nothing in the folder can be opened here"
    elif path.with_name(f"{path.name}.index").is_file() or (path.suffix == ".index" and path.is_file()):
        return "tf1"
    elif path.suffix == ".keras" and path.is_file():
        return "keras"
    elif (path.name == "vocab.txt" or path.suffix == ".model") and path.is_file():
        return "vocabulary"
    elif path.name in (*WEIGHT_FILES, CONFIG) and path.is_file():
        raise InputError("this is a file of a folder", where=path, expected="the folder", remedy=f"name {path.parent}")
    elif path.suffix in _OF_PYTORCH and path.is_file():
        folder = path.with_name(f"{path.stem}-folder")
        to, name = shlex.quote(str(folder)), shlex.quote(str(path))
        raise InputError(
            "the file is called as PyTorch's checkpoints are",
            where=path,
            expected=f"a folder with it as {BIN}, and the {CONFIG} of its model",
            remedy=f"copy that {CONFIG} into a folder that is made by: mkdir {to} && cp {name} {to}/{BIN}",
        )
    else:
        found = "the file cannot be opened here" if path.exists() else "there is no such file or folder"
    if snapshots := snapshots_of(path):
        raise InputError(
            "this is a folder of the hub's cache, which holds a model's revisions",
            where=path,
            expected="one of them, or the model's name on the hub",
            remedy=f"name the newest: {snapshots[-1]}",
        )
    seeds = sorted(seed.parent for seed in path.glob("seed-*/run.json"))
    if seeds:
        scores = path / "results.md"
        raise InputError(
            "the folder holds runs of several seeds",
            where=path,
            expected=f"one of {', '.join(seed.name for seed in seeds)}",
            remedy=f"name one: {shlex.quote(str(seeds[0]))}"
            + (f"; {scores} has all scores" if scores.exists() else ""),
        )
    raise InputError(
        found,
        where=path,
        expected="a run directory (run.json), a data set (manifest.json), a Hugging Face folder "
        f"({CONFIG} and {WEIGHTS}), a TF-V1 checkpoint (PREFIX.index), a .keras file or a vocabulary "
        "(vocab.txt, spiece.model)",
        remedy="check the path; a model of the hub is named as owner/name",
    )
