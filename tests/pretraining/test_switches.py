"""Settings off the published path do what is said of them in docs/recipes.md, and so do those that reproduce it."""

import dataclasses
import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from vocabularies import numbered

from electra_tf.checkpoints import read_model
from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.run_checkpoints import list_checkpoints, read_checkpoint
from electra_tf.checkpoints.run_directory import read_run
from electra_tf.errors import ConfigError
from electra_tf.models import named_variables
from electra_tf.models.encoder import count_parameters
from electra_tf.models.flops import encoder_flops, masked_lm_head_flops
from electra_tf.optimizers import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.masking import Masking, mask
from electra_tf.pretraining.run import pretrain
from electra_tf.pretraining.settings import Electra
from electra_tf.training.initial_weights import Start
from electra_tf.training.recipe import Recipe
from electra_tf.training.step import Step

SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
SETTINGS = Electra("electra_tiny", SIZES, generator_depth=1.0)
FROZEN = dataclasses.replace(SETTINGS, embedding_sharing="none", freeze_generator=True)
STEADY = Schedule("linear", peak=1e-2, warmup_steps=0)
SHORT = Recipe(steps=2, batch_size=8, compiler="eager", eval_examples=0, checkpoint_every=1)
VOCABULARY, LENGTH = 50, 32
TOKENS = numbered(VOCABULARY)


@pytest.fixture(scope="module")
def batch():
    ids = np.random.default_rng(0).integers(5, VOCABULARY, (64, LENGTH))
    ids[:, 0], ids[:, -1] = TOKENS.cls, TOKENS.sep
    arrays = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    return {name: tf.constant(array, tf.int32) for name, array in arrays.items()}


def objective_of(settings=SETTINGS, masking=None, steps=10, tokens=TOKENS):
    keras.utils.set_random_seed(0)
    return ReplacedTokenDetection(settings, masking or Masking(), tokens, steps)


def sampled_by(objective, batch, step=0):
    drawn = objective.draw(batch, 0, step)
    _, outputs = objective.loss(batch, drawn, objective.totals(batch, drawn), training=False)
    return drawn, outputs.sampled.numpy()


def run(data, folder, settings=SETTINGS, recipe=SHORT, **given):
    given = {"schedule": STEADY, "stream": io.StringIO(), **given}
    return pretrain(data, folder, settings, recipe, **given)


# Masking.last_mask_prob


@pytest.mark.parametrize("done, share", [(0, 0.3), (50, 0.225), (100, 0.15), (120, 0.15)])
def test_the_share_of_masked_tokens_falls_evenly_to_the_last(batch, done, share):
    masked = mask(batch, 0, done, Masking(mask_prob=0.3, last_mask_prob=0.15), TOKENS, steps=100)
    assert set(masked.weights.numpy().sum(-1)) == {np.round(share * (LENGTH - 2))}


def test_there_is_room_for_the_larger_of_both_shares():
    assert Masking(mask_prob=0.3, last_mask_prob=0.15).predictions(128) == Masking(mask_prob=0.3).predictions(128)
    assert Masking(mask_prob=0.15, last_mask_prob=0.3).predictions(128) == Masking(mask_prob=0.3).predictions(128)


# Electra.first_temperature


@pytest.mark.slow
def test_samples_are_drawn_at_the_temperature_of_the_step(batch):
    falling = objective_of(dataclasses.replace(SETTINGS, first_temperature=3.0))
    for step, temperature in ((0, 3.0), (10, 1 + 2 * np.exp(-10))):
        drawn, sampled = sampled_by(falling, batch, step)
        np.testing.assert_allclose(drawn.temperature, temperature, rtol=1e-6)
        constant = objective_of(dataclasses.replace(SETTINGS, temperature=float(drawn.temperature[0])))
        np.testing.assert_array_equal(sampled, sampled_by(constant, batch, step)[1])
    assert not np.array_equal(sampled_by(falling, batch)[1], sampled_by(objective_of(), batch)[1])


# Electra.freeze_generator


@pytest.mark.slow
def test_a_frozen_generator_keeps_its_weights_and_the_discriminator_learns(quick_data, tmp_path):
    apart = dataclasses.replace(SETTINGS, embedding_sharing="none", generator={"embedding_size": 8})
    run(quick_data, tmp_path / "trained", apart)
    frozen, start = dataclasses.replace(apart, freeze_generator=True), Start(tmp_path / "trained")
    optimizer = AdamW(weight_decay=0.1)
    run(quick_data, tmp_path / "run", frozen, start=start, optimizer=optimizer)
    before, after = read_run(tmp_path / "trained").weights, read_run(tmp_path / "run").weights
    for name, array in after.items():
        moved = not np.array_equal(array, before[name])
        assert moved == name.startswith(("discriminator/", "replaced_token/")), name


def test_a_frozen_generator_has_to_come_from_somewhere(quick_data, tmp_path):
    with pytest.raises(ConfigError, match="--init_generator"):
        run(quick_data, tmp_path / "run", FROZEN)


