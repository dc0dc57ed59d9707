"""`electra-tf data`: what it prints, and that a user's error ends it with status 2 and leaves other files alone."""

import json

import pytest

from electra_tf.cli.main import main
from electra_tf.data.manifest import read_manifest


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    with pytest.raises(SystemExit) as end:
        main(["data", *map(str, arguments)])
    return end.value.code, *capsys.readouterr()


def test_it_builds_a_data_set_and_says_what_is_in_it(corpus, vocab, tmp_path, capsys):
    output = tmp_path / "data"
    status, out, _ = run(
        capsys, f"--input={corpus}", f"--vocab={vocab}", f"--output={output}", "--length=64", "--held_out=0.2"
    )
    train = read_manifest(output).splits["train"]
    assert status == 0
    assert f"{train.examples:,} examples" in out and f"{train.fill_rate:.1%} full" in out
    assert "MB of text a second" in out and "start-up" in out


def test_it_says_so_in_json_and_counts_what_the_original_packer_drops(corpus, vocab, tmp_path, capsys):
    arguments = [f"--input={corpus}", f"--vocab={vocab}", "--packing=original", "--seed=3"]
    status, out, _ = run(capsys, *arguments, f"--output={tmp_path / 'a'}", "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["train"]["tokens"] < facts["train"]["corpus_tokens"]
    assert facts["input"] == {"files": 1, "bytes": corpus.stat().st_size}
    _, out, _ = run(capsys, *arguments, f"--output={tmp_path / 'b'}")
    assert "dropped by the packer" in out


def test_several_inputs_may_be_named_by_commas_and_by_repetition(english, vocab, tmp_path, capsys):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(english)
    (tmp_path / "c.jsonl").write_text(json.dumps({"body": english}) + "\n")
    inputs = [f"--input={tmp_path}/a.txt,{tmp_path}/b.txt", f"--input={tmp_path}/c*", "--text_field=body"]
    run(capsys, *inputs, f"--vocab={vocab}", f"--output={tmp_path / 'data'}")
    assert read_manifest(tmp_path / "data").input["files"] == 3


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no file matches"),
        (b"", "no text"),
        (b"fine\ncaf\xe9\n", "line 2, byte 8"),
        (b"fine\na\0b\n", "NUL byte"),
        (b"fine\n" + b"word " * 10_000_000, "a line of more than"),
    ],
)
def test_bad_text_is_an_error_that_names_the_place_and_a_remedy(vocab, tmp_path, capsys, content, message):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    options = [f"--vocab={vocab}", f"--output={tmp_path / 'data'}", "--processes=0"]
    status, _, err = run(capsys, f"--input={path}", *options)
    assert status == 2
    assert message in err and "bad.txt" in err and "what to do" in err
    assert "Traceback" not in err
    assert not (tmp_path / "data").exists()


def test_an_older_data_set_is_left_alone(data, corpus, vocab, capsys):
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    status, _, err = run(capsys, f"--input={corpus}", f"--vocab={vocab}", f"--output={data}")
    assert status == 2
    assert "already exists" in err and str(data) in err
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("arguments", [["--length=four"], ["--packing=dense"], ["--colour=red"], []])
def test_wrong_flags_are_an_error(capsys, arguments):
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert "--help" in err
