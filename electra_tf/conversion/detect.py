"""What is at a path: a run, a model, a data set or a vocabulary, told from what is there."""

import re
from pathlib import Path

from electra_tf.conversion.transformers_folder import CONFIG, WEIGHT_FILES, WEIGHTS
from electra_tf.errors import InputError

# Files that tell what a folder is, in the order they are looked for.
_FOLDERS = {
    "run_directory": ("run.json",),
    "data_set": ("manifest.json",),
    "transformers_folder": WEIGHT_FILES,
    "vocabulary": ("vocab.txt", "tokenizer.json", "spiece.model"),
}


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
        if (path / CONFIG).is_file():
            return "transformers_folder"
        found = "nothing in the folder can be opened here"
    elif path.with_name(f"{path.name}.index").is_file() or (path.suffix == ".index" and path.is_file()):
        return "tf1"
    elif path.suffix == ".keras" and path.is_file():
        return "keras"
    elif (path.name == "vocab.txt" or path.suffix == ".model") and path.is_file():
        return "vocabulary"
    else:
        found = "the file cannot be opened here" if path.exists() else "there is no such file or folder"
        if not path.exists() and re.fullmatch(r"[\w-]+/[\w.-]+", str(path)):
            raise InputError(
                found,
                where=path,
                expected="a path on this machine: models are not downloaded from the hub here",
                remedy=f"check the path; a model of the hub first: hf download {path} --local-dir {path.name}",
            )
    raise InputError(
        found,
        where=path,
        expected="a run directory (run.json), a data set (manifest.json), a Hugging Face folder "
        f"({CONFIG} and {WEIGHTS}), a TF-V1 checkpoint (PREFIX.index), a .keras file or a vocabulary "
        "(vocab.txt, spiece.model)",
        remedy="check the path; the model of a hub must have been downloaded",
    )
