"""What many tests start from: a small vocabulary and a small data set, made once a session from the bundled text."""

import lzma
import os
from pathlib import Path

import pytest

from electra_tf.data.builder import build_data
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer
from electra_tf.text.wordpiece_vocabulary import train_vocabulary

# What drivers and commands compile is kept for the next ones, of all workers; not where the user's programs are.
ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("ELECTRA_TF_COMPILATION_CACHE", str(ROOT / ".pytest_cache/programs"))
QUICKSTART = ROOT / "electra_tf" / "quickstart"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With REQUIRE_PEERS set (`make test-all`), a test that a missing package skips has failed."""
    outcome = yield
    report = outcome.get_result()
    if os.environ.get("REQUIRE_PEERS") and report.skipped and "could not import" in str(report.longrepr):
        report.outcome = "failed"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the repository."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data are not here")
    return folder


@pytest.fixture(scope="session")
def golden_albert(shared) -> Path:
    """What Google's ALBERT made of a text: instances, records, statistics."""
    return shared / "data/golden/albert_data"


@pytest.fixture(scope="session")
def quick_text(tmp_path_factory) -> Path:
    """A text file of about 150 kB of English, some 140 documents."""
    with lzma.open(QUICKSTART / "adventure.txt.xz", "rt", encoding="utf-8") as file:
        paragraphs = file.read(150_000).splitlines()
    documents = ["\n".join(paragraphs[i : i + 12]) for i in range(0, len(paragraphs), 12)]
    path = tmp_path_factory.mktemp("text") / "quick.txt"
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def quick_vocab(quick_text, tmp_path_factory) -> Path:
    """The folder of a trained vocabulary of 500 entries."""
    vocabulary, _ = train_vocabulary(quick_text.read_text(encoding="utf-8").splitlines(), 500)
    folder = tmp_path_factory.mktemp("vocab")
    WordPieceTokenizer(vocabulary).save(folder)
    return folder


@pytest.fixture(scope="session")
def quick_data(quick_text, quick_vocab, tmp_path_factory) -> Path:
    """A data set of length 32, about 2,000 examples in several shards, some held out. Not to be changed."""
    folder = tmp_path_factory.mktemp("data") / "data"
    build_data(quick_text, quick_vocab, folder, length=32, held_out=0.05, shard_examples=500, processes=0)
    return folder


@pytest.fixture(scope="session")
def quick_pairs(quick_text, quick_vocab, tmp_path_factory) -> Path:
    """As `quick_data`, but pairs of segments."""
    folder = tmp_path_factory.mktemp("pairs") / "data"
    build_data(quick_text, quick_vocab, folder, length=32, held_out=0.05, shard_examples=500, processes=0, pairs=True)
    return folder


@pytest.fixture(scope="session")
def spiece_folder(tmp_path_factory) -> Path:
    """A folder with spiece.model alone: 3,000 entries, trained as ALBERT's, on text rich in numbers."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("spiece")
    with lzma.open(QUICKSTART / "essays.txt.xz", "rt", encoding="utf-8") as file:
        text = [line.lower() for line in file.read().split("\n") if line][:4000]
    text += [f"in {n}, {n:,} men paid {n % 97},{n % 7} or 1,{n % 9}, and 2,000, a year." for n in range(3000)] * 3
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text),
        model_prefix=str(folder / "spiece"),
        vocab_size=3000,
        character_coverage=0.99995,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        user_defined_symbols=["(", ")", '"', "-", ".", "\u2013", "\u00a3", "\u20ac"],
        split_by_number=False,
        num_threads=1,
        minloglevel=2,
    )
    return folder
