"""`run.json`, which says what a run trains: read in the terms of its latest format, seal and tokenizer verified."""

import hashlib
import json
from pathlib import Path

from electra_tf.checkpoints.run_format_1 import from_format_1
from electra_tf.errors import CheckpointError
from electra_tf.seals import SEAL, is_unbroken

FORMAT_VERSION = 2
RUN, TOKENIZER = "run.json", "tokenizer"
OUTCOME = "outcome"  # of a finished run of fine-tuning: what it is read as, see `run_directory.files_of_answers`


def read_description(model_dir) -> dict:
    """What `run.json` says, as of format 2: `settings` by class, `towers`, `heads`, `shared`, `data`, ...

    Raises: `CheckpointError` where it cannot be read, or is of a later format.
    """
    path = Path(model_dir) / RUN
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["format_version"]
        if version == 1:
            return from_format_1(description)
        if version == FORMAT_VERSION and is_unbroken(description):
            if not description["towers"].keys() == description["heads"].keys() != set():
                raise ValueError(f"towers {[*description['towers']]}, heads of {[*description['heads']]}")
            _check_tokenizer(path.parent, description.get("tokenizer", {}))
            return {name: value for name, value in description.items() if name != SEAL}
    except PermissionError as error:
        raise CheckpointError(
            f"the description of the run, or its tokenizer, cannot be read: {error.strerror}",
            where=error.filename or path,
            remedy="check that you may read it",
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"the description of the run cannot be read: {error!r}",
            where=path,
            remedy="restore the file from a copy, or start anew in another --model_dir",
        ) from error
    if version == FORMAT_VERSION:
        raise CheckpointError(
            "the description of the run does not match its own checksum: it was changed",
            where=path,
            expected="the file as it was written, since it says what the weights mean",
            remedy="restore the file from a copy, or start anew in another --model_dir",
        )
    raise CheckpointError(
        f"the run is of format {version}",
        where=path,
        expected=f"format 1 or {FORMAT_VERSION}",
        remedy="go on with it by the release that began it",
    )


def tokenizer_checksums(model_dir) -> dict[str, str]:
    """The SHA-256 of each file of a run's tokenizer, which says what the rows of the embeddings mean."""
    files = sorted(path for path in (Path(model_dir) / TOKENIZER).iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _check_tokenizer(model_dir, expected):
    if not (model_dir / TOKENIZER).is_dir():
        return  # a resume writes it anew, from the data
    found = tokenizer_checksums(model_dir)
    if changed := [name for name, digest in expected.items() if found.get(name) != digest]:
        raise CheckpointError(
            f"the tokenizer of the run was changed, or lost files: {', '.join(changed)}",
            where=model_dir / TOKENIZER,
            expected="the files as they were written, since they say what the weights mean",
            remedy="restore them from a copy, or from the data set's vocab folder",
        )
