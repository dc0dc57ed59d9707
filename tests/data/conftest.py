"""A small vocabulary and some text for the tests of data."""

import lzma
import shutil
from collections import Counter
from pathlib import Path

import pytest

from electra_tf.data.builder import build_data
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

QUICKSTART = Path(__file__).resolve().parents[2] / "electra_tf" / "quickstart"


@pytest.fixture(scope="session")
def english() -> str:
    """About 280 kB of English in some twenty documents, blank lines between them."""
    with lzma.open(QUICKSTART / "adventure.txt.xz", "rt", encoding="utf-8") as file:
        return "\n\n".join(file.read().split("\n\n")[:24]) + "\n"


@pytest.fixture(scope="session")
def vocab(english, tmp_path_factory) -> Path:
    """Characters and frequent words of the text: no trained vocabulary, but one that needs no training."""
    words = Counter(english.lower().split())
    characters = sorted(set(english.lower()) - set(" \n"))
    frequent = [word for word, _ in words.most_common(2000) if word.isalpha() and len(word) > 1]
    folder = tmp_path_factory.mktemp("vocab")
    WordPieceTokenizer([*SPECIAL_TOKENS, *characters, *("##" + c for c in characters), *frequent]).save(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(english, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "english.txt"
    path.write_text(english, "utf-8")
    return path


@pytest.fixture(scope="session")
def _built(corpus, vocab, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("built") / "data"
    build_data(corpus, vocab, output, length=64, held_out=0.1, shard_examples=300, unit_bytes=30_000, processes=0)
    return output


@pytest.fixture
def data(_built, tmp_path) -> Path:
    """A data set of 64 tokens an example in some five shards, which a test may spoil."""
    return Path(shutil.copytree(_built, tmp_path / "data"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