def test_a_frozen_generator_has_no_gradient_no_moments_and_costs_no_backward_pass(batch):
    frozen = objective_of(FROZEN)
    step = Step(frozen, AdamW(), STEADY, steps=10, seed=0, compiler="eager")
    trained = {name for name in step.weights if name.startswith(("discriminator/", "replaced_token/"))}
    assert set(step.m) == set(step.v) == set(step.gradients(batch)[0]) == trained
    assert "generator_grad_norm" not in step(batch)
    learning, generator = objective_of(dataclasses.replace(FROZEN, freeze_generator=False)), frozen.towers["generator"]
    forward = encoder_flops(generator, LENGTH) * LENGTH
    forward += masked_lm_head_flops(generator, frozen.masking.predictions(LENGTH))
    assert learning.flops(8, LENGTH) - frozen.flops(8, LENGTH) == pytest.approx(2 * forward * 8)


@pytest.mark.parametrize(
    "shared",
    [{"embedding_sharing": "all"}, {"embedding_sharing": "word"}, {"share_projection": True}, {"share_layers": True}],
    ids=str,
)
def test_a_frozen_generator_shares_nothing_that_the_discriminator_trains(shared):
    with pytest.raises(ConfigError, match="which the discriminator trains on"):
        dataclasses.replace(FROZEN, **shared)


# Electra.share_projection, Electra.share_layers: as ALECTRA's code offers


def test_alectras_towers_have_the_published_number_of_weights_whatever_they_share():
    layers = {"share_layers": True, "generator": {"num_attention_heads": 4}}
    counts = []
    for given in ({}, {"share_projection": True}, {"share_projection": True, **layers}):
        model = objective_of(Electra("alectra_small_owt", **given), tokens=numbered(30522)).model
        ours, original = count_parameters(model.replaced_token), 2 * 257  # its head has two outputs
        counts.append(count_parameters(model) - ours + original + 2 * 128)  # its norms of embeddings are two
    assert counts == [5_633_724, 5_600_700, 4_810_940]


# Electra.vocabulary_multiple


def test_rows_that_pad_the_vocabulary_are_never_sampled_or_shown(batch):
    """Not even where the generator thinks them likeliest, and any token may be shown for a masked one."""
    masking = Masking(mask_prob=0.5, mask_token_prob=0.0, random_token_prob=1.0, random_special_tokens=True)
    for kind in ("masked", "shared", "uniform", "two_towers"):
        own = {} if kind in ("shared", "uniform") else {"generator_depth": 1.0}
        settings = Electra("electra_tiny", SIZES, generator_kind=kind, vocabulary_multiple=64, **own)
        objective = objective_of(settings, masking)
        for name, weight in objective.weights.items():
            if name.endswith("output_bias"):
                assert weight.shape == [64]
                weight.assign(np.where(np.arange(64) < VOCABULARY, 0.0, 50.0))
        drawn, sampled = sampled_by(objective, batch)
        assert sampled.max() < VOCABULARY, kind
        assert drawn.masked.input_ids.numpy().max() < VOCABULARY


@pytest.mark.slow
def test_a_padded_vocabulary_is_cut_off_at_export(quick_data, tmp_path):
    run(quick_data, tmp_path / "run", dataclasses.replace(SETTINGS, vocabulary_multiple=64))
    config = read_model(tmp_path / "run", "generator").config
    assert config.vocab_size == 512  # the vocabulary has 500
    towers = convert(tmp_path / "run", tmp_path / "hf", tower="both", vocab_size=500)
    whole = read_run(tmp_path / "run").weights["discriminator/embeddings/word/embeddings"]
    for folder in towers:
        model = read_model(folder)
        assert model.config.vocab_size == 500
        table = model.tower_weights()[f"{model.tower}/embeddings/word/embeddings"]
        np.testing.assert_array_equal(table, whole[:500])


# AdamW.clip_apart, beta_2 = 'auto'


