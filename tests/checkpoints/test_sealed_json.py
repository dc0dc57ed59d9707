"""What decides a meaning carries a checksum, and one changed digit is seen."""

import json

import pytest

from electra_tf.checkpoints.sealed_json import read_sealed, write_sealed
from electra_tf.errors import CheckpointError
from electra_tf.seals import SEAL


def test_what_is_sealed_is_read_and_what_was_changed_is_refused(tmp_path):
    file = tmp_path / "calibration.json"
    write_sealed(file, {"temperature": 1.25, "before": 0.5})
    assert read_sealed(file) == {"temperature": 1.25, "before": 0.5}
    file.write_text(file.read_text().replace("1.25", "2.25"))
    with pytest.raises(CheckpointError, match="own checksum: it was changed"):
        read_sealed(file)


def test_a_file_from_before_there_were_seals_is_read(tmp_path):
    (tmp_path / "old.json").write_text('{"temperature": 1.5}\n')
    assert read_sealed(tmp_path / "old.json") == {"temperature": 1.5}


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 5000, json.dumps({SEAL: 1}).encode()])
def test_what_is_no_object_is_refused_in_words(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot be read|was changed"):
        read_sealed(tmp_path / "x.json")
