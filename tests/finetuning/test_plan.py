"""What a run on a file does before it trains: what it says of the rows, how long and how fast it will train."""

import dataclasses
import io

import pytest

from electra_tf.errors import ConfigError
from electra_tf.finetuning.classification import Classification, Multilabel, Regression
from electra_tf.finetuning.labelled_data_checks import survey
from electra_tf.finetuning.layer_rates import rate_of, usual_rates
from electra_tf.finetuning.records import Record
from electra_tf.finetuning.run import _Data, _held_out, _summary, finetune
from electra_tf.finetuning.settings import FineTuning
from electra_tf.models.config import EncoderConfig
from electra_tf.models.presets import preset
from electra_tf.optimizers.adamw import AdamW
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.recipe import Recipe

TWO = Classification(("0", "1"), (1.0, 1.0))


@pytest.fixture
def tokenizer(quick_vocab):
    return Tokenizer.from_pretrained(quick_vocab)


def rows(*texts, label="0"):
    return [Record(text if isinstance(text, tuple) else (text,), label, "a.csv, line 2") for text in texts]


def test_what_is_cut_is_what_no_row_holds(tokenizer):
    """[CLS] and one [SEP] beside a text, two beside a pair; the rows themselves are the reference."""
    for text, length in (
        (("sea " * 14,), 16),
        (("sea " * 15,), 16),
        (("sea " * 7, "sea " * 6), 16),
        (("sea " * 9,) * 2, 16),
    ):
        records = rows(text)
        found, (ids,) = survey(records, TWO, length, tokenizer), TWO.split(records, tokenizer, length).rows.ids[0]
        whole = sum(len(part.split()) for part in text)
        held = len(ids) - 1 - len(text)
        assert found.lost == pytest.approx((whole - held) / whole) and found.cut == (held < whole)


def test_windows_lose_nothing_and_longer_texts_are_counted(tokenizer):
    task = dataclasses.replace(TWO, long="windows")
    found = survey(rows("sea " * 14, "sea " * 15), task, 16, tokenizer)
    assert (found.cut, found.lost, found.longer) == (0, 0, 1)


def test_repeated_contradictory_and_empty_rows_are_counted(tokenizer):
    train = rows("the sea", "the island", ("the man")) + rows("the sea", label="1")
    found = survey(train, TWO, 32, tokenizer)
    assert (found.contradictory, found.repeated, found.empty) == (1, 0, 0)
    dev = survey(rows("the sea", "his house", " "), TWO, 32, tokenizer, train)
    assert (dev.repeated, dev.empty) == (1, 1)
    lines = dev.lines("dev", numbers=False)
    assert "  1 rows whose text is in the training file" in lines and "  1 empty texts" in lines
    assert survey(rows(("the sea", " ")), TWO, 32, tokenizer).empty == 1


def test_what_is_written_in_two_ways_does_not_contradict_itself(tokenizer):
    sets = rows("sea", label="a|b") + rows("sea", label="b | a")
    assert survey(sets, Multilabel(("a", "b"), (1.0, 1.0)), 32, tokenizer).contradictory == 0
    numbers = rows("sea", label="1") + rows("sea", label="1.0")
    assert survey(numbers, Regression(0.0, 1.0), 32, tokenizer).contradictory == 0
    assert survey(numbers, Classification(("1", "1.0"), (1.0, 1.0)), 32, tokenizer).contradictory == 1


def plan_of(count, tokenizer, tmp_path, **settings):
    """The plan of a run on so many rows, in batches of 32."""
    lines = [f"the sea,{number % 2}\n" for number in range(count)]
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(lines))
    (tmp_path / "dev.csv").write_text("text,label\n" + "".join(lines[:8]))
    files = {"train": str(tmp_path / "train.csv"), "dev": str(tmp_path / "dev.csv")}
    config = EncoderConfig(vocab_size=len(tokenizer))
    data = _Data(FineTuning(**files, **settings), AdamW(), config, tokenizer, lambda _: None)
    return data.plan(Recipe(batch_size=32))


@pytest.mark.parametrize(
    ("rows", "settings", "steps", "every"),
    [
        (320, {}, 200, 5),  # 10 steps an epoch; 20 epochs are fewer than 1,500 updates; scored twice an epoch
        (3200, {}, 1500, 50),  # 15 epochs
        (32_000, {}, 3000, 500),  # 3 epochs
        (320, {"least_updates": 0}, 30, 5),
        (64, {}, 40, 2),  # in the smallest files, twenty times in all
        (320, {"most_epochs": 1e6}, 1500, 5),  # however small the file
    ],
)
def test_how_long_and_how_often(rows, settings, steps, every, tokenizer, tmp_path):
    recipe = plan_of(rows, tokenizer, tmp_path, **settings).recipe
    assert recipe.steps == steps
    assert recipe.eval_every == recipe.checkpoint_every == every


def test_rates_follow_from_the_size():
    """The table of the reference: by encoder parameters; one rate where layers are shared."""
    expected = {"electra_tiny": (3e-4, 0.9), "electra_small": (3e-4, 0.8), "electra_base": (1e-4, 0.8)}
    expected |= {"electra_large": (5e-5, 0.9), "albert_base_v2": (2e-5, 1.0)}
    assert {name: usual_rates(preset(name).encoder) for name in expected} == expected


