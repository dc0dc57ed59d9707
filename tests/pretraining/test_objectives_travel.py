"""Runs of every objective: what they leave goes to TF-V1 and transformers' folders, and starts other runs."""

import dataclasses
import io
import json

import numpy as np
import pytest

from electra_tf.checkpoints import read_model
from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.google_albert import read_albert
from electra_tf.checkpoints.google_electra import read_tf1
from electra_tf.checkpoints.metrics_jsonl import read_metrics
from electra_tf.checkpoints.run_checkpoints import list_checkpoints, read_checkpoint
from electra_tf.checkpoints.run_directory import read_run
from electra_tf.checkpoints.shared_tables import with_copies
from electra_tf.checkpoints.translation import with_tower_called
from electra_tf.data.builder import build_data
from electra_tf.errors import CheckpointError, ConfigError, DataError
from electra_tf.optimizers.lamb import Lamb
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.run import pretrain
from electra_tf.pretraining.settings import Electra, MaskedLM
from electra_tf.training.initial_weights import Start
from electra_tf.training.recipe import Recipe

SIZES = {
    "embedding_size": 8,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
RECIPE = Recipe(
    steps=2, batch_size=8, compiler="eager", log_every=1, checkpoint_every=2, eval_every=2, eval_examples=16
)
SETTINGS = {
    "electra": Electra(discriminator=SIZES, generator={"hidden_size": 64, "intermediate_size": 32}),
    "shared generator": Electra(discriminator=SIZES, generator_kind="shared"),
    "two towers": Electra(discriminator=SIZES, generator_kind="two_towers", generator_width=1.0),
    "electric": Electra(discriminator=SIZES, generator_kind="two_towers", judged="electric", generator_width=1.0),
    "uniform": Electra(discriminator=SIZES, generator_kind="uniform"),
    "masked LM": MaskedLM(encoder=SIZES),
    "albert": MaskedLM("albert_base_v2", SIZES, order_weight=1.0),
}
# What every model's folder of transformers is there.
CLASSES = {
    "electra": {"discriminator": "ElectraForPreTraining", "generator": "ElectraForMaskedLM"},
    "shared generator": {"discriminator": "ElectraForPreTraining", "generator": "ElectraForMaskedLM"},
    "two towers": {"discriminator": "ElectraForPreTraining"},
    "electric": {"discriminator": "ElectraForPreTraining"},
    "uniform": {"discriminator": "ElectraForPreTraining"},
    "masked LM": {"generator": "ElectraForMaskedLM"},
    "albert": {"generator": "AlbertForPreTraining"},
}


@pytest.fixture(scope="module")
def pairs(quick_text, quick_vocab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "data"
    build_data(quick_text, quick_vocab, folder, length=32, held_out=0.05, pairs=True, processes=0)
    return folder


QUICK = ("albert",)


@pytest.fixture(scope="module")
def runs(pairs, tmp_path_factory):
    """A function: the directory of a finished run of an objective. Not to be changed."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("runs") / "run"
            optimizer = Lamb() if name == "albert" else None
            schedule = Schedule(warmup_steps=0)
            options = {"schedule": schedule, "optimizer": optimizer, "stream": io.StringIO()}
            pretrain(pairs, made[name], SETTINGS[name], RECIPE, **options)
        return made[name]

    return of


@pytest.fixture(params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS])
def case(request):
    return request.param


def test_a_run_says_what_it_is_and_how_it_goes(case, runs):
    run = json.loads((runs(case) / "run.json").read_text())
    settings = SETTINGS[case]
    assert run["settings"]["Recipe"]["objective"] == ("electra" if isinstance(settings, Electra) else "masked_lm")
    assert run["settings"][type(settings).__name__]["preset"] == settings.preset
    assert ("Lamb" if case == "albert" else "AdamW") in run["settings"]
    assert list(run["towers"]) == list(settings.towers(500))
    lines = read_metrics(runs(case) / "metrics.jsonl")
    assert [line["kind"] for line in lines] == ["train", "train", "eval"]
    assert all(np.isfinite(value) for line in lines for name, value in line.items() if name not in ("kind", "wall"))
    assert ("order_accuracy" in lines[-1]) == (case == "albert")


def test_all_of_it_goes_to_tf1_and_back_bit_for_bit_with_slots_and_step(case, runs, tmp_path):
    run = read_run(runs(case))
    (prefix,) = convert(runs(case), tmp_path / "tf1", "tf1")
    found = read_albert(prefix) if case == "albert" else read_tf1(prefix)
    assert found.step == 2
    for ours, theirs in ((run.weights, found.weights), (run.slots_m, found.slots_m), (run.slots_v, found.slots_v)):
        theirs = with_tower_called(theirs, "encoder", "generator")
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            np.testing.assert_array_equal(theirs[name], array, err_msg=name)


def test_each_tower_goes_to_a_folder_of_transformers_and_to_tf1(case, runs, tmp_path):
    weights = read_run(runs(case)).weights
    for tower, name in CLASSES[case].items():
        (folder,) = convert(runs(case), tmp_path / tower, tower=None if case in ("masked LM", "albert") else tower)
        found = read_model(folder)
        assert json.loads((folder / "config.json").read_text())["architectures"] == [name]
        assert "learned" in (folder / "README.md").read_text()
        for weight, array in found.tower_weights().items():
            if weight in weights:
                np.testing.assert_array_equal(array, weights[weight], err_msg=weight)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two towers", "electric"])
@pytest.mark.parametrize("to", ["safetensors", "h5", "keras"])
def test_two_towers_are_refused_by_what_cannot_hold_them(name, to, runs, tmp_path):
    with pytest.raises(CheckpointError, match=r"two towers, which no class[\s\S]*--to tf1"):
        convert(runs(name), tmp_path / "out", to, tower="generator")


def test_a_run_starts_from_one_of_its_kind_and_from_its_tf1(case, runs, pairs, tmp_path):
    """From TF-V1 with its moments."""
    run = read_run(runs(case))
    (prefix,) = convert(runs(case), tmp_path / "tf1", "tf1")
    expected, recipe = run.weights, Recipe(steps=1, batch_size=8, compiler="eager", eval_examples=0)
    for number, start in enumerate((Start(runs(case)), Start(prefix, slots=True))):
        folder, stream = tmp_path / str(number), io.StringIO()
        # Not even a weight of 0 moves: a key's bias has gradients of 1e-14.
        schedule = Schedule(peak=1e-40, warmup_steps=0)
        pretrain(pairs, folder, SETTINGS[case], recipe, schedule=schedule, start=start, stream=stream)
        _, state = read_checkpoint(list_checkpoints(folder)[-1][1])
        for name, array in expected.items():
            np.testing.assert_array_equal(state[f"weights/{name}"], array, err_msg=name)
        assert f"{len(expected)} of {len(expected)} weights are taken over" in stream.getvalue()
    after = read_run(folder)
    for weight, array in run.slots_v.items():  # one step keeps 999 parts in 1000
        assert np.all(after.slots_v[weight] >= 0.998 * array), weight


@pytest.mark.slow
def test_a_masked_lm_starts_from_a_discriminators_encoder_and_a_discriminator_from_a_masked_lm(runs, pairs, tmp_path):
    """The head that is missing starts anew; for the generator the other way round must be said."""
    recipe = Recipe(steps=1, batch_size=8, compiler="eager", eval_examples=0)
    options = {"schedule": Schedule(peak=1e-40, warmup_steps=0), "stream": io.StringIO()}
    pretrain(pairs, tmp_path / "mlm", SETTINGS["masked LM"], recipe, start=Start(runs("uniform")), **options)
    key = "transformer/block_0/attention/qkv/kernel"
    ours, theirs = read_run(tmp_path / "mlm").weights, read_run(runs("uniform")).weights
    np.testing.assert_array_equal(ours[f"generator/{key}"], theirs[f"discriminator/{key}"])
    assert "masked_lm/output_bias  starts anew" in (tmp_path / "mlm" / "initial_weights.txt").read_text()
    pretrain(pairs, tmp_path / "uniform", SETTINGS["uniform"], recipe, start=Start(runs("masked LM")), **options)
    ours, theirs = read_run(tmp_path / "uniform").weights, read_run(runs("masked LM")).weights
    np.testing.assert_array_equal(ours[f"discriminator/{key}"], theirs[f"generator/{key}"])


def test_a_generator_of_two_towers_that_is_missing_is_asked_for(runs, pairs, tmp_path):
    with pytest.raises(ConfigError, match="there is no generator_ltr to start from") as error:
        pretrain(pairs, tmp_path / "run", SETTINGS["two towers"], RECIPE, start=Start(runs("uniform")))
    assert error.value.remedy.startswith("name such a one with --init_checkpoint")


@pytest.mark.slow
def test_what_electric_gives_is_an_energy_and_said_to_be(runs, tmp_path, capsys):
    """Of its run, and of the folder that comes from it: no probability of having been replaced."""
    from electra_tf.cli.main import main

    (folder,) = convert(runs("electric"), tmp_path / "hf", tower="discriminator")
    assert json.loads((folder / "config.json").read_text())["electra_tf"] == {"judged": "electric"}
    assert "is an energy (Electric)" in (folder / "README.md").read_text()
    (again,) = convert(folder, tmp_path / "again", "bin")
    for model in (runs("electric"), folder, again):
        with pytest.raises(SystemExit) as ended:
            main(["detect", "--input", str(model), "the river"])
        assert ended.value.code == 2
        assert "an energy, and not whether it was replaced" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "shared",
    [
        {"share_layers": True},
        {"share_projection": True},
        {"share_layers": True, "share_projection": True},
        {"share_layers": True, "embedding_sharing": "none"},
        {"share_layers": True, "generator_kind": "two_towers"},
        {"share_layers": True, "share_projection": True, "generator_kind": "two_towers"},
    ],
    ids=str,
)
def test_towers_that_share_layers_or_projection_are_the_same_towers_in_tf1(shared, quick_data, tmp_path):
    generator = {"hidden_size": 64, "intermediate_size": 32, "num_attention_heads": 1, "embedding_size": 8}
    settings = Electra(discriminator=SIZES, generator=generator, **shared)
    options = {"schedule": Schedule(warmup_steps=0), "stream": io.StringIO()}
    pretrain(quick_data, tmp_path / "run", settings, RECIPE, **options)
    run = read_run(tmp_path / "run")
    (prefix,) = convert(tmp_path / "run", tmp_path / "tf1", "tf1")
    found = read_tf1(prefix)
    ours, theirs = with_copies(run.weights, run.shared), with_copies(found.weights, run.shared)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)
    assert {name.partition("/")[0] for name in run.weights} <= {name.partition("/")[0] for name in theirs}


@pytest.mark.slow
def test_an_albert_beside_an_electra_is_refused_as_tf1(quick_data, tmp_path):
    generator = {"model_type": "albert", "hidden_size": 64, "intermediate_size": 32, "hidden_act": "gelu_new"}
    settings = Electra(discriminator=SIZES, generator=generator)
    pretrain(quick_data, tmp_path / "run", settings, RECIPE, stream=io.StringIO(), schedule=Schedule(warmup_steps=0))
    with pytest.raises(CheckpointError, match=r"the generator is an ALBERT: Google's code has no[\s\S]*--tower"):
        convert(tmp_path / "run", tmp_path / "tf1", "tf1")
    assert not (tmp_path / "tf1").exists()
    assert convert(tmp_path / "run", tmp_path / "alone", "tf1", tower="generator")


@pytest.mark.slow
def test_a_run_of_a_frozen_generator_goes_on_without_what_it_was_frozen_from(runs, pairs, tmp_path):
    settings = Electra(
        discriminator=SIZES,
        generator={"hidden_size": 64, "intermediate_size": 32, "embedding_size": 8},
        embedding_sharing="none",
        freeze_generator=True,
    )
    start, schedule = Start(runs("uniform"), {"generator": runs("electra")}), Schedule(warmup_steps=0)
    for steps, given in ((2, start), (3, None)):
        recipe = dataclasses.replace(RECIPE, steps=steps)
        options = {"schedule": schedule, "start": given, "extend": True, "stream": io.StringIO()}
        assert pretrain(pairs, tmp_path / "run", settings, recipe, **options)["step"] == steps


def test_sentence_order_needs_pairs(quick_data, tmp_path):
    with pytest.raises(DataError, match=r"no pairs of segments[\s\S]*data --pairs"):
        pretrain(quick_data, tmp_path / "run", SETTINGS["albert"], RECIPE)
    assert not (tmp_path / "run").exists()


def test_without_sentence_order_an_albert_learns_from_any_data(quick_data, tmp_path):
    settings = MaskedLM("albert_base_v2", SIZES)
    result = pretrain(
        quick_data, tmp_path / "run", settings, RECIPE, masking=Masking(unit="span"), stream=io.StringIO()
    )
    assert result["finished"]
    assert read_model(tmp_path / "run").name == "AlbertForMaskedLM"


def test_a_frozen_generator_needs_one_that_is_trained(pairs, tmp_path):
    settings = Electra(discriminator=SIZES, embedding_sharing="none", freeze_generator=True)
    with pytest.raises(ConfigError, match=r"the generator is frozen[\s\S]*--init_generator"):
        pretrain(pairs, tmp_path / "run", settings, RECIPE)


def test_a_unit_that_the_vocabulary_cannot_tell_is_refused(quick_text, tmp_path):
    """A vocabulary of whole words and characters, without a mark of where words begin."""
    from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer

    words = sorted({word for word in quick_text.read_text().lower().split() if word.isalpha()})[:200]
    WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]).save(tmp_path / "vocab")
    build_data(quick_text, tmp_path / "vocab", tmp_path / "data", length=32, held_out=0.05, processes=0)
    with pytest.raises(ConfigError, match=r"does not tell where words begin[\s\S]*Masking.unit = 'token'"):
        pretrain(tmp_path / "data", tmp_path / "run", SETTINGS["masked LM"], RECIPE, masking=Masking(unit="word"))
