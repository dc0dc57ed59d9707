"""`training/` is below the objectives: no word of one stands in it."""

import re
from pathlib import Path

import pytest

import electra_tf.training

FILES = sorted(Path(electra_tf.training.__file__).parent.glob("*.py"))
WORDS = r"generator|discriminator|\belectra\b|replaced.token|masked|mlm|\balbert\b|corrupt|sentence.order"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_word_of_an_objective_stands_in_it(path):
    text = re.sub(r"^from electra_tf\.checkpoints.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = [line for line in text.splitlines() if re.search(WORDS, line, re.IGNORECASE)]
    assert found == []
