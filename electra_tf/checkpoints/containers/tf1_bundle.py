"""TF-V1's checkpoints: an index and data of named variables, as `tf.train.Saver` writes and restores them."""

import glob
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.containers.output import output_folder
from electra_tf.checkpoints.containers.safetensors import numpy_type
from electra_tf.checkpoints.containers.tf1_index import Entry, read_index, write_index
from electra_tf.errors import CheckpointError
from electra_tf.files import check_fetched, masked_checksum

PREFIX = "model.ckpt"
_FILES = (f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001", "checkpoint")


def find_prefix(path) -> Path:
    """The prefix of the checkpoint at `path`: a prefix, an index file, or a folder with a checkpoint.

    In a folder the file `checkpoint` names it, or, without that file, it is the only one. Raises: `CheckpointError`.
    """
    path = Path(path)
    if path.name.endswith(".index") and path.is_file():
        return path.with_name(path.name.removesuffix(".index"))
    if path.with_name(f"{path.name}.index").is_file():
        return path
    found = sorted(file.with_name(file.name.removesuffix(".index")) for file in path.glob("*.index"))
    pointer = path / "checkpoint"
    if pointer.is_file():
        named = re.search(r'^model_checkpoint_path: "(.*)"$', pointer.read_text("utf-8", "replace"), re.MULTILINE)
        meant = [prefix for prefix in found if named and prefix.name == Path(named[1]).name]
        if named and found and not meant:
            raise CheckpointError(
                f"the file checkpoint names {Path(named[1]).name}, which is not there",
                where=path,
                expected=f"its files beside {', '.join(prefix.name for prefix in found)}",
                remedy=f"copy them, or name what is there: {found[-1]}",
            )
        found = meant or found
    if len(found) == 1:
        return found[0]
    names = ", ".join(prefix.name for prefix in found)
    raise CheckpointError(
        f"the folder holds several checkpoints: {names}" if found else "there is no TF-V1 checkpoint",
        where=path,
        expected="the prefix of one, such as model.ckpt-1000 of model.ckpt-1000.index",
        remedy="name the folder of one checkpoint, or its prefix",
    )


def read_shapes(path) -> dict[str, tuple[int, ...]]:
    """The shape of every variable; numbers stay unread. Raises: `CheckpointError`."""
    return {name: shape for name, (_, shape) in read_types(path).items()}


def read_types(path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(NumPy type's name, shape) of every variable; numbers stay unread. Raises: `CheckpointError`."""
    entries = _index(find_prefix(path))[1]
    if "_CHECKPOINTABLE_OBJECT_GRAPH" in entries:
        raise CheckpointError(
            "this is a checkpoint of TensorFlow 2 (tf.train.Checkpoint), whose names are places in a program's objects",
            where=path,
            expected="one of TF-V1 (tf.train.Saver), whose variables have the names of Google's code",
            remedy="load it with the program that wrote it, and save the model there: by save_pretrained, or as .keras",
        )
    return {name: (entry.dtype, entry.shape) for name, entry in entries.items()}


def read_variables(prefix, pattern=".*") -> dict[str, np.ndarray]:
    """Variables whose names match; a damaged one is recognised by its checksum. Raises: `CheckpointError`."""
    shards, entries = _index(prefix)
    names = sorted(filter(re.compile(pattern).fullmatch, entries))
    _check_claims(entries, prefix)
    return {name: _variable(prefix, shards, name, entries[name]) for name in names}


def _check_claims(entries, prefix):
    """Raises `CheckpointError` where variables share their bytes, or are larger than all data: memory for nothing."""
    held = sum(file.stat().st_size for file in prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"))
    ends = {}
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].shard, item[1].offset, item[1].size)):
        if entry.size and entry.offset < ends.get(entry.shard, 0):
            raise _damaged(f"{name} cannot be read", prefix, ValueError("its bytes are those of another variable, too"))
        ends[entry.shard] = entry.offset + entry.size
        if entry.is_parted and entry.dtype != "string" and held < prod(entry.shape) * numpy_type(entry.dtype).itemsize:
            raise _damaged(
                f"{name} cannot be read", prefix, ValueError(f"{list(entry.shape)} of {held:,} bytes in all")
            )


def write_variables(folder, tensors: Mapping[str, np.ndarray], beside: Mapping[str, str] | None = None) -> Path:
    """Writes a checkpoint that appears whole or not at all; returns its prefix, `folder/model.ckpt`.

    Args:
        folder: may exist if it holds nothing but what was written here, which is replaced; see `output.Output`.
        tensors: by their names. beside: texts of further files, by name.

    Raises: `OutputError` when the folder cannot be written.
    """
    known, megabytes = {*_FILES, *(beside or {})}, sum(array.nbytes for array in tensors.values()) / 1e6
    with output_folder(folder, known.__contains__, megabytes) as aside:
        index, data = (aside / name for name in _FILES[:2])
        entries, place = {}, 0
        with open(data, "wb") as file:
            for name in sorted(tensors):
                content, (dtype, shape) = tensors[name].tobytes(), (str(tensors[name].dtype), tensors[name].shape)
                file.write(content)
                entries[name] = Entry(dtype, shape, 0, place, len(content), masked_checksum(content), False)
                place += len(content)
        write_index(index, entries)
        pointer = f'model_checkpoint_path: "{PREFIX}"\nall_model_checkpoint_paths: "{PREFIX}"\n'
        for name, text in {"checkpoint": pointer, **(beside or {})}.items():
            (aside / name).write_text(text, "utf-8")
    return Path(folder) / PREFIX


def _index(prefix):
    try:
        return read_index(prefix.with_name(f"{prefix.name}.index"))
    except (OSError, ValueError) as error:
        raise _damaged("the index cannot be read", prefix, error) from error


def _variable(prefix, shards, name, entry):
    try:
        if entry.is_parted or entry.dtype == "string":
            return _by_tensorflow(prefix, name)
        path = prefix.with_name(f"{prefix.name}.data-{entry.shard:05d}-of-{shards:05d}")
        if entry.offset + entry.size > path.stat().st_size:
            raise ValueError(f"{path.name} ends before it")
        array = np.fromfile(path, np.uint8, entry.size, offset=entry.offset)
        if masked_checksum(array.tobytes()) != entry.checksum:
            raise ValueError("its checksum differs")
        return array.view(numpy_type(entry.dtype)).reshape(entry.shape)
    except (OSError, ValueError, IndexError, RuntimeError) as error:
        raise _damaged(f"{name} cannot be read", prefix, error) from error


def _by_tensorflow(prefix, name):
    """What is stored in parts, or is no number."""
    import tensorflow as tf

    try:
        return np.asarray(tf.train.load_checkpoint(str(prefix)).get_tensor(name))
    except tf.errors.OpError as error:
        raise ValueError(str(error).splitlines()[0]) from error


def _damaged(found, prefix, error):
    for end in (".index", ".data-*"):
        for file in prefix.parent.glob(glob.escape(prefix.name) + end):
            check_fetched(file)
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{found}: {reason}",
        where=prefix,
        expected=f"{prefix.name}.index and {prefix.name}.data-00000-of-00001, whole",
        remedy="copy the checkpoint again from where it came from",
    )
