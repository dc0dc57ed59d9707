"""A run that starts from the weights of other checkpoints."""

import dataclasses
import io

import numpy as np
import pytest

from electra_tf.checkpoints import pretrained, read_model, write_folder
from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.run_checkpoints import list_checkpoints, read_checkpoint
from electra_tf.checkpoints.run_directory import read_run
from electra_tf.data.reader import DataSet
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining import run
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.settings import Electra
from electra_tf.pretraining.tokens import Tokens
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer
from electra_tf.training.initial_weights import Start, initial_weights

HEADS = {"discriminator": {"num_attention_heads": 4}}  # TF-V1 does not tell; the generator has its usual one


def pretrain(*arguments, schedule=None, **keywords):
    """With the schedule of the finished run, unless another is given."""
    return run.pretrain(*arguments, schedule=schedule or Schedule(peak=1e-3, warmup_steps=0), **keywords)


def begun(quick_data, model_dir, model, recipe, start):
    """(weights before the first step, what was said, the report): a run whose rate is too small to change a weight."""
    stream = io.StringIO()
    still = dataclasses.replace(recipe, steps=1 + model.generator_steps, eval_examples=0)
    schedule = Schedule(peak=1e-40, warmup_steps=0)
    pretrain(quick_data, model_dir, model, still, schedule=schedule, start=start, stream=stream)
    _, state = read_checkpoint(list_checkpoints(model_dir)[-1][1])
    weights = {name.removeprefix("weights/"): array for name, array in state.items() if name.startswith("weights/")}
    return weights, stream.getvalue(), (model_dir / "initial_weights.txt").read_text()


@pytest.fixture
def both(tiny_run, tmp_path):
    """Folders of transformers with the towers of the finished run."""
    return convert(tiny_run.model_dir, tmp_path / "hf", tower="both")


def test_both_towers_come_from_a_run_or_a_tf1_checkpoint_or_two_folders(
    quick_data, tiny_run, tiny_model, tiny_recipe, both, tmp_path
):
    expected = read_run(tiny_run.model_dir).weights
    (prefix,) = convert(tiny_run.model_dir, tmp_path / "tf1", "tf1", settings=HEADS)
    starts = [Start(tiny_run.model_dir), Start(prefix), Start(both[0], {"generator": both[1]})]
    for number, start in enumerate(starts):
        weights, said, report = begun(quick_data, tmp_path / str(number), tiny_model, tiny_recipe, start)
        assert weights.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(weights[name], array, err_msg=name)
        assert f"{len(expected)} of {len(expected)} weights are taken over" in said
        assert "starts anew" not in report


@pytest.mark.slow
def test_a_run_that_goes_on_says_that_it_takes_nothing_over(quick_data, tiny_run, tiny_model, tiny_recipe, tmp_path):
    """Unless it is the same command again."""
    start = Start(tiny_run.model_dir)
    begun(quick_data, tmp_path / "run", tiny_model, tiny_recipe, start)
    _, said, _ = begun(quick_data, tmp_path / "run", tiny_model, tiny_recipe, start)
    assert "takes no weights from elsewhere" not in said
    _, said, _ = begun(quick_data, tmp_path / "run", tiny_model, tiny_recipe, Start(tmp_path))
    assert "takes no weights from elsewhere" in said


def test_a_discriminator_is_no_generator(quick_data, tiny_model, tiny_recipe, both, tmp_path):
    with pytest.raises(CheckpointError, match="no generator here, only a discriminator"):
        start = Start(both[0], {"generator": both[0]})
        pretrain(quick_data, tmp_path / "run", tiny_model, tiny_recipe, start=start, stream=io.StringIO())


def test_a_frozen_generator_is_taken_over_and_not_made_anew(quick_data, tiny_model, tiny_recipe, both, tmp_path):
    model = dataclasses.replace(tiny_model, embedding_sharing="none", freeze_generator=True)
    with pytest.raises(ConfigError, match="no generator to start from"):
        pretrain(quick_data, tmp_path / "run", model, tiny_recipe, start=Start(both[0]), stream=io.StringIO())


