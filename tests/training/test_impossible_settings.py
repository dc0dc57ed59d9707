"""Settings that no run can have are refused before it begins, wherever they come from."""

import pytest
from in_process import run_command

from electra_tf.cli.gin_files import configured
from electra_tf.errors import ConfigError
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.run import pretrain, settings_of
from electra_tf.settings import check_parallel
from electra_tf.training.devices import Devices, is_chief, make_strategy, use_threads
from electra_tf.training.recipe import Recipe

IMPOSSIBLE = [
    "Recipe.eval_every = -1",
    "Recipe.eval_seed = -1",
    "Recipe.eval_examples = -5",
    "Recipe.milestone_every = -1",
    f"Recipe.eval_examples = {10**30}",
    f"Recipe.batch_size = {10**9}",
    f"Recipe.steps = {'9' * 400}",
    f"Recipe.steps = {2**63}",
    f"Schedule.warmup_steps = {'9' * 400}",
    "Schedule.peak = 1e999",
    "Schedule.power = 1e999",
    "AdamW.epsilon = 1e999",
    "AdamW.weight_decay = 1e999",
    "Masking.mask_prob = 1e999",
    "Masking.max_predictions = 129",
    "Electra.mlm_weight = 1e999",
    "Electra.disc_weight = -1.0",
    "Electra.temperature = 1e999",
    "Electra.generator_width = 1e999",
    "Electra.generator_depth = 1e999",
    "Electra.discriminator = {'vocab_size': 5}",
    f"Electra.discriminator = {{'num_hidden_layers': {10**8}}}",
    "Electra.discriminator = {'type_vocab_size': 1}",
    "Electra.discriminator = {'layer_norm_eps': 'x'}",
    "Electra.discriminator = {'layer_norm_eps': None}",
    "Electra.discriminator = {'initializer_range': None}",
    "Electra.discriminator = {'hidden_dropout_prob': 'x'}",
    "Electra.discriminator = {1: 2}",
]


@pytest.mark.parametrize("param", IMPOSSIBLE, ids=lambda param: param[:40])
def test_a_setting_that_no_run_can_have_is_refused(param):
    """Each by its name; at the latest where data of 8,000 tokens and rows of 128 are known."""
    name = param.split(" = ")[0].split(".")[1]
    names = (
        "encoder field 1|vocab_size|num_hidden_layers|layer_norm_eps|initializer_range|hidden_dropout"
        if "{" in param
        else name
    )
    with pytest.raises(ConfigError, match=names):
        (_, model, masking, *_), _ = configured(Recipe, settings_of, [], [param])
        model.towers(8000)
        masking.predictions(128)


def test_more_masks_than_a_row_of_the_data_has_are_refused_before_anything_is_written(quick_data, tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)max_predictions is 33.*at most 32"):
        pretrain(quick_data, tmp_path / "run", masking=Masking(max_predictions=33))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 2**53, -(2**53)])
def test_numbers_of_a_program_are_checked_too(value):
    with pytest.raises(ConfigError, match=r"a finite number|a number below"):
        Recipe(steps=value)


@pytest.mark.parametrize("count", [-1, 10**5, 10**30])
def test_a_machine_is_not_asked_for_thousands_of_threads_processes_or_devices(count):
    with pytest.raises(ConfigError, match=f"{count} threads were asked for"):
        use_threads(count)
    with pytest.raises(ConfigError, match=f"{count} devices were asked for"):
        make_strategy("mirrored", count)
    with pytest.raises(ConfigError, match=f"{count} processes were asked for"):
        check_parallel(count, "processes")


CLUSTERS = {
    "no object": "[]",
    "no JSON": "{",
    "deep": "[" * 100_000,
    "no addresses": '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
    "a number below 0": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
    "no number": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "0"}}',
    "true": '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": true}}',
    "no port": '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
    "port x": '{"cluster": {"worker": ["a:x"]}, "task": {"type": "worker", "index": 0}}',
    "port 99999": '{"cluster": {"worker": ["a:99999"]}, "task": {"type": "worker", "index": 0}}',
    "one address twice": '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
    "two chiefs": '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
    "parameter servers": '{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
    "an evaluator": '{"cluster": {"worker": ["b:1"]}, "task": {"type": "evaluator", "index": 0}}',
}


@pytest.mark.parametrize("value", CLUSTERS.values(), ids=CLUSTERS)
def test_a_cluster_that_cannot_be_is_refused_before_tensorflow_waits_for_it(value, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", value)
    for ask in (lambda: make_strategy("multi_worker"), lambda: is_chief(Devices("multi_worker").strategy)):
        with pytest.raises(ConfigError, match="it does not describe a cluster") as told:
            ask()
        assert "what to do" in str(told.value)


COMMANDS = [
    ["data", "--length", "16385"],
    ["data", "--length", "500000000"],
    ["data", "--length", "-5"],
    ["data", "--length", "1" + "0" * 30],
    ["data", "--processes", "1000000"],
    ["data", "--processes", "-1"],
    ["data", "--seed", "-1"],
    ["data", "--held_out", "nan"],
    ["vocab", "--size", "1000000000"],
    ["vocab", "--size", "-1"],
    ["vocab", "--size", "1" + "0" * 30],
    ["vocab", "--unused", "1000000000"],
    ["vocab", "--kind", "sentencepiece", "--size", "1" + "0" * 30],
    ["vocab", "--kind", "sentencepiece", "--size", "9000000"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_says_that_a_number_is_impossible_and_leaves_nothing(words, quick_vocab, tmp_path):
    (tmp_path / "a.txt").write_text("the sea\n\nthe ship\n" * 20)
    given = ["--vocab", quick_vocab] if words[0] == "data" else ["--size", "9000"] * ("--size" not in words)
    output = ["--input", tmp_path / "a.txt", "--output", tmp_path / "out"]
    done = run_command(words[0], *output, *given, *words[1:])
    assert done.returncode == 2, done.stderr
    assert words[-2].removeprefix("--") in done.stderr and "nobody foresaw" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"a.txt", "out.building"}
