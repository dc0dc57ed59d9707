"""The `.keras` archive: the description of a model in JSON and its weights in HDF5, looked at without Keras."""

import io
import json
import lzma
import struct
import zipfile
import zlib

from electra_tf.checkpoints.containers.claims import check_claim
from electra_tf.checkpoints.containers.hdf5 import check_is_whole
from electra_tf.errors import CheckpointError

_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


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

    Raises: `CheckpointError` for a damaged file, and one that claims to hold more than it can.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            check_claim(sum(member.file_size for member in archive.infolist()), path)
            description = json.loads(archive.read("config.json"))
            member = archive.getinfo("model.weights.h5")
            stored = member.compress_type == zipfile.ZIP_STORED
            with _Window(path, member) if stored else archive.open(member) as weights, h5py.File(weights, "r") as file:
                shapes = {name: (item.dtype.name, item.shape) for name, item in check_is_whole(file, path).items()}
            return {"class_name": description["class_name"], "config": description["config"]}, shapes
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError, *_DAMAGE) as error:
        raise CheckpointError(
            f"the file cannot be read: {error}",
            where=path,
            expected="a model saved by Keras 3",
            remedy="copy the file again from where it came from",
        ) from error
