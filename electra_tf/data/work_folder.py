"""The folder beside the output in which a data set is made before it is put in place, whole."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from electra_tf.data.manifest import FILE_NAME, VOCAB_FOLDER, Manifest, read_manifest
from electra_tf.errors import DataError, OutputError
from electra_tf.files import check_is_elsewhere
from electra_tf.locks import locked_folder

_KEY = re.compile(r"[0-9a-f]{64}")  # of a recipe


def work_name(output: Path) -> Path:
    return output.with_name(output.name + ".building")


def clear_finished(output: Path) -> None:
    """Removes the work folder of a build that was killed when its output was there already, before it could itself."""
    work = work_name(output)
    if (output / FILE_NAME).is_file() and work.is_dir() and not _of_others(work):
        with locked_folder(work) as mine:
            if mine is not False:
                shutil.rmtree(work)


def made_before(output: Path, tokenizer: str, settings: str, text: Callable[[], str], *, room: str) -> Manifest | None:
    """The manifest of an output that is the very data set that is asked for, whole; None where it is another or none.

    So the command that was killed when its output had just appeared, typed again, has nothing to do.

    Args:
        tokenizer: its fingerprint. settings, text: hashes, as `Manifest.input` keeps them; the text is only read where
            all else is the same. room: see `work_folder`.
    """
    with _told(output, room):
        clear_finished(output)
        try:
            manifest = read_manifest(output)
        except DataError:
            check_is_elsewhere(output)
            return None
        kept = manifest.input.get("sha256", {})
        is_there = kept.get("settings") == settings and _is_whole(output, manifest, tokenizer)
        return manifest if is_there and kept.get("text") == text() else None


def _is_whole(output, manifest, fingerprint):
    from electra_tf.text.tokenizer import Tokenizer

    for shard in manifest.shards:
        path = output / shard.name
        if not path.is_file() or file_sha256(path) != shard.sha256:
            return False
    folder = output / VOCAB_FOLDER
    return folder.is_dir() and Tokenizer.from_pretrained(folder).fingerprint == fingerprint


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def work_folder(output: Path, *, room: str) -> Iterator[Path]:
    """The folder beside the output, locked.

    Args:
        room: what the disk must have room for, in words.

    Raises: `OutputError` for an output that exists or is being made, and for every `OSError` of the body.
    """
    with _told(output, room), _locked(output) as work:
        yield work


@contextmanager
def _told(output, room):
    try:
        yield
    except OSError as error:
        where = Path(error.filename or output)
        if where.is_relative_to(work_name(output)):  # which is no name that anybody gave
            where = output
        raise OutputError(
            f"cannot write: {error.strerror or error}",
            where=where,
            remedy=f"choose an --output that can be written to, on a disk with room for {room}",
        ) from error


@contextmanager
def _locked(output):
    clear_finished(output)
    _check_free(output)
    work = work_name(output)
    if others := _of_others(work):
        raise OutputError(
            f"the folder in which it is built holds what no build has written: {', '.join(others[:5])}",
            where=work,
            expected="nothing of this name, or what an unfinished build has left",
            remedy="choose another --output, or move that away",
        )
    with locked_folder(work) as mine:
        if mine is False:
            raise OutputError(
                "another build is writing this output",
                where=output,
                expected="one build at a time",
                remedy="wait for it, or stop it",
            )
        try:
            _check_free(output)  # another build may have ended just now
            yield work
        finally:
            if not any(work.rglob("*.json")):  # nothing, or nothing yet, that a later build could use
                shutil.rmtree(work, ignore_errors=True)


def _of_others(work) -> list[str]:
    """Names of what is there and was not made by a build, whose folders are called by a hash, or `records`."""
    if work.is_symlink() or (work.exists() and not work.is_dir()):
        return ["it is a link, or a file"]
    names = sorted(path.name for path in work.iterdir()) if work.is_dir() else []
    return [name for name in names if name not in ("lock", "records") and not _KEY.fullmatch(name)]


def _holds_something(output):
    return output.exists() and not (output.is_dir() and not any(output.iterdir()))


def _check_free(output):
    if _holds_something(output):
        raise OutputError(
            "the output already exists, and is not the data set that is asked for",
            where=output,
            expected="a folder that does not exist or is empty, or that data set, whole",
            remedy="choose another --output, or remove what is there",
        )
