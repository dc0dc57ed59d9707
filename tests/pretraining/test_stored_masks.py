"""Training on records that hold their masks: settings of masking are no part of the run."""

import json

import numpy as np
import pytest

from electra_tf.data.examples import STATIC_MASKS
from electra_tf.data.import_google_records import import_records
from electra_tf.data.reader import DataSet
from electra_tf.pretraining.evaluation import MaskedLMEvaluation
from electra_tf.pretraining.masked_lm import MaskedLanguageModelling
from electra_tf.pretraining.masking import Masking, StoredMasks
from electra_tf.pretraining.run import pretrain
from electra_tf.pretraining.settings import MaskedLM
from electra_tf.pretraining.tokens import Tokens
from electra_tf.seals import sealed
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer
from electra_tf.training.recipe import Recipe

ENCODER = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SETTINGS = MaskedLM("albert_base_v2", ENCODER | {"embedding_size": 8}, order_weight=1.0)
RECIPE = Recipe(steps=2, batch_size=4, compiler="eager", eval_examples=4)


@pytest.fixture(scope="module")
def data(golden_albert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "data"
    import_records(golden_albert / "default.tfrecord", golden_albert / "vocab.txt", folder, length=64, held_out=0.1)
    return folder


def test_what_was_asked_for_in_vain_is_named():
    assert StoredMasks(10, Masking()).advice(64) is None
    advice = StoredMasks(10, Masking(unit="ngram", mask_prob=0.5)).advice(64)
    assert "these do nothing: mask_prob, unit" in advice


def test_masks_that_are_drawn_are_told_by_their_share_and_unit():
    assert Masking().in_words() == "15% of the tokens"
    said = Masking(mask_prob=0.5, last_mask_prob=0.1, unit="ngram").in_words()
    assert said == "50% falling to 10% of the tokens, each ngram as a whole"


def test_an_evaluation_judges_the_tokens_that_the_records_say(data):
    dataset = DataSet.open(data)
    tokens = Tokens.of(dataset.tokenizer)
    objective = MaskedLanguageModelling(SETTINGS, StoredMasks(10, Masking()), tokens, steps=2)
    evaluation = MaskedLMEvaluation(objective, dataset, 8, 8, seed=1, eager=True)
    ((_, drawn),) = evaluation.batches
    stored = dataset.examples("held_out", limit=8)
    assert np.array_equal(drawn.masked.input_ids, stored["input_ids"])
    for found, name in zip(drawn.masked[1:], STATIC_MASKS, strict=True):
        assert np.array_equal(found, stored[name])
    assert np.array_equal(drawn.is_swapped, stored["next_sentence_labels"])


def test_a_vocabulary_that_does_not_tell_words_is_no_matter(golden_albert, tmp_path):
    """The masks are there: no word is looked for, whatever unit a recipe has."""
    vocabulary = (golden_albert / "vocab.txt").read_text("utf-8").split()
    WordPieceTokenizer([token.replace("##", "_") for token in vocabulary]).save(tmp_path / "vocab")
    import_records(golden_albert / "default.tfrecord", tmp_path / "vocab", tmp_path / "data", length=64)
    pretrain(tmp_path / "data", tmp_path / "run", SETTINGS, RECIPE, masking=Masking(unit="word"))


def test_a_run_goes_on_whatever_masking_it_was_begun_with(data, tmp_path):
    """An older run's description names the masking that did nothing."""
    pretrain(data, tmp_path / "run", SETTINGS, RECIPE, masking=Masking(unit="word"))
    path = tmp_path / "run" / "run.json"
    description = json.loads(path.read_text())
    description["settings"]["Masking"] = {"mask_prob": 0.15, "unit": "word"}
    path.write_text(json.dumps(sealed(description)))
    result = pretrain(data, tmp_path / "run", SETTINGS, RECIPE, masking=Masking(unit="ngram"))
    assert result["finished"] and "Masking" not in json.loads(path.read_text())["settings"]