@pytest.mark.parametrize("apart", [False, True], ids=["by one norm", "apart"])
def test_clipped_apart_each_towers_step_follows_from_its_own_norm(apart):
    """Against numpy: gradients of which one tower's are long and the other's short."""
    objective = objective_of()
    step = Step(objective, AdamW(clip_apart=apart, epsilon=1e-2), STEADY, 10, 0, "eager")
    before = {name: weight.numpy().astype("float64") for name, weight in step.weights.items()}
    random = np.random.default_rng(0)
    ours = {name: name.startswith(("generator/", "masked_lm/")) for name in before}
    gradients = {n: random.normal(size=w.shape) * (1e-4 if ours[n] else 1.0) for n, w in before.items()}
    step.apply_gradients({name: tf.constant(gradient, tf.float32) for name, gradient in gradients.items()})

    def norm(names):
        return np.sqrt(sum(np.sum(gradients[name] ** 2) for name in names))

    for name, weight in before.items():
        clipped = gradients[name] / max(1.0, norm([n for n in before if ours[n] == ours[name] or not apart]))
        update = 0.1 * clipped / (np.sqrt(0.001 * clipped**2) + 1e-2) + AdamW().decay_of(name) * weight
        np.testing.assert_allclose(step.weights[name], weight - 1e-2 * update, rtol=1e-4, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("from_begin", [True, False])
def test_bias_is_corrected_from_the_step_at_which_a_weight_begins(from_begin):
    """Against the formula: by the same gradient each time, every corrected step is the rate, up to epsilon. By the
    rules of early runs that of the first two steps is left for those of a late weight's.
    """
    objective = objective_of(dataclasses.replace(SETTINGS, generator_steps=2, embedding_sharing="none"))
    optimizer = AdamW(bias_correction=True, epsilon=1e-12, weight_decay=0.0, clip_norm=None)
    step = Step(objective, optimizer, STEADY, 10, 0, "eager", bias_from_begin=from_begin)
    late, early = "discriminator/embeddings/norm/beta", "generator/embeddings/norm/beta"
    before = {name: step.weights[name].numpy() for name in (late, early)}
    random = np.random.default_rng(0)
    gradients = {n: tf.constant(random.choice([-1.0, 1.0], w.shape), tf.float32) for n, w in step.trained.items()}
    rates = []
    for _ in range(4):
        rates.append(float(step.rate()))
        step.apply_gradients({name: step._once_begun(name, gradient) for name, gradient in gradients.items()})
        for name, begin in ((late, 2), (early, 0)):
            expected = 0.0
            for number, rate in enumerate(rates[begin:], 1):
                t = number if from_begin else number + begin
                m, v = ((1 - beta**number) / (1 - beta**t) for beta in (0.9, 0.999))
                expected += rate * m / np.sqrt(v)
            moved = before[name] - step.weights[name]
            np.testing.assert_allclose(moved, expected * gradients[name], rtol=1e-3, atol=1e-7, err_msg=name)


@pytest.mark.slow
def test_beta_2_by_itself_forgets_half_within_ten_million_tokens(quick_data, tmp_path):
    run(quick_data, tmp_path / "run", optimizer=AdamW(beta_2="auto"))
    beta_2 = json.loads((tmp_path / "run/run.json").read_text())["settings"]["AdamW"]["beta_2"]
    updates = 10e6 / (8 * 32)  # of 8 rows of 32 tokens
    assert beta_2**updates == pytest.approx(0.5, rel=1e-6)
    _, state = read_checkpoint(list_checkpoints(tmp_path / "run")[0][1])
    bias = "discriminator/embeddings/norm/beta"
    m, v = state[f"adam_m/{bias}"].astype("float64"), state[f"adam_v/{bias}"].astype("float64")
    np.testing.assert_allclose(v, (1 - beta_2) * (m / 0.1) ** 2, rtol=1e-2)  # after one step


# Masking.by_coins, Electra.embedding_sharing = 'cloned': as ALECTRA


def test_by_coins_the_number_of_masked_tokens_is_binomial(batch):
    counts = []
    for step in range(40):
        masked = mask(batch, 0, step, Masking(mask_prob=0.15, by_coins=True), TOKENS)
        weights, positions = masked.weights.numpy(), masked.positions.numpy()
        counts += weights.sum(-1).tolist()
        assert all(len(set(p[w > 0])) == w.sum() for p, w in zip(positions, weights, strict=True))
        assert not np.isin(masked.ids.numpy()[weights > 0], (TOKENS.cls, TOKENS.sep)).any()
    tokens = LENGTH - 2
    assert np.mean(counts) == pytest.approx(0.15 * tokens, abs=0.15)
    assert np.var(counts) == pytest.approx(0.15 * 0.85 * tokens, rel=0.1)
    assert min(counts) == 0


@pytest.mark.parametrize("other", [{"unit": "word"}, {"draw_with_replacement": True}], ids=str)
def test_coins_are_for_single_tokens_alone(other):
    with pytest.raises(ConfigError, match="by_coins"):
        Masking(by_coins=True, **other)


@pytest.mark.slow
def test_cloned_tables_are_alike_in_the_beginning_and_then_part(quick_data, tmp_path):
    settings = dataclasses.replace(SETTINGS, embedding_sharing="cloned")
    tables = [f"embeddings/{table}/embeddings" for table in ("word", "position", "token_type")]
    weights = {name: variable.numpy() for name, variable in named_variables(objective_of(settings).model).items()}
    for table in tables:
        np.testing.assert_array_equal(weights[f"generator/{table}"], weights[f"discriminator/{table}"])
    run(quick_data, tmp_path / "run", settings)
    after = read_run(tmp_path / "run").weights
    for table in tables:
        assert after[f"generator/{table}"].shape == after[f"discriminator/{table}"].shape
        assert not np.array_equal(after[f"generator/{table}"], after[f"discriminator/{table}"])
