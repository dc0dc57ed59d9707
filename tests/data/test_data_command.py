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
    assert (facts["input"]["files"], facts["input"]["bytes"]) == (1, corpus.stat().st_size)
    assert not facts["is_there_already"]
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


def test_pairs_are_counted_and_so_are_documents_too_short_for_them(english, vocab, tmp_path, capsys):
    (tmp_path / "text.txt").write_text("a\n\n" * 5 + english)
    arguments = [f"--input={tmp_path / 'text.txt'}", f"--vocab={vocab}", "--held_out=0", "--pairs"]
    status, out, _ = run(capsys, *arguments, f"--output={tmp_path / 'data'}")
    manifest = read_manifest(tmp_path / "data")
    train = manifest.splits["train"]
    assert status == 0
    assert manifest.packing["pairs"] and train.pairs == train.examples - 5
    assert f"{train.pairs:,} of them pairs; 5 too short for two segments" in out
    status, out, _ = run(capsys, *arguments, f"--output={tmp_path / 'b'}", "--json")
    facts = json.loads(out)
    assert facts["pairs"] is True and facts["packing"]["pairs"] is True and facts["train"]["pairs"] == train.pairs


def test_records_made_elsewhere_become_a_data_set(golden_albert, tmp_path, capsys):
    records = [f"--records={golden_albert / 'default.tfrecord'}", f"--vocab={golden_albert / 'vocab.txt'}"]
    status, out, _ = run(capsys, *records, "--length=64", f"--output={tmp_path / 'data'}")
    assert status == 0
    assert "113 examples, 95.6% full, 113 of them pairs; with masks and the order of segments drawn" in out
    assert "held_out  nothing: --held_out 0.01" in out
    assert read_manifest(tmp_path / "data").stored_masks
    options = ["--length=64", "--held_out=0.01", f"--output={tmp_path / 'b'}"]
    status, out, _ = run(capsys, *records, *options, "--json")
    facts = json.loads(out)
    assert facts["features"]["masked_lm_ids"] == 10
    assert (facts["train"]["examples"], facts["held_out"]["examples"]) == (112, 1)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--pairs", "--cross_documents"], ["pairs", "cross_documents", "leave out"]),
        (["--pairs", "--packing=original"], ["'original'", "--packing=albert"]),
        (["--packing=albert", "--cross_documents"], ["pairs", "cross_documents"]),
        (["--pairs", "--document=line"], ["no document can be parted", "bad.txt", "leave out --document=line"]),
    ],
)
def test_pairs_that_cannot_be_made_are_an_error_with_a_remedy(vocab, tmp_path, capsys, arguments, words):
    (tmp_path / "bad.txt").write_text("a\n" * 20)
    options = [f"--input={tmp_path / 'bad.txt'}", f"--vocab={vocab}", f"--output={tmp_path / 'data'}", "--held_out=0"]
    status, _, err = run(capsys, *options, *arguments)
    assert status == 2
    assert all(word in err for word in [*words, "where: ", "expected: ", "what to do: "])
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--length=128"], ["64 input_ids", "128 of each", "default.tfrecord, record 0"]),
        (["--length=64", "--vocab=SMALL"], ["holds the id", "ids below 6", "default.tfrecord, record 0"]),
        (["--length=64", "--records=OTHER"], ["20 masked_lm_ids", "as in", "default.tfrecord, record 0", "one kind"]),
        (["--length=64", "--records=nothing*"], ["no file matches", "nothing*"]),
        (["--length=64", "--seed=1", "--nopairs"], ["--records together with --seed, --pairs"]),
        (["--length=64", "--held_out=1"], ["held_out is 1.0", "below 1"]),
    ],
)
def test_records_that_do_not_fit_are_an_error_with_a_remedy(golden_albert, tmp_path, capsys, arguments, words):
    (tmp_path / "small.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    places = {"SMALL": tmp_path / "small.txt", "OTHER": golden_albert / "permutation.tfrecord"}
    for name, place in places.items():
        arguments = [argument.replace(name, str(place)) for argument in arguments]
    options = [f"--records={golden_albert / 'default.tfrecord'}", f"--vocab={golden_albert / 'vocab.txt'}"]
    status, _, err = run(capsys, *options, f"--output={tmp_path / 'new'}", *arguments)
    assert status == 2
    assert all(word in err for word in [*words, "where: ", "what to do: "])
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists() and not (tmp_path / "new.building").exists()


def test_the_same_command_again_says_that_all_is_there(corpus, vocab, tmp_path, capsys):
    arguments = [f"--input={corpus}", f"--vocab={vocab}", f"--output={tmp_path / 'data'}"]
    assert run(capsys, *arguments)[0] == 0
    status, out, err = run(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "it was there already, whole, of the same text by the same settings" in out and "a second" not in out
    assert json.loads(run(capsys, *arguments, "--json")[1])["is_there_already"]


def test_an_older_data_set_is_left_alone(data, corpus, vocab, capsys):
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    status, _, err = run(capsys, f"--input={corpus}", f"--vocab={vocab}", f"--output={data}")
    assert status == 2
    assert "already exists" in err and str(data) in err
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "arguments", [["--length=four"], ["--packing=dense"], ["--colour=red"], [], ["--input=a", "--records=b"]]
)
def test_wrong_flags_are_an_error(capsys, arguments):
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert "--help" in err


def test_a_name_may_hold_commas_and_brackets(english, vocab, tmp_path, capsys):
    (tmp_path / "wiki [2020]").mkdir()
    (tmp_path / "wiki [2020]" / "Smith, J.txt").write_text(english)
    for number, name in enumerate(["Smith, J.txt", "*"]):
        options = [f"--vocab={vocab}", f"--output={tmp_path / str(number)}"]
        assert run(capsys, f"--input={tmp_path}/wiki [2020]/{name}", *options)[0] == 0


@pytest.mark.parametrize("flag", ["--output=", "--vocab="])
def test_a_name_that_is_empty_is_an_error(corpus, vocab, tmp_path, monkeypatch, capsys, flag):
    """Else the folder in which the command is typed would be meant."""
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, f"--input={corpus}", f"--vocab={vocab}", f"--output={tmp_path / 'data'}", flag)
    assert status == 2
    assert "is empty" in err and "--help" in err
    assert not list(tmp_path.iterdir())


