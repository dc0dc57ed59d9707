"""The objective against its definition in numpy, and what follows from it."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special
from vocabularies import numbered

from electra_tf.models import named_variables
from electra_tf.models.presets import PRESETS
from electra_tf.pretraining import electra
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.settings import Electra
from electra_tf.training.metrics import metrics_of

ROWS, LENGTH, VOCABULARY = 6, 24, 14
IDS = numbered(VOCABULARY)
SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": LENGTH,
    "initializer_range": 0.3,
}
SETTINGS = Electra(discriminator=SIZES, generator_width=0.5)
MASKING = Masking(mask_prob=0.3)


@pytest.fixture(scope="module")
def batch():
    """Rows of very different lengths."""
    random = np.random.default_rng(0)
    ids = random.integers(4, VOCABULARY, (ROWS, LENGTH))
    real = np.arange(LENGTH) < np.array([[24], [5], [12], [20], [9], [3]])
    ids[:, 0], ids[~real] = IDS.cls, IDS.pad
    ids[np.arange(ROWS), real.sum(-1) - 1] = IDS.sep
    segments = (np.arange(LENGTH) > 8) & real
    arrays = {"input_ids": ids, "input_mask": real, "segment_ids": segments}
    return {name: tf.constant(array, tf.int32) for name, array in arrays.items()}


def model_of(settings=SETTINGS, masking=MASKING, seed=0):
    keras.utils.set_random_seed(seed)
    return ReplacedTokenDetection(settings, masking, IDS, steps=10)


def loss_of(model, batch, step=0, fed=None):
    drawn = model.draw(batch, 0, step)._replace(corrupted=fed)
    return drawn, *model.loss(batch, drawn, model.totals(batch, drawn), training=False)


def test_the_losses_are_the_papers(batch):
    model = model_of()
    drawn, loss, out = loss_of(model, batch)
    weights, real = drawn.masked.weights.numpy(), batch["input_mask"].numpy()

    log_p = special.log_softmax(out.mlm_logits.numpy().astype("float64"), -1)
    of_original = np.take_along_axis(log_p, drawn.masked.ids.numpy()[..., None], -1)[..., 0]
    mlm = -(of_original * weights).sum() / weights.sum()

    corrupted = batch["input_ids"].numpy().copy()
    for row, place in zip(*np.nonzero(weights), strict=True):
        corrupted[row, drawn.masked.positions[row, place]] = out.sampled[row, place]
    replaced = corrupted != batch["input_ids"].numpy()
    logits = out.disc_logits.numpy().astype("float64")
    token_loss = np.log1p(np.exp(-np.where(replaced, logits, -logits)))
    disc = (token_loss * real).sum() / real.sum()

    assert np.array_equal(out.corrupted, corrupted)
    assert np.array_equal(out.labels, replaced)
    assert 0 < replaced.sum() < weights.sum()  # some samples hit the original, and those count as original
    assert np.allclose([out.generator_loss, out.disc_loss, loss], [mlm, disc, mlm + 50 * disc], rtol=1e-5)


def test_the_generator_sees_masks_and_the_discriminator_samples(batch):
    model = model_of()
    drawn, _, out = loss_of(model, batch)
    hidden = model.generator.encoder(drawn.masked.input_ids, batch["input_mask"], batch["segment_ids"])
    at_masks = tf.gather(hidden, drawn.masked.positions, batch_dims=1)
    assert np.allclose(model.generator.head(at_masks), out.mlm_logits, atol=1e-5)
    hidden = model.discriminator(out.corrupted, batch["input_mask"], batch["segment_ids"])
    assert np.allclose(model.replaced_token(hidden), out.disc_logits, atol=1e-5)
    assert IDS.mask not in out.corrupted.numpy()[out.labels.numpy() == 0]


def test_the_weights_of_the_losses_multiply_them(batch):
    settings = dataclasses.replace(SETTINGS, mlm_weight=2.0, disc_weight=7.0)
    _, loss, out = loss_of(model_of(settings), batch)
    assert np.isclose(loss, 2 * out.generator_loss + 7 * out.disc_loss, rtol=1e-6)


def test_no_gradient_flows_from_the_discriminator_to_the_generator_but_through_shared_embeddings(batch):
    for sharing in ("none", "all"):
        model = model_of(dataclasses.replace(SETTINGS, embedding_sharing=sharing))
        names = {name: v.value for name, v in named_variables(model.model).items()}
        with tf.GradientTape() as tape:
            _, _, out = loss_of(model, batch)
        gradients = tape.gradient(out.disc_loss, names)
        generator = [g for name, g in gradients.items() if name.startswith(("generator/", "masked_lm/"))]
        assert len(generator) > 10
        assert all(g is None for g in generator)
        assert gradients["discriminator/embeddings/word/embeddings"] is not None


def test_disentangled_embeddings_are_trained_by_one_loss_each(batch):
    """The discriminator's loss has no gradient for the generator's tables, and the generator's none for differences."""
    model = model_of(dataclasses.replace(SETTINGS, embedding_sharing="gdes"))
    names = {name: v.value for name, v in named_variables(model.model).items()}
    with tf.GradientTape(persistent=True) as tape:
        _, _, out = loss_of(model, batch)
    of_mlm, of_disc = tape.gradient(out.generator_loss, names), tape.gradient(out.disc_loss, names)
    for table in ("word", "position"):
        base, delta = f"generator/embeddings/{table}/embeddings", f"discriminator/embeddings/{table}/delta"
        assert of_disc[base] is None and of_mlm[delta] is None
        assert float(tf.norm(tf.convert_to_tensor(of_mlm[base]))) > 0
        assert float(tf.norm(tf.convert_to_tensor(of_disc[delta]))) > 0
        assert not np.any(names[delta])
    apart = dataclasses.replace(SETTINGS, embedding_sharing="none", generator={"embedding_size": 8})
    alone = named_variables(model_of(apart).model)
    assert sum(v.shape.num_elements() for v in names.values()) == sum(np.prod(v.shape) for v in alone.values())


