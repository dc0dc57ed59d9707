"""Models in Keras' own format, `.keras`: configuration and weights in one file."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from electra_tf.conversion.models import KERAS, LoadedModel, class_with
from electra_tf.conversion.output import whole_file
from electra_tf.errors import CheckpointError, ConfigError


def read_keras(path) -> LoadedModel:
    """The model in a `.keras` file that holds one of ours: an `Encoder`, or one with a head.

    Raises: `CheckpointError` for a damaged file and for other models.
    """
    from electra_tf import models

    try:
        model = models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its reading of the file comes upon
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"the file cannot be read: {reason[0] if reason else type(error).__name__}",
            where=path,
            expected="a model of electra_tf saved by Keras",
            remedy="copy the file again from where it came from",
        ) from error
    heads = [head for head, name in KERAS.items() if isinstance(model, getattr(models, name))]
    if not heads and not isinstance(model, models.Encoder):
        inside = [layer.name for layer in getattr(model, "layers", []) if isinstance(layer, models.Encoder)]
        raise CheckpointError(
            f"the file holds a {type(model).__name__}" + (f" with an encoder in it, {inside[0]!r}" if inside else ""),
            where=path,
            expected="an Encoder of electra_tf, or a model of electra_tf.models",
            remedy="take the encoder out: electra_tf.load_model(path).get_layer(name).save('encoder.keras')"
            if inside
            else "save the encoder by itself",
        )
    if heads == ["sentence_order"]:
        heads = ["masked_lm", "sentence_order"]
    heads = ("pooler", *(head for head in heads if head != "pooler")) if hasattr(model, "pooler") else tuple(heads)
    name = class_with(model.config.model_type, heads)
    result = LoadedModel(name, model.config, {}, heads, getattr(model, "num_labels", 2))
    for path_, variable in models.named_variables(model).items():
        prefix = "" if isinstance(model, models.Encoder) else "encoder/"
        ours = f"{result.tower}/" + path_.removeprefix(prefix) if path_.startswith(prefix) else path_
        result.weights[ours] = np.asarray(variable)
    return result


class _Window(io.RawIOBase):
    """A stored member of an archive as a file that is sought in at no cost, as zipfile's own is not."""

    def __init__(self, path, member: zipfile.ZipInfo):
        self.file, self.size, self.at = open(path, "rb"), member.file_size, 0  # noqa: SIM115 - closed with this object
        self.file.seek(member.header_offset + 26)
        name, extra = struct.unpack("<HH", self.file.read(4))  # the local header's lengths, which may be others
        self.start = member.header_offset + 30 + name + extra

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence] + offset
        return self.at

    def readinto(self, buffer):
        self.file.seek(self.start + self.at)
        count = self.file.readinto(memoryview(buffer)[: max(0, self.size - self.at)])
        self.at += count
        return count

    def close(self):
        self.file.close()
        super().close()


def read_description(path) -> tuple[dict, dict[str, tuple[str, tuple[int, ...]]]]:
    """(`config.json`, type and shape of every weight by its path) of a `.keras` file, without reading the weights.

    Raises: `CheckpointError` for a damaged file.
    """
    import h5py

    shapes = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            shapes[name] = (item.dtype.name, item.shape)

    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(archive.read("config.json"))
            member = archive.getinfo("model.weights.h5")
            stored = member.compress_type == zipfile.ZIP_STORED
            with _Window(path, member) if stored else archive.open(member) as weights, h5py.File(weights, "r") as file:
                file.visititems(visit)
            return {"class_name": description["class_name"], "config": description["config"]}, shapes
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"the file cannot be read: {error}",
            where=path,
            expected="a model saved by Keras 3",
            remedy="copy the file again from where it came from",
        ) from error


def write_keras(path, model: LoadedModel) -> Path:
    """Writes a `.keras` file that `electra_tf.load_model` and `keras.saving.load_model` open; whole or not at all.

    Raises: `ConfigError` for another ending, `OutputError` when the file cannot be written.
    """
    if Path(path).suffix != ".keras":
        raise ConfigError(f"the file's name is {Path(path).name}", expected="one that ends in .keras", where=path)
    built = model.build()
    with whole_file(path, sum(array.nbytes for array in model.weights.values()) / 1e6) as aside:
        built.save(aside)
    return Path(path)