@pytest.mark.slow
def test_moments_come_along_when_asked_for(quick_data, tiny_run, tiny_model, tiny_recipe, tmp_path):
    (prefix,) = convert(tiny_run.model_dir, tmp_path / "tf1", "tf1", settings=HEADS)
    begun(quick_data, tmp_path / "run", tiny_model, tiny_recipe, Start(prefix, slots=True))
    before, after = read_run(tiny_run.model_dir), read_run(tmp_path / "run")
    moved = [name for name in before.slots_v if np.abs(before.slots_v[name]).max() > 0]
    assert moved
    for name in moved:  # one step keeps 999 parts in 1000, and 9 in 10 of the first moment
        assert np.all(after.slots_v[name] >= 0.998 * before.slots_v[name]), name
    m, g = (np.concatenate([run.slots_m[name].ravel() for name in moved]) for run in (before, after))
    assert np.corrcoef(m, g)[0, 1] > 0.5
    assert after.step == 1


@pytest.mark.parametrize("positions", [48, 32, 24])
def test_moments_come_along_to_more_positions_and_fewer(positions, tiny_run, tiny_model, quick_data):
    """What was not there has moments of 0, as everything in the beginning."""
    dataset, before = DataSet.open(quick_data), read_run(tiny_run.model_dir)
    sizes = {**tiny_model.discriminator, "max_position_embeddings": positions}
    model = dataclasses.replace(tiny_model, discriminator=sizes)
    objective = ReplacedTokenDetection(model, Masking(), Tokens.of(dataset.tokenizer), 1)
    weights, slots, _ = initial_weights(Start(tiny_run.model_dir, slots=True), objective, dataset.tokenizer)
    table, kept = "discriminator/embeddings/position/embeddings", min(positions, 32)
    np.testing.assert_array_equal(weights[table][:kept], before.weights[table][:kept])
    for found, source in zip(slots, (before.slots_m, before.slots_v), strict=True):
        assert found.keys() == weights.keys()
        np.testing.assert_array_equal(found[table][:kept], source[table][:kept])
        assert found[table].shape == (positions, 8)
        assert np.any(found[table][:kept]) and not np.any(found[table][kept:])
        for name in found.keys() - {table}:
            np.testing.assert_array_equal(found[name], source[name], err_msg=name)


def test_moments_of_another_network_are_refused(tiny_run, tiny_model, tiny_recipe, quick_data, tmp_path):
    """It has tables of its own where the checkpoint shares one: of their moments nothing is known."""
    (prefix,) = convert(tiny_run.model_dir, tmp_path / "tf1", "tf1", settings=HEADS)
    model = dataclasses.replace(tiny_model, embedding_sharing="word")
    with pytest.raises(ConfigError, match="of the same network"):
        begun(quick_data, tmp_path / "run", model, tiny_recipe, Start(prefix, slots=True))


def test_moments_that_are_not_there_are_asked_for_in_vain(quick_data, tiny_model, tiny_recipe, both, tmp_path):
    with pytest.raises(ConfigError, match="moments cannot be taken over"):
        begun(quick_data, tmp_path / "run", tiny_model, tiny_recipe, Start(both[0], {"generator": both[1]}, slots=True))


