"""Evaluation on held-out examples: always the same masks and samples, and the known figures of an untrained model."""

import keras
import numpy as np
import pytest

from electra_tf.data.reader import DataSet
from electra_tf.errors import DataError
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.evaluation import DetectionEvaluation
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.settings import Electra
from electra_tf.pretraining.tokens import Tokens

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32, "embedding_size": 8}


@pytest.fixture(scope="module")
def dataset(quick_data):
    return DataSet.open(quick_data)


def evaluation_of(dataset, examples=40, batch_size=16, seed=1, model_seed=0, masking=None):
    keras.utils.set_random_seed(model_seed)
    settings = Electra("electra_tiny", discriminator=SIZES, generator_depth=1.0)
    objective = ReplacedTokenDetection(settings, masking or Masking(), Tokens.of(dataset.tokenizer), steps=10)
    return DetectionEvaluation(objective, dataset, examples, batch_size, seed, eager=True)


def test_masks_samples_and_corruptions_never_change(dataset):
    first, again = evaluation_of(dataset), evaluation_of(dataset)
    assert first() == first() == again()


@pytest.mark.parametrize("unit", ["token", "ngram"])
def test_what_is_judged_does_not_depend_on_the_batch_size(dataset, unit):
    """90 examples are drawn in two blocks, and judged in batches of 16, of 30, or at once."""
    found = [evaluation_of(dataset, 90, batch_size, masking=Masking(unit=unit))() for batch_size in (16, 30, 128)]
    for name, value in found[0].items():
        assert [other[name] for other in found[1:]] == pytest.approx([value] * 2, rel=1e-5), name


@pytest.mark.slow
def test_another_seed_evaluates_on_other_masks(dataset):
    assert evaluation_of(dataset, seed=1)() != evaluation_of(dataset, seed=2)()


def test_a_model_that_knows_nothing_is_at_the_loss_of_a_uniform_guess_and_an_area_of_a_half(dataset):
    found = evaluation_of(dataset, examples=90)()
    assert found["mlm_loss"] == pytest.approx(np.log(dataset.manifest.tokenizer["vocabulary_size"]), abs=0.1)
    assert found["disc_loss"] == pytest.approx(np.log(2), abs=0.05)
    assert abs(found["fixed_disc_auc"] - 0.5) < 0.1


def test_the_unigram_loss_is_that_of_the_training_texts_frequencies_where_tokens_are_judged(dataset):
    training, tokenizer = dataset.examples("train"), dataset.manifest.tokenizer
    special = [tokenizer[f"{name}_id"] for name in ("pad", "cls", "sep")]
    counts = dict.fromkeys(range(tokenizer["vocabulary_size"]), 0.5)
    for token in training["input_ids"].ravel().tolist():
        counts[token] += token not in special
    evaluation, losses = evaluation_of(dataset), []
    for _, drawn, _ in evaluation.batches:
        pairs = zip(drawn.masked.ids.numpy().ravel(), drawn.masked.weights.numpy().ravel(), strict=True)
        losses += [-np.log(counts[int(token)] / sum(counts.values())) for token, weight in pairs if weight]
    assert evaluation()["unigram_loss"] == pytest.approx(np.mean(losses), rel=1e-9)


def test_the_rows_that_fill_up_the_last_batch_do_not_count(dataset):
    """17 examples in batches of 16: the second holds one, and 15 rows of padding."""
    evaluation = evaluation_of(dataset, examples=17)
    assert len(evaluation.batches) == 2
    last = evaluation.batches[1]
    assert last[0]["input_mask"].numpy().sum(-1)[1:].tolist() == [0] * 15
    assert last[1].masked.weights.numpy()[1:].sum() == 0
    whole = evaluation()
    evaluation.batches = evaluation.batches[:1]
    first = evaluation()
    evaluation.batches = [last]
    alone = evaluation()
    lower, upper = sorted([first["mlm_loss"], alone["mlm_loss"]])
    assert lower <= whole["mlm_loss"] <= upper


def test_corruptions_that_stay_are_tokens_of_the_text_where_the_masks_are(dataset):
    batch, drawn, corrupted = evaluation_of(dataset).batches[0]
    changed = (corrupted != batch["input_ids"]).numpy()
    allowed = np.zeros_like(changed)
    chosen = drawn.masked.weights.numpy() > 0
    rows = np.broadcast_to(np.arange(len(chosen))[:, None], chosen.shape)
    allowed[rows[chosen], drawn.masked.positions.numpy()[chosen]] = True
    assert changed.any()
    assert not (changed & ~allowed).any()


def test_a_data_set_without_held_out_examples_is_refused(quick_text, quick_vocab, tmp_path):
    from electra_tf.data.builder import build_data

    build_data(quick_text, quick_vocab, tmp_path / "data", length=32, held_out=0, processes=0)
    with pytest.raises(DataError, match="'held_out' is empty"):
        evaluation_of(DataSet.open(tmp_path / "data"))


def test_every_position_that_is_judged_shows_the_mask(dataset):
    """A token left in view, as some are in training, is predicted by copying it: no measure of what was learned."""
    evaluation = evaluation_of(dataset)
    assert evaluation.objective.masking.mask_token_prob < 1
    for _, drawn, _ in evaluation.batches:
        shown = np.take_along_axis(drawn.masked.input_ids.numpy(), drawn.masked.positions.numpy(), 1)
        assert set(shown[drawn.masked.weights.numpy() > 0]) == {dataset.manifest.tokenizer["mask_id"]}