def test_both_losses_reach_shared_embeddings(batch):
    model = model_of()
    word = named_variables(model.model)["discriminator/embeddings/word/embeddings"].value
    for loss in ("generator_loss", "disc_loss"):
        with tf.GradientTape() as tape:
            _, _, out = loss_of(model, batch)
        gradient = tf.convert_to_tensor(tape.gradient(getattr(out, loss), word))
        assert float(tf.norm(gradient)) > 0, loss


def test_losses_of_parts_of_a_batch_add_up_to_that_of_the_whole(batch):
    """Sums over rows divided by global counts, although the rows have unequal numbers of tokens."""
    model = model_of()
    drawn, loss, out = loss_of(model, batch)
    total = model.totals(batch, drawn)
    parts, observed = [], []
    for rows in (slice(0, 1), slice(1, 4), slice(4, 6)):
        some = {name: x[rows] for name, x in batch.items()}
        masks = electra.Masked(*(x[rows] for x in drawn.masked))
        taken = electra.Draw(masks, drawn.numbers[rows])
        part, outputs = model.loss(some, taken, total, training=False)
        parts.append(float(part))
        observed.append(model.measure(some, taken, outputs))
    assert np.isclose(sum(parts), loss, rtol=1e-6)
    whole = model.measure(batch, drawn, out)
    for name, value in whole.items():
        assert np.allclose(sum(o[name].numpy() for o in observed), value, rtol=1e-5), name


def test_dropout_of_a_part_is_that_of_its_rows_in_the_whole(batch):
    model = model_of()
    drawn = model.draw(batch, 0, 0)
    total = model.totals(batch, drawn)
    fed = batch["input_ids"]

    def logits(first, count):
        rows = slice(first, first + count)
        masks = electra.Masked(*(x[rows] for x in drawn.masked))
        taken = electra.Draw(masks, drawn.numbers[rows], corrupted=fed[rows])
        some = {name: x[rows] for name, x in batch.items()}
        seed = tf.constant([11, 22, first])
        return model.loss(some, taken, total, seed, True)[1].disc_logits.numpy()

    assert np.allclose(logits(2, 3), logits(0, 6)[2:5], atol=1e-5)
    assert not np.allclose(logits(0, 6), loss_of(model, batch, fed=fed)[2].disc_logits, atol=1e-2)