@pytest.mark.slow
def test_a_generator_that_is_missing_learns_alone_for_the_steps_that_are_said(
    quick_data, tiny_model, tiny_recipe, both, tmp_path
):
    with pytest.raises(ConfigError, match="no generator to start from"):
        pretrain(quick_data, tmp_path / "none", tiny_model, tiny_recipe, start=Start(both[0]), stream=io.StringIO())
    source = read_model(both[0]).tower_weights()
    model = dataclasses.replace(tiny_model, generator_steps=3)
    recipe = dataclasses.replace(tiny_recipe, keep=6, eval_examples=0)
    pretrain(quick_data, tmp_path / "run", model, recipe, start=Start(both[0]), stream=io.StringIO())
    states = {step: read_checkpoint(path)[1] for step, path in list_checkpoints(tmp_path / "run")}
    for step, state in states.items():
        same = {n for n, array in source.items() if np.array_equal(state[f"weights/{n}"], array)}
        assert (same == source.keys()) == (step <= 3), step
    own = "weights/generator/transformer/block_0/attention/qkv/kernel"
    assert not np.array_equal(states[1][own], states[2][own])
    assert not any(np.any(array) for name, array in states[3].items() if name.startswith("adam_m/discriminator"))


def test_another_vocabulary_keeps_the_rows_of_the_tokens_that_both_have(
    quick_data, quick_vocab, tiny_model, tiny_recipe, both, tmp_path
):
    """The checkpoint's tokens are the data's, but in another order and without some of them."""
    here = Tokenizer.from_pretrained(quick_vocab)
    tokens = [here.id_to_token(number) for number in range(len(here))]
    there = tokens[:5] + tokens[:4:-1][10:]
    towers = []
    for path in both:
        model = read_model(path)
        weights = model.tower_weights()
        for name in weights:
            if "word" in name or name == "masked_lm/output_bias":
                weights[name] = weights[name][: len(there)]
        config = model.config.replace(vocab_size=len(there))
        towers.append(pretrained(model.tower, config, weights))
        write_folder(tmp_path / f"other-{model.tower}", towers[-1], WordPieceTokenizer(there))
    start = Start(tmp_path / "other-discriminator", {"generator": tmp_path / "other-generator"})
    weights, said, _ = begun(quick_data, tmp_path / "run", tiny_model, tiny_recipe, start)
    table, source = (w["discriminator/embeddings/word/embeddings"] for w in (weights, towers[0].tower_weights()))
    for row, token in enumerate(there):
        np.testing.assert_array_equal(table[tokens.index(token)], source[row], err_msg=token)
    bias = towers[1].tower_weights()["masked_lm/output_bias"]
    np.testing.assert_array_equal(weights["masked_lm/output_bias"][tokens.index(there[7])], bias[7])
    assert f"{len(there):,} of {len(tokens):,} rows of discriminator/embeddings/word/embeddings" in said


@pytest.mark.slow
def test_longer_positions_keep_the_rows_that_were_there(quick_data, tiny_model, tiny_recipe, both, tmp_path):
    longer = dataclasses.replace(tiny_model, discriminator={**tiny_model.discriminator, "max_position_embeddings": 48})
    weights, said, _ = begun(quick_data, tmp_path / "run", longer, tiny_recipe, Start(both[0], {"generator": both[1]}))
    table = weights["discriminator/embeddings/position/embeddings"]
    np.testing.assert_array_equal(
        table[:32], read_model(both[0]).tower_weights()["discriminator/embeddings/position/embeddings"]
    )
    assert len(table) == 48
    assert "32 of 48 rows of discriminator/embeddings/position/embeddings" in said


@pytest.mark.slow
def test_a_resumed_run_keeps_its_own_weights(quick_data, tiny_run, tiny_model, tiny_recipe, tmp_path):
    arguments, stream = (quick_data, tmp_path / "run", tiny_model), io.StringIO()
    schedule = Schedule("warmup_stable_decay", 1e-3, warmup_steps=0, decay_steps=1)
    settings = {"schedule": schedule, "start": Start(tiny_run.model_dir)}
    pretrain(*arguments, dataclasses.replace(tiny_recipe, steps=3), **settings, stream=io.StringIO())
    pretrain(*arguments, dataclasses.replace(tiny_recipe, steps=4), **settings, extend=True, stream=stream)
    assert "resuming at step 3" in stream.getvalue()
    assert "taken over" not in stream.getvalue()
    assert read_run(tmp_path / "run").run["start"] == {"checkpoint": str(tiny_run.model_dir)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 2}, "num_hidden_layers is 1 there, 2 here"),
        ({"hidden_act": "relu"}, "'gelu' there, 'relu'"),
    ],
)
def test_another_network_is_refused(quick_data, tiny_model, tiny_recipe, both, tmp_path, change, message):
    other = dataclasses.replace(tiny_model, discriminator={**tiny_model.discriminator, **change})
    with pytest.raises(CheckpointError, match=message):
        pretrain(
            quick_data,
            tmp_path / "run",
            other,
            tiny_recipe,
            start=Start(both[0], {"generator": both[1]}),
            stream=io.StringIO(),
        )


