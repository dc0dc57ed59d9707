"""The objective against its definition in numpy, and what follows from it."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from electra_tf.errors import ConfigError
from electra_tf.models import EncoderConfig, named_variables
from electra_tf.models.presets import generator_config
from electra_tf.pretraining import electra
from electra_tf.pretraining.electra import Compat, Electra, ElectraConfig, SpecialIds
from electra_tf.training.progress import training_metrics

IDS = SpecialIds(pad=0, cls=1, sep=2, mask=3)
ROWS, LENGTH, VOCABULARY = 6, 24, 14
DISCRIMINATOR = EncoderConfig(
    vocab_size=VOCABULARY,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=LENGTH,
    initializer_range=0.3,
)
CONFIG = ElectraConfig(DISCRIMINATOR, generator_config(DISCRIMINATOR, 0.5), mask_prob=0.3)


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


def model_of(config=CONFIG, seed=0):
    keras.utils.set_random_seed(seed)
    return Electra(config)


def loss_of(model, batch, step=0, **keywords):
    drawn = electra.draw(batch, 0, step, model.config, IDS)
    total = electra.normalisers(batch, drawn)
    return drawn, *electra.electra_loss(model, batch, drawn, total, training=False, **keywords)


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
    assert np.array_equal(out.replaced, replaced)
    assert 0 < replaced.sum() < weights.sum()  # some samples hit the original, and those count as original
    assert np.allclose([out.mlm_loss, out.disc_loss, loss], [mlm, disc, mlm + 50 * disc], rtol=1e-5)


def test_the_generator_sees_masks_and_the_discriminator_samples(batch):
    model = model_of()
    drawn, _, out = loss_of(model, batch)
    hidden = model.generator(drawn.masked.input_ids, batch["input_mask"], batch["segment_ids"])
    at_masks = tf.gather(hidden, drawn.masked.positions, batch_dims=1)
    assert np.allclose(model.masked_lm(at_masks), out.mlm_logits, atol=1e-5)
    hidden = model.discriminator(out.corrupted, batch["input_mask"], batch["segment_ids"])
    assert np.allclose(model.replaced_token(hidden), out.disc_logits, atol=1e-5)
    assert IDS.mask not in out.corrupted.numpy()[out.replaced.numpy() == 0]


def test_the_weights_of_the_losses_multiply_them(batch):
    config = dataclasses.replace(CONFIG, mlm_weight=2.0, disc_weight=7.0)
    _, loss, out = loss_of(model_of(config), batch)
    assert np.isclose(loss, 2 * out.mlm_loss + 7 * out.disc_loss, rtol=1e-6)


def test_no_gradient_flows_from_the_discriminator_to_the_generator_but_through_shared_embeddings(batch):
    for sharing in ("none", "all"):
        model = model_of(dataclasses.replace(CONFIG, embedding_sharing=sharing))
        names = {name: v.value for name, v in named_variables(model).items()}
        with tf.GradientTape() as tape:
            _, _, out = loss_of(model, batch)
        gradients = tape.gradient(out.disc_loss, names)
        generator = [g for name, g in gradients.items() if name.startswith(("generator/", "masked_lm/"))]
        assert len(generator) > 10
        assert all(g is None for g in generator)
        assert gradients["discriminator/embeddings/word/embeddings"] is not None


def test_disentangled_embeddings_are_trained_by_one_loss_each(batch):
    """The discriminator's loss has no gradient for the generator's tables, and the generator's none for differences."""
    model = model_of(dataclasses.replace(CONFIG, embedding_sharing="gdes"))
    names = {name: v.value for name, v in named_variables(model).items()}
    with tf.GradientTape(persistent=True) as tape:
        _, _, out = loss_of(model, batch)
    of_mlm, of_disc = tape.gradient(out.mlm_loss, names), tape.gradient(out.disc_loss, names)
    for table in ("word", "position"):
        base, delta = f"generator/embeddings/{table}/embeddings", f"discriminator/embeddings/{table}/delta"
        assert of_disc[base] is None and of_mlm[delta] is None
        assert float(tf.norm(tf.convert_to_tensor(of_mlm[base]))) > 0
        assert float(tf.norm(tf.convert_to_tensor(of_disc[delta]))) > 0
        assert not np.any(names[delta])
    alone = named_variables(model_of(dataclasses.replace(CONFIG, embedding_sharing="none")))
    assert sum(v.shape.num_elements() for v in names.values()) == sum(np.prod(v.shape) for v in alone.values())


def test_both_losses_reach_shared_embeddings(batch):
    model = model_of()
    word = named_variables(model)["discriminator/embeddings/word/embeddings"].value
    for loss in ("mlm_loss", "disc_loss"):
        with tf.GradientTape() as tape:
            _, _, out = loss_of(model, batch)
        gradient = tf.convert_to_tensor(tape.gradient(getattr(out, loss), word))
        assert float(tf.norm(gradient)) > 0, loss


def test_losses_of_parts_of_a_batch_add_up_to_that_of_the_whole(batch):
    """Sums over rows divided by global counts, although the rows have unequal numbers of tokens."""
    model = model_of()
    drawn, loss, out = loss_of(model, batch)
    total = electra.normalisers(batch, drawn)
    parts, observed = [], []
    for rows in (slice(0, 1), slice(1, 4), slice(4, 6)):
        some = {name: x[rows] for name, x in batch.items()}
        masks = electra.Masked(*(x[rows] for x in drawn.masked))
        taken = electra.Draw(masks, drawn.numbers[rows])
        part, outputs = electra.electra_loss(model, some, taken, total, training=False)
        parts.append(float(part))
        observed.append(electra.measure(some, taken, outputs))
    assert np.isclose(sum(parts), loss, rtol=1e-6)
    whole = electra.measure(batch, drawn, out)
    for name, value in whole.items():
        assert np.allclose(sum(o[name].numpy() for o in observed), value, rtol=1e-5), name


