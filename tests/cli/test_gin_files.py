import dataclasses
import io
import math

import pytest

from electra_tf.cli.gin_files import configured, find_gin_file, gin_folders
from electra_tf.errors import ConfigError
from electra_tf.models.presets import PRESETS
from electra_tf.training.recipe import Model, Recipe
from electra_tf.training.run import pretrain

FILES = sorted(path.relative_to(gin_folders()[0]) for path in gin_folders()[0].rglob("*.gin"))
SMALL = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "max_position_embeddings": 32,
}
SHORT = {"steps": 2, "batch_size": 4, "eval_examples": 8, "compiler": "eager"}


def read(*files, params=()):
    return configured([Model, Recipe], [str(file) for file in files], params)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_describes_the_preset_of_its_name(file):
    (model, _), _ = read(file)
    assert model.preset == file.stem
    published = PRESETS[file.stem]
    config = model.electra_config(published.encoder.vocab_size)
    expected = published.encoder, published.generator
    if file.as_posix() == "pretrain/electra_tiny.gin":  # its recipe is so short that it does without dropout
        off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        expected = tuple(tower.replace(**off) for tower in expected)
    assert (config.discriminator, config.generator) == expected


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_opens_with_a_comment_and_a_recipe_says_what_must_be_given(file):
    text = find_gin_file(str(file)).read_text()
    assert text.startswith("# ")
    if file.parts[0] == "pretrain":
        assert "--data" in text.split("\n\n")[0]
        assert "Commonly overridden" in text


def _shrinkable():
    """Every recipe, and the models that no recipe includes."""
    recipes = [file for file in FILES if file.parts[0] == "pretrain"]
    return recipes + [
        file for file in FILES if file.parts[0] == "models" and file.name not in {r.name for r in recipes}
    ]


@pytest.mark.parametrize("file", _shrinkable(), ids=str)
def test_a_file_runs_two_shrunken_steps(file, quick_data, tmp_path):
    (model, recipe), _ = read(file)
    model = dataclasses.replace(model, discriminator=SMALL, generator_depth=1.0)
    recipe = dataclasses.replace(recipe, **SHORT)
    result = pretrain(quick_data, tmp_path / "run", model, recipe, stream=io.StringIO())
    assert (result["step"], result["finished"]) == (2, True)
    assert math.isfinite(result["mlm_loss"])


@pytest.mark.parametrize(
    "name, steps, batch_size, learning_rate, warmup, mask_prob",
    [
        ("electra_small", 1_000_000, 128, 5e-4, 10_000, 0.15),
        ("electra_small_plus_plus", 4_000_000, 128, 5e-4, 10_000, 0.15),
        ("electra_base", 766_000, 256, 2e-4, 10_000, 0.15),
        ("electra_large", 400_000, 2048, 2e-4, 10_000, 0.25),
    ],
)
def test_recipes_are_those_published(name, steps, batch_size, learning_rate, warmup, mask_prob):
    (model, recipe), _ = read(name)
    found = (recipe.steps, recipe.batch_size, recipe.learning_rate, recipe.warmup_steps, model.mask_prob)
    assert found == (steps, batch_size, learning_rate, warmup, mask_prob)
    assert (recipe.schedule, recipe.bias_correction, recipe.weight_decay, recipe.clip_norm) == (
        "product",
        False,
        0.01,
        1,
    )


def test_parameters_override_files_and_later_files_earlier_ones(tmp_path):
    (tmp_path / "mine.gin").write_text("Recipe.steps = 7\nRecipe.seed = 3\n")
    (_, recipe), _ = read("electra_tiny", tmp_path / "mine.gin", params=["Recipe.seed = 9"])
    assert (recipe.steps, recipe.seed, recipe.batch_size) == (7, 9, 64)


def test_folders_of_the_users_with_the_names_of_ours_do_not_matter(tmp_path, monkeypatch):
    """Such a folder, where Python finds packages, is one to gin."""
    (tmp_path / "models").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (model, _), _ = read("electra_small")
    assert model.preset == "electra_small"


def test_macros_work(tmp_path):
    (tmp_path / "mine.gin").write_text("n = 40\nRecipe.steps = %n\nRecipe.log_every = %n\n")
    (_, recipe), _ = read(tmp_path / "mine.gin")
    assert (recipe.steps, recipe.log_every) == (40, 40)


def test_the_operative_text_gives_the_same_settings_by_itself(tmp_path):
    first, text = read(
        "electra_large", params=["Model.discriminator = {'hidden_size': 512}", "Recipe.clip_norm = None"]
    )
    (tmp_path / "operative_config.gin").write_text(text)
    assert read(tmp_path / "operative_config.gin") == (first, text)


def test_a_whole_number_does_where_a_number_is_wanted():
    (_, recipe), _ = read(params=["Recipe.learning_rate = 1"])
    assert recipe.learning_rate == 1


@pytest.mark.parametrize(
    "binding, words",
    [
        ("Recipe.stepz = 3", "stepz"),
        ("Recipes.steps = 3", "Recipes"),
        ("steps = 3", "nothing uses steps"),
        ("other/Recipe.steps = 3", "nothing uses other/Recipe.steps"),
        ("gin.singleton.constructor = 3", "nothing uses singleton.constructor"),
        ("Recipe.steps = %many", "many"),
        ("Recipe.steps = 1.5", "Recipe.steps is 1.5"),
        ("Recipe.bias_correction = 1", "Recipe.bias_correction is 1"),
        ("Recipe.seed = True", "Recipe.seed is True"),
        ("Model.discriminator = 'wide'", "Model.discriminator is 'wide'"),
        ("Recipe.steps", "Recipe.steps"),
        ("include 'nothing.gin'", "nothing.gin"),
    ],
)
def test_what_is_unknown_unused_or_of_another_type_is_refused_with_its_place(binding, words):
    with pytest.raises(ConfigError, match=words) as error:
        read("electra_tiny", params=[binding])
    assert binding in error.value.where
    assert "electra_tiny.gin" in error.value.where


def test_a_refused_binding_does_not_stay_behind():
    with pytest.raises(ConfigError):
        read(params=["Recipe.steps = 3", "Recipe.stepz = 3"])
    (_, recipe), _ = read()
    assert recipe == Recipe()


def test_an_unknown_file_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match="electra_small_plus_plus"):
        read("electra_smal")
