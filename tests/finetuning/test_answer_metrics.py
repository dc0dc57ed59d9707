"""Exact matches and F1 of answers: SQuAD's and KorQuAD's definitions, on random pairs and as they were recorded."""

import json
import lzma
import random
import re

import numpy as np
import pytest

from electra_tf.finetuning import answer_metrics


def _squad_f1(gold, said):
    """SQuAD 1.1's definition, worked by counting."""
    gold, said = (re.sub(r"\b(a|an|the)\b", " ", _bare(text)).split() for text in (gold, said))
    common = sum(min(gold.count(word), said.count(word)) for word in set(gold))
    if common == 0:
        return 0.0
    precision, recall = common / len(said), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def _bare(text):
    return "".join(c for c in text.lower() if c not in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def test_korquads_scores_are_its_definition_on_1000_random_pairs():
    """F1 of characters in common, whatever their order; quotes and brackets are blanks, blanks are no characters."""
    chance, alphabet = random.Random(7), "바다가 섬을 the SEA ,.!'\"《》<>〈〉()‘’"
    same = 0
    for _ in range(1000):
        gold, said = ("".join(chance.choices(alphabet, k=chance.randint(0, 8))) for _ in range(2))
        said = gold if chance.random() < 0.2 else said
        bare = [re.sub(r"[\s'\"《》<>〈〉()‘’!-/:-@\[-`{-~]", "", text.lower()) for text in (gold, said)]
        left, common = list(bare[0]), 0
        for character in bare[1]:
            if character in left:
                left.remove(character)
                common += 1
        precision, recall = (common / max(1, len(text)) for text in bare[::-1])
        expected = 2 * precision * recall / (precision + recall) if common else 0.0
        assert answer_metrics.character_f1(gold, said) == pytest.approx(expected)
        same += answer_metrics.exact_match_korean(gold, said)
        if answer_metrics.exact_match_korean(gold, said):
            assert bare[0] == bare[1]
    assert same > 150


def test_the_best_threshold_is_the_best_of_all_on_1000_random_sets():
    """SQuAD 2.0's: every threshold between two odds is tried; a question is answered up to it."""
    chance = np.random.default_rng(3)
    for _ in range(1000):
        count = int(chance.integers(1, 9))
        scores, without = chance.integers(0, 3, count) / 2, chance.integers(0, 2, count).astype(float)
        odds = chance.integers(0, 4, count).astype(float)
        tried = [np.where(odds <= limit, scores, without).mean() for limit in (-1, *range(4))]
        best, where = answer_metrics.best_threshold(scores, without, odds)
        assert best == pytest.approx(max(tried))
        assert np.where(odds <= where, scores, without).mean() == pytest.approx(best)


def test_f1_is_squads_on_1000_random_pairs():
    chance = random.Random(5)
    words = ["the", "A", "sea", "sea.", "(sea)", "an", "Ship", "ship's", "it's", "—", "é", "U.S."]
    for _ in range(1000):
        gold, said = (" ".join(chance.choices(words, k=chance.randint(0, 6))) for _ in range(2))
        assert answer_metrics.word_f1(gold, said) == pytest.approx(_squad_f1(gold, said))
        again = answer_metrics.of_none(gold, said)
        empty = not answer_metrics.normalised(gold) or not answer_metrics.normalised(said)
        expected = float(answer_metrics.normalised(gold) == answer_metrics.normalised(said)) if empty else None
        assert again == pytest.approx(_squad_f1(gold, said) if expected is None else expected)


def test_pairs_are_scored_as_the_original_scripts_did(shared):
    recorded = json.loads(lzma.decompress((shared / "data/golden/finetune_scoring/electra_qa.json.xz").read_bytes()))
    for one in recorded["pairs"]:
        golds, said = one["golds"], one["prediction"]
        for name, exact, f1 in (
            ("squad_v1", answer_metrics.exact_match, answer_metrics.word_f1),
            ("squad_v2", answer_metrics.exact_match, answer_metrics.of_none),
            ("korquad", answer_metrics.exact_match_korean, answer_metrics.character_f1),
        ):
            if name not in one:
                continue
            expected = one[name]
            found = [max(how(gold, said) for gold in golds) for how in (exact, f1)]
            assert found == pytest.approx(expected), (name, golds, said)