def test_a_corruption_can_be_fed_instead_of_sampling(batch):
    fed = tf.where(batch["input_ids"] == 7, 8, batch["input_ids"])
    _, _, out = loss_of(model_of(), batch, fed=fed)
    assert np.array_equal(out.corrupted, fed)
    assert np.array_equal(out.labels, (fed != batch["input_ids"]))


def test_disallow_correct_never_samples_the_original(batch):
    model = model_of(dataclasses.replace(SETTINGS, disallow_correct=True))
    for step in range(5):
        drawn, _, out = loss_of(model, batch, step)
        assert not np.any((out.sampled == drawn.masked.ids).numpy() & (drawn.masked.weights.numpy() > 0))


def test_the_temperature_changes_samples_and_not_the_generators_loss(batch):
    cold = model_of(dataclasses.replace(SETTINGS, temperature=1e-3))
    _, _, normal = loss_of(model_of(), batch)
    _, _, out = loss_of(cold, batch)
    assert np.array_equal(out.sampled, tf.argmax(out.mlm_logits, -1))
    assert not np.array_equal(out.sampled, normal.sampled)
    assert np.isclose(out.generator_loss, normal.generator_loss, rtol=1e-6)


def test_what_is_measured_gives_the_metrics(batch):
    model = model_of()
    drawn, loss, out = loss_of(model, batch)
    window = {name: np.asarray(v) for name, v in model.measure(batch, drawn, out).items()} | {"steps": 1.0}
    metrics = metrics_of(model.readings.metrics, window)

    weights, real = drawn.masked.weights.numpy() > 0, batch["input_mask"].numpy() == 1
    hits = (tf.argmax(out.mlm_logits, -1).numpy() == drawn.masked.ids.numpy())[weights]
    said, replaced = out.disc_logits.numpy() > 0, out.labels.numpy() == 1
    expected = {
        "loss": float(loss),
        "mlm_accuracy": hits.mean(),
        "sampled_accuracy": (out.sampled == drawn.masked.ids).numpy()[weights].mean(),
        "disc_accuracy": (said == replaced)[real].mean(),
        "replaced": replaced[real].mean(),
    }
    for name, value in expected.items():
        assert np.isclose(metrics[name], value, rtol=1e-5), name


def test_the_binned_auc_is_scikit_learns_to_two_digits(batch):
    metrics = pytest.importorskip("sklearn.metrics")
    model = model_of()
    drawn, _, out = loss_of(model, batch)
    window = {name: np.asarray(v) for name, v in model.measure(batch, drawn, out).items()} | {"steps": 1.0}
    real = batch["input_mask"].numpy() == 1
    expected = metrics.roc_auc_score(out.labels.numpy()[real], out.disc_logits.numpy()[real])
    assert metrics_of(model.readings.metrics, window)["disc_auc"] == pytest.approx(expected, abs=0.01)


def test_the_originals_repeated_positions_count_repeatedly_and_average_their_samples(batch):
    model = model_of(masking=dataclasses.replace(MASKING, draw_with_replacement=True))
    drawn, _, out = loss_of(model, batch, 1)
    positions, weights = drawn.masked.positions.numpy(), drawn.masked.weights.numpy() > 0
    row = next(r for r in range(ROWS) if len(set(positions[r][weights[r]])) < weights[r].sum())
    for position in set(positions[row][weights[row]]):
        samples = out.sampled.numpy()[row][weights[row] & (positions[row] == position)]
        assert out.corrupted[row, position] == samples.mean() // 1


def test_electra_small_costs_somewhat_less_than_google_counts():
    """1.294e18 for a million steps of 128 rows of 128 tokens; that counts look-ups as products too."""
    vocabulary = PRESETS["electra_small"].encoder.vocab_size
    small = ReplacedTokenDetection(Electra("electra_small"), Masking(), numbered(vocabulary), steps=1)
    assert 0.85 * 1.294e18 < 1e6 * small.flops(128, 128) < 1.294e18


def test_flops_grow_with_rows_and_with_what_is_predicted():
    few, many = model_of(), model_of(masking=Masking(mask_prob=0.5))
    assert few.flops(64, 24) == few.flops(128, 24) / 2
    assert many.flops(64, 24) > few.flops(64, 24)