def test_each_layer_has_its_share_of_the_rate():
    config = EncoderConfig(num_hidden_layers=12)
    rates = [rate_of(f"encoder/transformer/block_{layer}/attention/qkv/kernel", config, 0.8) for layer in (11, 10, 0)]
    assert rates == pytest.approx([0.8, 0.8**2, 0.8**12])
    assert rate_of("encoder/embeddings/word", config, 0.8) == pytest.approx(0.8**13)
    assert rate_of("classifier/dense/kernel", config, 0.8) == 1.0
    assert rate_of("encoder/transformer/block_11/x", config, 0.8, decay_gap=True) == pytest.approx(0.8**2)


def test_a_tenth_of_each_class_is_held_out():
    records = rows(*map(str, range(200)), label="a") + rows(*map(str, range(50)), label="b") + rows("x", label="c")
    held = [records[place].label for place in _held_out(records, "classification", FineTuning())]
    assert (held.count("a"), held.count("b"), held.count("c")) == (20, 5, 0)
    assert [*_held_out(records, "classification", FineTuning())] == [
        *_held_out(records, "classification", FineTuning())
    ]
    assert {*_held_out(records, "classification", FineTuning(held_out_seed=1))} != {
        *_held_out(records, "classification", FineTuning())
    }


class Told:
    """What `_summary` asks of the data."""

    called, select = "classification", "accuracy"
    commonest, hashes = (lambda self: 0.5), (lambda self: {})


def test_failed_seeds_are_counted_and_left_out_of_the_middle_but_told():
    runs = {n: {"seed": n, "dev": {"accuracy": a}, "failed": a <= 0.5} for n, a in enumerate((0.8, 0.5, 0.9, 0.7))}
    found = _summary(Told(), runs)
    assert found["failed"] == 1 and found["median"] == 0.8 and found["best"] == 0.9
    assert found["mean"] == pytest.approx(0.8) and found["deviation"] == pytest.approx(0.1)
    assert found["mean_of_all"] == pytest.approx(0.725)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"compat": ("answerable_windows",)}, "answerable_windows for span alone; learned is classification"),
        ({"task": "tagging", "compat": ("first_keeps_odd",)}, "first_keeps_odd for classification, multilabel"),
        ({"task": "choice", "head": "google"}, "'transformers' for choices"),
        ({"data": "GLUE"}, "None but for a published task"),
        ({"label_scale": 5.0}, "None but for regression"),
        ({"task": "regression", "label_scale": 0.0}, "more than 0, or None"),
    ],
)
def test_a_setting_that_would_make_no_difference_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        FineTuning(train="a.csv", **settings)


@pytest.mark.parametrize(
    "changed", [{"eval_every": 10}, {"checkpoint_every": 7}, {"keep": 9}, {"eval_examples": 3}, {"seed": 4}]
)
def test_what_of_a_recipe_is_settled_otherwise_is_refused(changed, electra, tmp_path):
    with pytest.raises(ConfigError, match=f"{next(iter(changed))} is "):
        finetune(FineTuning(train="a.csv"), tmp_path, electra, recipe=Recipe(**changed), stream=io.StringIO())


def test_a_moment_that_follows_from_tokens_is_of_pre_training(electra, tmp_path):
    optimizer = AdamW(beta_2="auto")
    with pytest.raises(ConfigError, match="beta_2 is 'auto'"):
        finetune(FineTuning(train="a.csv"), tmp_path, electra, optimizer=optimizer, stream=io.StringIO())


def test_numbers_are_learned_as_the_original_scales_them():
    numbers = rows("sea", label="0") + rows("the sea", label="5")
    task = Regression.of(numbers, scale=5.0)
    assert task.targets(numbers)["target"].tolist() == [0.0, 1.0] and task.answers()["multiply"] == 5.0
    assert task.answers()["add"] == 0.0
    assert Regression.of(numbers).targets(numbers)["target"].tolist() == [-1.0, 1.0]


def test_a_metric_that_three_classes_lack_is_refused_before_training(electra, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"the sea,{n % 3}\n" for n in range(30)))
    settings = FineTuning(train=str(tmp_path / "a.csv"), dev=str(tmp_path / "a.csv"), select="f1")
    with pytest.raises(ConfigError, match="one of accuracy, macro_f1, matthews"):
        finetune(settings, tmp_path / "run", electra, stream=io.StringIO())


def test_a_model_of_one_segment_reads_no_pairs(tokenizer, tmp_path):
    (tmp_path / "a.csv").write_text("a,b,label\n" + "sea,the sea,0\nsea,his house,1\n" * 8)
    settings = FineTuning(train=str(tmp_path / "a.csv"), dev=str(tmp_path / "a.csv"), text=("a", "b"))
    config = EncoderConfig(vocab_size=len(tokenizer), type_vocab_size=1)
    with pytest.raises(ConfigError, match="one kind of segment"):
        _Data(settings, AdamW(), config, tokenizer, lambda _: None)
    _Data(dataclasses.replace(settings, text=("a",)), AdamW(), config, tokenizer, lambda _: None)