def test_an_error_begins_on_a_line_of_its_own(vocab, tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes((b" " * 9_990 + b"good\n\n") * 401 + b"caf\xe9\n")
    status, _, err = run(capsys, f"--input={tmp_path}/a.txt", f"--vocab={vocab}", f"--output={tmp_path / 'data'}")
    assert status == 2
    assert "units" in err
    assert any(line.startswith("error: byte 0xe9") for line in err.splitlines())


def test_an_output_that_is_a_link_leads_to_the_data(english, vocab, tmp_path, capsys):
    """As where another disk has the room: nothing is written beside the link."""
    (tmp_path / "text.txt").write_text(english[:2000], "utf-8")
    (tmp_path / "disk" / "data").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "disk" / "data")
    status, _, _ = run(capsys, f"--input={tmp_path}/text.txt", f"--vocab={vocab}", f"--output={tmp_path}/data")
    assert status == 0
    assert (tmp_path / "data").is_symlink()
    assert (tmp_path / "disk/data/manifest.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "disk", "text.txt"]
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["data"]


def test_a_build_that_was_killed_is_no_input_of_itself(english, vocab, tmp_path, capsys):
    key = tmp_path / "c" / "out.building" / ("a" * 64)
    key.mkdir(parents=True)
    (key / "000000.held_out").write_bytes(b"\xff\x00")
    (tmp_path / "c" / "a.txt").write_text(english)
    status, _, _ = run(capsys, f"--input={tmp_path}/c/**", f"--vocab={vocab}", f"--output={tmp_path}/c/out")
    assert status == 0
    assert read_manifest(tmp_path / "c" / "out").input["files"] == 1


def test_an_input_that_leads_nowhere_is_not_told_as_an_output(vocab, tmp_path, capsys):
    (tmp_path / "a.txt").symlink_to("nowhere")
    status, _, err = run(capsys, f"--input={tmp_path}/*.txt", f"--vocab={vocab}", f"--output={tmp_path / 'data'}")
    assert status == 2
    assert "a link that leads nowhere" in err and "a.txt" in err and "--output" not in err
