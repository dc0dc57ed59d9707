"""About the share that was asked for is held out, however long the documents are; bytes do not depend on processes."""

import pytest

from electra_tf.data.builder import build_data
from electra_tf.data.held_out import better_choice, document_share, parts_of
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

WORDS = ["the", "cat", "sat", "on", "a", "mat", "."]


@pytest.fixture(scope="module")
def cats(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cats")
    WordPieceTokenizer([*SPECIAL_TOKENS, *WORDS]).save(folder)
    return folder


def build(text, vocab, folder, name="data", **options):
    (folder / "text.txt").write_text(text)
    told = []
    options = {"length": 32, "processes": 0, "progress": told.append, **options}
    manifest = build_data(folder / "text.txt", vocab, folder / name, **options)
    tokens = {name: split.corpus_tokens for name, split in manifest.splits.items()}
    warnings = [event.name for event in told if event.stage == "warning"]
    return manifest, tokens["held_out"] / sum(tokens.values()), warnings


SENTENCE = "the cat sat on the mat .\n"


@pytest.mark.parametrize(
    "text, share",
    [
        (SENTENCE * 2000, 0.01),
        (SENTENCE * 100, 0.02),
        (SENTENCE * 2000, 0.3),
        ((SENTENCE * 700 + "\n") * 3, 0.01),
        ((SENTENCE * 400 + "\n") * 5, 0.05),
    ],
    ids=["one document", "a short one", "a third", "three", "five alike"],
)
def test_the_share_of_long_documents_is_about_what_was_asked_for(cats, tmp_path, text, share):
    manifest, found, warnings = build(text, cats, tmp_path, held_out=share)
    assert found == pytest.approx(share, rel=0.2)
    assert manifest.packing["held_out_stretches"]
    assert sum(split.corpus_tokens for split in manifest.splits.values()) == 7 * text.count("the cat")
    assert any("a stretch" in warning and "--document line" in warning for warning in warnings)


def test_a_text_in_pieces_as_large_as_documents_may_be_is_cut(cats, tmp_path, monkeypatch):
    monkeypatch.setattr("electra_tf.data.corpus.LONGEST_DOCUMENT", 40_000)
    _, found, _ = build(SENTENCE * 6000, cats, tmp_path, held_out=0.05, unit_bytes=20_000)
    assert found == pytest.approx(0.05, rel=0.2)


def test_documents_that_are_lines_and_alike_are_parted(cats, tmp_path):
    """By their text all of them would be held out, or none."""
    manifest, found, _ = build("cat\n" * 5000, cats, tmp_path, held_out=0.05, document="line")
    assert found == pytest.approx(0.05, rel=0.3)
    assert manifest.splits["train"].examples


@pytest.mark.parametrize("number", range(40))
def test_a_single_short_document_is_always_trained_on(cats, tmp_path, number):
    """Of forty such documents some would be held out whole, by chance."""
    manifest, found, warnings = build("the cat sat\n" + "a " * number, cats, tmp_path, held_out=0.2)
    assert found == 0 and manifest.splits["train"].documents == 1
    assert any("nothing is held out" in warning for warning in warnings)


def test_where_nothing_is_to_be_held_out_nothing_is_said(cats, tmp_path):
    assert build(SENTENCE, cats, tmp_path, held_out=0)[1:] == (0, [])


def test_a_corpus_of_ordinary_documents_is_parted_by_whole_ones(cats, tmp_path):
    text = "".join("the cat sat\n" * (number % 7 + 1) + "a mat .\n" * number + "\n" for number in range(300))
    manifest, found, warnings = build(text, cats, tmp_path, held_out=0.1)
    assert "held_out_stretches" not in manifest.packing and warnings == []
    assert 0.03 < found < 0.2
    assert sum(split.documents for split in manifest.splits.values()) == 300


@pytest.mark.slow
def test_stretches_are_the_same_for_any_number_of_processes(cats, tmp_path):
    text = SENTENCE * 3000
    for processes in (0, 2):
        build(text, cats, tmp_path, str(processes), held_out=0.05, unit_bytes=20_000, processes=processes)
    for path in (tmp_path / "0").glob("*.tfrecord"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
@pytest.mark.parametrize("count", [2, 7, 100, 5000])
def test_a_stretch_is_one_and_no_line_is_lost(share, count):
    lines = [f"line {number} {'x' * (number % 40)}" for number in range(count)]
    parts = list(parts_of(lines, share, "0 0"))
    assert [line for _, part in parts for line in part] == lines
    held_out = [part for split, part in parts if split == "held_out"]
    if count * share >= 0.5:
        assert len(held_out) == 1 and len(held_out[0]) < count
        size = sum(len(line) + 1 for line in held_out[0]) / sum(len(line) + 1 for line in lines)
        assert size == pytest.approx(share, abs=60 / sum(map(len, lines)) + 1 / count)


@pytest.mark.parametrize(
    "share, train, held_out, smallest, expected",
    [
        (0.1, 80, 20, (0.05, 20), 0.1),
        (0.1, 70, 30, (0.05, 30), None),  # 20 % too much
        (0.01, 100, 0, (0.25, 4), pytest.approx(0.25)),  # of few documents one
        (0.01, 100, 0, (0.25, 34), None),
        (0.01, 92_000_000, 8_000_000, (0.005, 8_000_000), None),  # a piece of 8 MB
        (0.2, 92_000_000, 8_000_000, (0.1, 8_000_000), None),
        (0.01, 98_500_000, 1_500_000, (0.0001, 9), 0.01),
    ],
)
def test_what_is_far_from_the_share_is_not_accepted(share, train, held_out, smallest, expected):
    assert better_choice(share, {"train": train, "held_out": held_out}, smallest) == expected


def test_the_quickstarts_chapters_are_held_out_as_before(tmp_path):
    """Their expected figures are of whole chapters."""
    from importlib.resources import files

    from electra_tf.data.corpus import expand, read_documents
    from electra_tf.data.held_out import document_share

    chapters = list(read_documents(expand([f"{files('electra_tf') / 'quickstart'}/*.xz"])))
    sizes = {"train": 0, "held_out": 0}
    for lines in chapters:
        sizes["held_out" if document_share(lines) < 0.05 else "train"] += sum(map(len, lines))
    assert better_choice(0.05, sizes, (0.0, 1)) == 0.05


def test_one_small_document_held_out_for_want_of_a_smaller_place_is_enough(cats, tmp_path, monkeypatch):
    """Its place is then the share, which is not what was asked for, and by which nothing is judged again."""
    monkeypatch.setattr("electra_tf.data.held_out._MUCH", 2500)
    line = SENTENCE.strip()
    lines = next(n for n in range(100, 200) if 0.3 < document_share([line] * n) < 0.5)
    more = next(n for n in range(4000, 4100) if document_share([line] * n) > 0.6)
    text = SENTENCE * lines + "\n" + SENTENCE * more
    manifest, found, warnings = build(text, cats, tmp_path, held_out=0.01)
    assert found == pytest.approx(lines / (lines + more)) and found < 0.05
    assert not manifest.packing.get("held_out_stretches") and not warnings
