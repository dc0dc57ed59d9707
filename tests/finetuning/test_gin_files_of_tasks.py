"""Experiment files of fine-tuning: each is read, names its task, and has the numbers of the code that it is of."""

import pytest

from electra_tf.cli.gin_files import configured, gin_folders
from electra_tf.finetuning.published import PUBLISHED
from electra_tf.finetuning.settings import COMPAT, FineTuning
from electra_tf.optimizers import OPTIMIZERS
from electra_tf.training.recipe import Recipe

FILES = sorted(path.stem for path in (gin_folders()[0] / "finetune").glob("*.gin"))
USUAL = ["Recipe.batch_size = 32", "AdamW.bias_correction = True", "AdamW.weight_decay = 0.5"]
# What the originals' code says: epochs or updates, batch, peak rate; warm-up of its steps.
NUMBERS = {
    "electra_cola": (3.0, 32, 1e-4, 0.1),
    "electra_stsb": (10.0, 32, 1e-4, 0.1),
    "electra_squad2": (2.0, 32, 1e-4, 0.1),
    "albert_sst2": (20935, 32, 1e-5, 1256),
    "albert_mnli": (10000, 128, 3e-5, 1000),
    "albert_race": (12000, 32, 1e-5, 1000),
    "alectra_mrpc": (10.0, 128, 1e-4, 0.1),
    "alectra_stsb": (3.0, 16, 1e-4, 0.1),
    "koelectra_kornli": (15.0, 64, 5e-5, 0),
    "koelectra_korquad": (7.0, 8, 5e-5, 0),
}


def read(name, *params):
    others = lambda recipe: [FineTuning, OPTIMIZERS[recipe.optimizer]]  # noqa: E731
    return configured(Recipe, others, [f"finetune/{name}"], params, USUAL)[0]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_and_names_its_task(name):
    recipe, settings, optimizer = read(name)
    system, _, task = name.partition("_")
    assert settings.task == task in PUBLISHED and recipe.batch_size in (8, 16, 32, 48, 64, 128)
    assert optimizer.bias_correction == (system not in ("electra", "albert")) and set(settings.compat) <= {*COMPAT}
    is_google = system in ("electra", "albert") and "race" not in task  # whose head is the same
    assert settings.head == ("google" if is_google else "transformers")
    assert optimizer.weight_decay == {"koelectra": 0.0, "electra": 0.01, "albert": 0.01}.get(system, 0.5)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_are_those_of_the_code(name):
    length, batch, peak, warmup = NUMBERS[name]
    recipe, settings, _ = read(name)
    assert (recipe.batch_size, settings.peak) == (batch, peak)
    if name.startswith("albert"):
        assert settings.least_updates == length and round(length * settings.warmup) == warmup
    else:
        assert (settings.epochs, settings.least_updates, settings.warmup) == (length, 0, warmup)


def test_a_file_overrides_what_is_usual_and_a_parameter_the_file():
    recipe, settings, optimizer = read("albert_mnli", "Recipe.batch_size = 7", "FineTuning.class_weights = {'a': 2.0}")
    assert recipe.batch_size == 7 and settings.class_weights == {"a": 2.0} and not optimizer.bias_correction
    recipe, _, optimizer = read("koelectra_nsmc")
    assert recipe.batch_size == 32 and optimizer.weight_decay == 0.0
