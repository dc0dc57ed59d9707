"""TF-V1 checkpoints without TensorFlow: what it reads and writes, and nothing forged."""

import random

import numpy as np
import pytest

from electra_tf.checkpoints.containers.safetensors import numpy_type
from electra_tf.checkpoints.containers.tf1_bundle import read_types, read_variables, write_variables
from electra_tf.errors import CheckpointError
from electra_tf.files import masked_checksum

TYPES = ("float32", "float64", "float16", "int64", "int32", "uint8", "bool", "bfloat16")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(prefix, tensors), names with much in common, many enough for several blocks of the table."""
    random_numbers = np.random.default_rng(0)
    tensors = {
        f"electra/encoder/layer_{n}/{'dense' * (n % 7)}/kernel": random_numbers.normal(size=(n % 5, 3)).astype(
            numpy_type(TYPES[n % len(TYPES)])
        )
        for n in range(200)
    }
    tensors |= {"global_step": np.int64(7), "bert/pooler": np.zeros((0, 4), np.float32)}
    return write_variables(tmp_path_factory.mktemp("tf1") / "a", tensors), tensors


# Each with the names of a table in which something is particular.
NAMES = {
    "of one block": [f"electra/encoder/layer_{n}/dense/kernel" for n in range(20)],
    "of several blocks": [f"{n * 7919 % 10007:x}{'/name' * (n % 90)}" for n in range(3000)],
    "of other alphabets": ["a", "a/b", "é/ü", "\x7f" * 3, "문장", "🌊"],
    "of one": ["kernel"],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_what_is_written_has_the_bytes_that_tensorflow_writes(names, tmp_path):
    import tensorflow as tf

    numbers = np.random.default_rng(0)
    shapes = [(), (3,), (0, 4), (2, 1, 200)]
    tensors = {
        name: numbers.integers(0, 2, shapes[n % len(shapes)]).astype(numpy_type(TYPES[n % len(TYPES)]))
        for n, name in enumerate(sorted(names))
    }
    prefix = write_variables(tmp_path / "ours", tensors)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / prefix.name),
        tensor_names=[*tensors],
        shape_and_slices=[""] * len(tensors),
        tensors=[*tensors.values()],
    )
    for kind in ("index", "data-00000-of-00001"):
        name = f"{prefix.name}.{kind}"
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / name).read_bytes(), kind


def test_names_types_and_numbers_are_those_that_were_written(written):
    prefix, tensors = written
    assert read_types(prefix) == {name: (array.dtype.name, array.shape) for name, array in tensors.items()}
    read = read_variables(prefix)
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].flags.writeable
    assert {*read_variables(prefix, "glob.*")} == {"global_step"}


def test_a_variable_in_parts_and_a_string_are_read_too(tmp_path):
    import tensorflow as tf

    whole = np.arange(12, dtype=np.float32).reshape(4, 3)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "b"),
        tensor_names=["table", "table", "words"],
        shape_and_slices=["4 3 0,2:0,3", "4 3 2,2:0,3", ""],
        tensors=[whole[:2], whole[2:], tf.constant(["sea", "man"])],
    )
    read = read_variables(tmp_path / "b")
    np.testing.assert_array_equal(read["table"], whole)
    assert read["words"].tolist() == [b"sea", b"man"]


def test_a_forged_index_is_an_error_and_ends_no_process(written):
    """A byte or some in a block are others, and its checksum is that of the forgery."""
    prefix, _ = written
    index = prefix.with_name(f"{prefix.name}.index")
    whole, refused = index.read_bytes(), 0
    end = _first_block(whole)
    try:
        for seed in range(500):
            chance, forged = random.Random(seed), bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                forged[chance.randrange(end)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
            forged[end + 1 : end + 5] = masked_checksum(bytes(forged[: end + 1])).to_bytes(4, "little")
            index.write_bytes(forged)
            try:
                read_variables(prefix)
            except CheckpointError:
                refused += 1
    finally:
        index.write_bytes(whole)
    assert refused > 250


def _first_block(whole):
    """Where the first block ends: where the byte behind it and the checksum of all before it agree."""
    for end in range(8, len(whole)):
        if masked_checksum(whole[: end + 1]) == int.from_bytes(whole[end + 1 : end + 5], "little"):
            return end
    raise AssertionError("there is no block")


@pytest.mark.parametrize("change", ["cut", "flipped", "empty", "data cut", "data flipped", "data gone"])
def test_damage_is_told(change, written, tmp_path):
    prefix, _ = written
    files = {file.name: file.read_bytes() for file in prefix.parent.iterdir()}
    for name, content in files.items():
        if name.endswith(".index") and not change.startswith("data"):
            content = {"cut": content[:-9], "flipped": _flipped(content, 40), "empty": b""}[change]
        if ".data-" in name and change.startswith("data"):
            content = {"data cut": content[:-9], "data flipped": _flipped(content, 9), "data gone": None}[change]
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_variables(tmp_path / prefix.name)


def _flipped(content, place):
    return content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :]
