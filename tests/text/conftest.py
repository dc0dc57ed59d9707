"""Texts and vocabularies for the tests of tokenization."""

import json
import lzma
import random
import sys
import unicodedata
from pathlib import Path

import pytest
from absl import flags

from electra_tf.cli import vocab
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def english_lines():
    with lzma.open(ROOT / "electra_tf/quickstart/essays.txt.xz", "rt", encoding="utf-8") as file:
        return [line for line in file.read().split("\n") if line]


@pytest.fixture(scope="session")
def shared_data():
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data are not here")
    return folder


@pytest.fixture(scope="session")
def character_vocabulary():
    """Every assigned character, at the start of a word and within one."""
    return _characters_up_to(sys.maxunicode)


@pytest.fixture(scope="session")
def basic_vocabulary():
    """The same of the basic plane: less than half as many."""
    return _characters_up_to(0xFFFF)


def _characters_up_to(last):
    assigned = [chr(c) for c in range(last + 1)]
    assigned = [c for c in assigned if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    return [*SPECIAL_TOKENS, *assigned, *("##" + c for c in assigned)]


# What tokenizers were seen to disagree on, a few of each kind.
_POOLS = {
    "ASCII": "abcdeABCDE0123",
    "punctuation": "!#$'()+,-.:;<=>?@[]^_`{|}~",
    "spaces": " \t\n\r\u00a0\u1680\u2002\u2009\u2028\u2029\u202f\u205f\u3000",
    "controls": "\x00\x01\x07\x0b\x0c\x1b\x1c\x1f\x7f\x85\x9f",
    "format": "\u00ad\u200b\u200c\u200d\u200e\u2060\ufeff\u0890\ufffd\U000e0041",
    "accents": "éÉñÑüÜåÅøØßẞİıſςσΣµµ\u0301\u0308\u0327\u0345",
    "compatibility": "ﬁﬀ½²①㈜ｱ™№℃…´¨Ａ！𝐀ﷺǄ㎏",
    "marks": "\u0e31\u0e33\u0e35\u093f\u094d\u0903\u302e\u302f\u1b44\u1baa\ua953\U0001d165\u08d4\u0898\u1734",
    "Thai": "กขคงสวัดีครับ",
    "Hangul": "한국어글뷁",
    "jamo": "ᄒ\u1161\u11abㄱㅏㆍ",
    "Chinese": "中国語日本\uf900\U0002b820\U0002b920\u3007々",
    "emoji": "😀👩\u200d💻🇰🇷❤\ufe0f👍🏽",
    "newer": "\u061d\u2e43\u2e52\u1b7d\u1c89\ua7cb\u0c77\u166d\U000111c9\U00011938",
    "capitals": "ԱაᲐᎠꭰДжΩ\u1e9e\U00010400",
    "private": "\ue000\uf8ff\U000f0000\U0010fffd",
}
_WORDS = [
    *SPECIAL_TOKENS,
    "[mask]",
    "[[MASK]]",
    "##a",
    "##",
    "e-mail",
    "unaffable",
    "한국어",
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "é" * 50,
    "é" * 51,
    "한" * 33,
    "한" * 34,
    "한" * 100,
    "한" * 101,
    "가." * 60,
    "中" * 101,
    "",
]


@pytest.fixture(scope="session")
def wild_texts():
    """Strings that mix scripts, controls, marks, special tokens and words of about 100 characters."""
    random_ = random.Random(20240)
    pools, texts = list(_POOLS.values()), list(_WORDS)
    for _ in range(8000):
        parts = []
        for _ in range(random_.randint(1, 8)):
            pool = "".join(random_.sample(pools, 2)) if random_.random() < 0.3 else random_.choice(pools[:2])
            part = "".join(random_.choices(pool, k=random_.randint(1, 6)))
            parts.append(random_.choice(_WORDS) if random_.random() < 0.1 else part)
        texts.append(random_.choice(["", " "]).join(parts))
    return texts


@pytest.fixture(scope="session")
def wild_vocabulary():
    """Most characters of the wild texts, longer pieces, and entries that no text can reach."""
    characters = sorted(set("".join([*_POOLS.values(), *_WORDS])) - set("\n\r"))
    decomposed = sorted(set(unicodedata.normalize("NFD", "".join(characters).lower())))
    known = [c for i, c in enumerate(sorted({*characters, *decomposed})) if i % 17]
    pieces = ["ab", "##cd", "##de", "abc", "aa", "##aaaa", "한국", "##국어", "un", "##aff", "é" * 50]
    unreachable = ["##", "###", "e-mail", "中国", "[mask]", "...", "##a-b", "\u00a0a", "a b"]
    too_long = ["a" * 200, "한" * 60]
    vocabulary = [*known, *("##" + c for c in known), *SPECIAL_TOKENS, *pieces, *unreachable, *too_long]
    return list(dict.fromkeys(vocabulary))


@pytest.fixture
def electra_tf_vocab():
    """Runs `electra-tf vocab` in this process, and returns the report that it wrote."""

    def run(*arguments):
        before = set(flags.FLAGS)
        vocab.define_flags()
        try:
            flags.FLAGS(["vocab", *map(str, arguments)])
            vocab.run(flags.FLAGS)
            return json.loads((Path(flags.FLAGS.output) / vocab.REPORT_NAME).read_text())
        finally:
            for name in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, name)

    return run