def test_informed_weights_beside_a_checkpoint_are_refused(quick_data, tiny_model, tiny_recipe, both, tmp_path):
    model = dataclasses.replace(tiny_model, initial_weights="informed")
    with pytest.raises(ConfigError, match="a checkpoint to start from"):
        pretrain(
            quick_data,
            tmp_path / "run",
            model,
            tiny_recipe,
            start=Start(both[0], {"generator": both[1]}),
            stream=io.StringIO(),
        )


@pytest.mark.slow
def test_a_run_of_disentangled_embeddings_travels_as_sums(quick_data, tiny_model, tiny_recipe, tmp_path):
    """To folders and TF-V1, and back into runs: of its own kind, where the parts are found again, and of another."""
    model = dataclasses.replace(tiny_model, embedding_sharing="gdes")
    recipe = dataclasses.replace(tiny_recipe, steps=4, eval_examples=0)
    pretrain(quick_data, tmp_path / "run", model, recipe, stream=io.StringIO())
    _, state = read_checkpoint(list_checkpoints(tmp_path / "run")[-1][1])
    tables = [f"embeddings/{table}" for table in ("word", "position")]
    for table in tables:
        assert np.any(state[f"weights/discriminator/{table}/delta"])
    towers = convert(tmp_path / "run", tmp_path / "hf", tower="both")
    (prefix,) = convert(tmp_path / "run", tmp_path / "tf1", "tf1", settings=HEADS)
    for source, generator in ((towers[0], towers[1]), (prefix, None)):
        found = read_model(source, "discriminator").tower_weights()
        for table in tables:
            base = state[f"weights/generator/{table}/embeddings"]
            expected = base + state[f"weights/discriminator/{table}/delta"]
            np.testing.assert_array_equal(found[f"discriminator/{table}/embeddings"], expected)
            np.testing.assert_array_equal(
                read_model(generator or source, "generator").tower_weights()[f"generator/{table}/embeddings"], base
            )
    start = Start(prefix, slots=True)
    weights, said, report = begun(quick_data, tmp_path / "again", model, tiny_recipe, start)
    assert "starts anew" not in report and f"{len(weights)} of {len(weights)} weights are taken over" in said
    for name, array in weights.items():
        np.testing.assert_allclose(array, state[f"weights/{name}"], rtol=1e-6, atol=1e-8, err_msg=name)
    apart = dataclasses.replace(tiny_model, embedding_sharing="none", generator={"embedding_size": 8})
    begun(quick_data, tmp_path / "apart", apart, tiny_recipe, Start(tmp_path / "run"))
    merged, ours = read_run(tmp_path / "apart").weights, read_run(tmp_path / "run").weights
    assert merged.keys() == ours.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(merged[name], array, err_msg=name)


@pytest.mark.slow
def test_without_a_generator_disentangled_embeddings_begin_with_what_is_known(
    quick_data, both, tiny_model, tiny_recipe, tmp_path
):
    model = dataclasses.replace(tiny_model, embedding_sharing="gdes", generator_steps=1)
    weights, _, _ = begun(quick_data, tmp_path / "run", model, tiny_recipe, Start(both[0]))
    known = read_model(both[0]).tower_weights()
    for table in ("embeddings/word", "embeddings/position"):
        np.testing.assert_array_equal(
            weights[f"generator/{table}/embeddings"], known[f"discriminator/{table}/embeddings"]
        )
        assert np.abs(weights[f"discriminator/{table}/delta"]).max() < 1e-20