def test_dropout_of_a_part_is_that_of_its_rows_in_the_whole(batch):
    model = model_of()
    drawn = electra.draw(batch, 0, 0, CONFIG, IDS)
    total = electra.normalisers(batch, drawn)
    fed = batch["input_ids"]

    def logits(first, count):
        rows = slice(first, first + count)
        taken = electra.Draw(electra.Masked(*(x[rows] for x in drawn.masked)), drawn.numbers[rows])
        some = {name: x[rows] for name, x in batch.items()}
        seed = tf.constant([11, 22, first])
        return electra.electra_loss(model, some, taken, total, seed, True, fed[rows])[1].disc_logits.numpy()

    assert np.allclose(logits(2, 3), logits(0, 6)[2:5], atol=1e-5)
    assert not np.allclose(logits(0, 6), loss_of(model, batch, fed=fed)[2].disc_logits, atol=1e-2)


def test_a_corruption_can_be_fed_instead_of_sampling(batch):
    fed = tf.where(batch["input_ids"] == 7, 8, batch["input_ids"])
    _, _, out = loss_of(model_of(), batch, fed=fed)
    assert np.array_equal(out.corrupted, fed)
    assert np.array_equal(out.replaced, (fed != batch["input_ids"]))


def test_disallow_correct_never_samples_the_original(batch):
    model = model_of(dataclasses.replace(CONFIG, disallow_correct=True))
    for step in range(5):
        drawn, _, out = loss_of(model, batch, step)
        assert not np.any((out.sampled == drawn.masked.ids).numpy() & (drawn.masked.weights.numpy() > 0))


def test_the_temperature_changes_samples_and_not_the_generators_loss(batch):
    cold = model_of(dataclasses.replace(CONFIG, temperature=1e-3))
    _, _, normal = loss_of(model_of(), batch)
    _, _, out = loss_of(cold, batch)
    assert np.array_equal(out.sampled, tf.argmax(out.mlm_logits, -1))
    assert not np.array_equal(out.sampled, normal.sampled)
    assert np.isclose(out.mlm_loss, normal.mlm_loss, rtol=1e-6)


def test_what_is_measured_gives_the_metrics(batch):
    model = model_of()
    drawn, loss, out = loss_of(model, batch)
    norms = {"grad_norm": 3.0, "generator_grad_norm": 1.0, "discriminator_grad_norm": 2.0, "steps": 1.0}
    window = {name: np.asarray(v) for name, v in electra.measure(batch, drawn, out).items()} | norms
    metrics = training_metrics(window, CONFIG)

    weights, real = drawn.masked.weights.numpy() > 0, batch["input_mask"].numpy() == 1
    hits = (tf.argmax(out.mlm_logits, -1).numpy() == drawn.masked.ids.numpy())[weights]
    said, replaced = out.disc_logits.numpy() > 0, out.replaced.numpy() == 1
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
    drawn, _, out = loss_of(model_of(), batch)
    window = {name: np.asarray(v) for name, v in electra.measure(batch, drawn, out).items()}
    norms = {"grad_norm": 3.0, "generator_grad_norm": 1.0, "discriminator_grad_norm": 2.0, "steps": 1.0}
    real = batch["input_mask"].numpy() == 1
    expected = metrics.roc_auc_score(out.replaced.numpy()[real], out.disc_logits.numpy()[real])
    assert training_metrics(window | norms, CONFIG)["disc_auc"] == pytest.approx(expected, abs=0.01)


def test_the_originals_repeated_positions_count_repeatedly_and_average_their_samples(batch):
    model = model_of(dataclasses.replace(CONFIG, compat=Compat(draw_with_replacement=True)))
    drawn, _, out = loss_of(model, batch, 1)
    positions, weights = drawn.masked.positions.numpy(), drawn.masked.weights.numpy() > 0
    row = next(r for r in range(ROWS) if len(set(positions[r][weights[r]])) < weights[r].sum())
    for position in set(positions[row][weights[row]]):
        samples = out.sampled.numpy()[row][weights[row] & (positions[row] == position)]
        assert out.corrupted[row, position] == samples.mean() // 1


@pytest.mark.parametrize(
    "changes",
    [
        {"mask_prob": 0.0},
        {"mask_prob": 1.0},
        {"mask_token_prob": 0.9, "random_token_prob": 0.2},
        {"temperature": 0.0},
        {"embedding_sharing": "half"},
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused(changes):
    with pytest.raises(ConfigError):
        dataclasses.replace(CONFIG, **changes)


def test_a_generator_as_large_as_its_discriminator_gets_a_warning_that_says_why():
    assert CONFIG.advice() is None
    alike = ElectraConfig(DISCRIMINATOR, DISCRIMINATOR)
    assert "as large as the discriminator" in alike.advice()
    assert "electra-small-generator" in alike.advice()
    shallow = ElectraConfig(DISCRIMINATOR, generator_config(DISCRIMINATOR, 1, 0.5))
    assert shallow.advice() is None
