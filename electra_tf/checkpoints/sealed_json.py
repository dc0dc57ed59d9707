"""JSON files beside a run's checkpoints that decide what its answers mean, each with its seal."""

import json
from pathlib import Path

from electra_tf.errors import CheckpointError
from electra_tf.files import write_whole
from electra_tf.seals import SEAL, is_unbroken, sealed


def write_sealed(path, content: dict) -> None:
    """Writes an object with its seal, whole. Raises: `OutputError`."""
    write_whole(path, json.dumps(sealed(content)) + "\n")


def read_sealed(path) -> dict:
    """An object without its seal; one from before there were seals has none, and passes.

    Raises: `CheckpointError` for one that was changed, or cannot be read.
    """
    try:
        content = dict(json.loads(Path(path).read_text("utf-8")).items())
        found = None if is_unbroken(content) else "the file does not match its own checksum: it was changed"
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        found = f"the file cannot be read: {error}"
    if found is not None:
        raise CheckpointError(
            found,
            where=path,
            expected="the file as it was written, since it says what the model's answers mean",
            remedy="restore it from a copy; or remove it, and the command that trained the model makes it again",
        )
    return {name: value for name, value in content.items() if name != SEAL}