@pytest.mark.slow
def test_with_a_generator_alone_disentangled_embeddings_begin_as_its_own(
    quick_data, both, tiny_model, tiny_recipe, tmp_path
):
    model = dataclasses.replace(tiny_model, embedding_sharing="gdes")
    weights, _, _ = begun(quick_data, tmp_path / "run", model, tiny_recipe, Start(towers={"generator": both[1]}))
    known = read_model(both[1]).tower_weights()
    for table in ("embeddings/word", "embeddings/position"):
        base = weights[f"generator/{table}/embeddings"]
        np.testing.assert_array_equal(base, known[f"generator/{table}/embeddings"])
        assert np.abs(weights[f"discriminator/{table}/delta"]).max() < 1e-20


def test_while_the_generator_learns_alone_shared_bases_stand_still(tiny_model):
    model = dataclasses.replace(tiny_model, embedding_sharing="gdes", generator_steps=5)
    tokens = Tokens(*range(5), size=40, begins=np.ones(40, bool))
    objective = ReplacedTokenDetection(model, Masking(), tokens, 10)
    begins = {name: objective.group(name).begins for name in objective.weights}
    assert {begins[f"generator/embeddings/{table}/embeddings"] for table in ("word", "position")} == {5}
    assert {begins[name] for name in begins if name.startswith("discriminator/")} == {5}
    assert {begins[name] for name in begins if name.startswith("masked_lm/")} == {0}


def test_a_tower_that_the_run_does_not_have_is_refused(quick_data, both, tiny_model, tiny_recipe, tmp_path):
    model = dataclasses.replace(
        tiny_model, generator_kind="shared", generator={}, generator_width=None, generator_depth=None
    )
    with pytest.raises(ConfigError, match=r"(?s)a generator is given, and this run has none.*leave it out"):
        pretrain(
            quick_data, tmp_path, model, tiny_recipe, start=Start(towers={"generator": both[1]}), stream=io.StringIO()
        )


@pytest.mark.parametrize("form", ["bin", *(pytest.param(form, marks=pytest.mark.slow) for form in ("h5", "keras"))])
def test_both_towers_come_from_any_other_format(form, quick_data, tiny_run, tiny_model, tiny_recipe, tmp_path):
    if form == "bin":
        pytest.importorskip("torch")
    towers = convert(tiny_run.model_dir, tmp_path / "out", form, tower="both")
    weights, _, report = begun(
        quick_data, tmp_path / "run", tiny_model, tiny_recipe, Start(towers[0], {"generator": towers[1]})
    )
    expected = read_run(tiny_run.model_dir).weights
    assert "starts anew" not in report and weights.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(weights[name], array, err_msg=name)


@pytest.mark.slow
def test_an_albert_and_its_generator_are_a_start_too(quick_data, tiny_recipe, tmp_path):
    """From folders that transformers opens, and the generator from Google's TF-V1."""
    sizes = {"embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 32, "max_position_embeddings": 32}
    model = Electra("alectra_tiny", discriminator=sizes, generator=sizes)
    recipe = dataclasses.replace(tiny_recipe, steps=2, eval_examples=0)
    pretrain(quick_data, tmp_path / "run", model, recipe, stream=io.StringIO())
    towers = convert(tmp_path / "run", tmp_path / "hf", tower="both")
    convert(towers[1], tmp_path / "tf1", "tf1")
    expected = read_run(tmp_path / "run").weights
    for number, generator in enumerate((towers[1], tmp_path / "tf1")):
        weights, _, _ = begun(
            quick_data, tmp_path / str(number), model, tiny_recipe, Start(towers[0], {"generator": generator})
        )
        for name, array in expected.items():
            np.testing.assert_array_equal(weights[name], array, err_msg=name)
