"""The gin files that come along run and say what was published; what is unknown in a user's is refused in words."""

import dataclasses
import io
import math
import re

import pytest

from electra_tf.cli.gin_files import configured, find_gin_file, gin_folders
from electra_tf.errors import ConfigError
from electra_tf.models.generator_size import generator_config
from electra_tf.models.presets import PRESETS
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.lamb import Lamb
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.run import pretrain, settings_of
from electra_tf.pretraining.settings import Electra, MaskedLM
from electra_tf.training.recipe import Recipe

_ALL = (path.relative_to(gin_folders()[0]) for path in gin_folders()[0].rglob("*.gin"))
FILES = sorted(path for path in _ALL if path.parts[0] not in ("parts", "finetune"))  # those of pre-training
VARIANTS = {  # files for a network of another name
    "albert_base": "albert_base_v2",
    "electra_large_1750k": "electra_large",
    "electra_small_masked_lm": "electra_small",
    "electra_small_today": "electra_small",
    "electric_small": "electra_small",
    "electric_tiny": "electra_tiny",
    "koelectra_base": "koelectra_base_v3",
    "koelectra_small": "koelectra_small_v3",
    "masked_lm_tiny": "electra_tiny",
    "nvidia_base_phase_1": "electra_base",
    "nvidia_base_phase_2": "electra_base",
    "shared_generator_tiny": "electra_tiny",
    "two_towers_tiny": "electra_tiny",
    "uniform_tiny": "electra_tiny",
}
UNDROPPED = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
KOREAN = PRESETS["koelectra_small_v3"].encoder
PADDED = PRESETS["electra_small"].encoder.replace(vocab_size=30528)  # 477 times 64
OWN_SIZES = {
    "pretrain/koelectra_small.gin": {"generator": generator_config(KOREAN, 0.25)},
    "pretrain/electra_small_today.gin": {"discriminator": PADDED, "generator": generator_config(PADDED, 1.0, 0.5)},
}
QUICK = {"papers/alectra_small_owt.gin", "pretrain/albert_base.gin", "pretrain/electra_small.gin"}
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
    """((recipe, settings, masking, schedule, optimizer), operative text)."""
    return configured(Recipe, settings_of, [str(file) for file in files], params)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_describes_the_preset_of_its_name(file):
    (_, model, *_), _ = read(file)
    assert model.preset == VARIANTS.get(file.stem, file.stem)
    published = PRESETS[model.preset]
    generator = {"generator": published.generator}
    if getattr(model, "generator_kind", None) == "two_towers":
        generator = dict.fromkeys(("generator_ltr", "generator_rtl"), published.generator)
    expected = {"discriminator": published.encoder, **generator}
    if isinstance(model, MaskedLM):
        expected = {"generator": published.encoder}
    elif model.generator_kind in ("shared", "uniform"):
        expected = {"discriminator": published.encoder}
    expected |= OWN_SIZES.get(file.as_posix(), {})
    if file.parent.name == "pretrain" and file.stem.endswith(("_tiny", "_today")):  # without dropout
        expected = {tower: config.replace(**UNDROPPED) for tower, config in expected.items()}
    if file.stem.startswith("nvidia"):
        expected = {tower: config.replace(vocab_size=30528) for tower, config in expected.items()}
    assert model.towers(published.encoder.vocab_size) == expected


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_opens_with_a_comment_and_a_recipe_says_what_must_be_given(file):
    text = find_gin_file(str(file)).read_text()
    assert text.startswith("# ")
    if file.parts[0] in ("pretrain", "papers"):
        assert "--data" in text.split("\n\n")[0]
        assert "commonly overridden" in text.lower()


def shrunken(model):
    """The same method on the smallest network."""
    if isinstance(model, MaskedLM):
        return dataclasses.replace(model, encoder=SMALL)
    own = {"generator_depth": 1.0} if model.generator_kind in ("masked", "two_towers") else {}
    return dataclasses.replace(model, discriminator=SMALL, **own)


def _shrinkable():
    """Of files that shrink to the same settings one; most are slow."""
    of_recipes = {file.name for file in FILES if file.parts[0] == "pretrain"}  # which include the model of their name
    known = set()
    for file in sorted(FILES, key=lambda file: file.as_posix() not in QUICK):
        included = file.parts[0] == "models" and file.name in of_recipes
        if not included and _shrinks_to(file) not in known:
            known.add(_shrinks_to(file))
            yield pytest.param(file, marks=() if file.as_posix() in QUICK else pytest.mark.slow)


def _shrinks_to(file):
    (_, model, masking, schedule, optimizer), _ = read(file)
    model = shrunken(model)
    methods = {name: value for name, value in vars(model).items() if name != "preset"}
    return repr((type(model), methods, model.towers(1000), masking, schedule.kind, optimizer))


@pytest.mark.parametrize("file", list(_shrinkable()), ids=str)
def test_a_file_runs_two_shrunken_steps(file, quick_data, quick_pairs, tmp_path):
    (recipe, model, masking, schedule, optimizer), _ = read(file)
    data = quick_pairs if getattr(model, "order_weight", 0) else quick_data
    masking = dataclasses.replace(masking, ascii_words=False)  # these data are of word pieces
    settings = {"masking": masking, "schedule": dataclasses.replace(schedule, warmup_steps=1), "optimizer": optimizer}
    recipe = dataclasses.replace(recipe, **SHORT)
    result = pretrain(data, tmp_path / "run", shrunken(model), recipe, **settings, stream=io.StringIO())
    assert (result["step"], result["finished"]) == (2, True)
    assert math.isfinite(result["mlm_loss"])


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_new_run_may_have_the_settings_of_every_file(file):
    (_, settings, masking, _, _), _ = read(file)
    settings.check_new(masking)


def test_another_optimizer_is_chosen_over_any_file_and_what_does_not_hold_then_is_said(capsys):
    for file in ("albert_tiny", "electra_tiny", "electra_small_today"):
        (*_, optimizer), text = read(file, params=["Recipe.optimizer = 'lamb'", "Lamb.beta_2 = 0.98"])
        assert optimizer == Lamb(beta_2=0.98)
        assert "AdamW" not in text
        assert "these of the files do not hold: AdamW." in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"nothing uses AdamW\.beta_2"):
        read("electra_tiny", params=["Recipe.optimizer = 'lamb'", "AdamW.beta_2 = 0.98"])
    with pytest.raises(ConfigError, match="nothing uses Electra"):
        read("electra_tiny", params=["Recipe.objective = 'masked_lm'"])


GOOGLE = {"draw_with_replacement": True, "count_special_tokens": True}
ALBERT = {
    "unit": "ngram",
    "one_by_one": True,
    "across_separators": True,
    "count_special_tokens": True,
    "random_special_tokens": True,
    "ascii_words": True,
    "max_predictions": 20,
    "mask_token_prob": 0.8,
    "random_token_prob": 0.1,
}
PUBLISHED = {  # steps, batch, schedule, peak, warm-up; masking
    "electra_small": (1_000_000, 128, "product", 5e-4, 10_000, GOOGLE),
    "electra_small_masked_lm": (1_000_000, 128, "product", 5e-4, 10_000, GOOGLE),
    "electric_small": (1_000_000, 128, "product", 5e-4, 10_000, GOOGLE),
    "electra_small_plus_plus": (4_000_000, 128, "product", 5e-4, 10_000, GOOGLE),
    "electra_base": (766_000, 256, "product", 2e-4, 10_000, GOOGLE),
    "electra_large": (400_000, 2048, "product", 2e-4, 10_000, {"mask_prob": 0.25, **GOOGLE}),
    "electra_large_1750k": (1_750_000, 2048, "product", 2e-4, 10_000, {"mask_prob": 0.25, **GOOGLE}),
    "koelectra_base_v1": (700_000, 256, "product", 2e-4, 10_000, GOOGLE),
    "koelectra_base_v2": (700_000, 256, "product", 2e-4, 10_000, GOOGLE),
    "koelectra_base_v3": (1_500_000, 256, "product", 2e-4, 10_000, GOOGLE),
    "koelectra_small_v1": (300_000, 512, "product", 5e-4, 10_000, GOOGLE),
    "koelectra_small_v2": (300_000, 512, "product", 5e-4, 10_000, GOOGLE),
    "koelectra_small_v3": (800_000, 512, "product", 5e-4, 10_000, GOOGLE),
    "albert_base_v1": (125_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "albert_large_v1": (125_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "albert_xlarge_v1": (125_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "albert_xxlarge_v1": (1_500_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "albert_base_v2": (10_000_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "albert_large_v2": (3_000_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "albert_xlarge_v2": (3_000_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "albert_xxlarge_v2": (3_000_000, 4096, "switch", 1.76e-3, 3125, ALBERT),
    "alectra_small_owt": (500_000, 512, "linear", 2e-3, 40_000, {"mask_token_prob": 1.0, "by_coins": True}),
    "nvidia_base_phase_1": (10_000, 67_584, "linear", 6e-3, 2000, GOOGLE),
    "nvidia_base_phase_2": (933, 27_648, "linear", 4e-3, 200, GOOGLE),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_of_papers_are_those_published(name):
    (recipe, _, masking, schedule, _), _ = read(f"papers/{name}")
    found = (recipe.steps, recipe.batch_size, schedule.kind, schedule.peak, schedule.warmup_steps)
    assert (*found, masking) == (*PUBLISHED[name][:5], Masking(**PUBLISHED[name][5]))
    assert recipe.normalise_per_replica == (name != "alectra_small_owt")


def test_every_recipe_of_a_paper_is_compared():
    assert PUBLISHED.keys() == {file.stem for file in FILES if file.parts[0] == "papers"}


def test_optimizers_of_papers_are_those_published():
    found = {name: read(f"papers/{name}")[0][4] for name in PUBLISHED}
    nvidia = Lamb(beta_1=0.878, beta_2=0.974, bias_correction=True)
    alectra = found.pop("alectra_small_owt")
    expected = {"albert": Lamb(), "nvidia": nvidia}
    assert found == {name: expected.get(name.partition("_")[0], AdamW()) for name in found}
    assert (alectra.largest_norm, alectra.no_adaptation, alectra.clip_norm) == (10.0, (), None)
    norm = "generator/transformer/block_0/{}/norm/{}"  # of PyTorch's names one does not say LayerNorm: it is decayed
    parts = [(part, weight) for part in ("attention", "feed_forward") for weight in ("gamma", "beta")]
    assert [alectra.decay_of(norm.format(*part)) for part in parts] == [0.0, 0.0, 0.01, 0.0]
    assert [alectra.decay_of(f"{part}/norm/gamma") for part in ("generator/embeddings", "masked_lm")] == [0.0, 0.0]


@pytest.mark.parametrize(
    "name",
    ["electra_small", "electra_small_plus_plus", "electra_base", "electra_large", "albert_base", "koelectra_base"]
    + ["koelectra_small", "alectra_small_owt"],
)
def test_recommended_recipes_are_as_long_as_the_published_and_without_their_mistakes(name):
    (recipe, _, masking, schedule, _), _ = read(name)
    (paper, _, theirs, published, _), _ = read(f"papers/{VARIANTS.get(name, name).replace('base_v2', 'base_v1')}")
    same = ("batch_size", "steps")
    assert [getattr(recipe, field) for field in same] == [getattr(paper, field) for field in same]
    assert (schedule.peak, schedule.warmup_steps) == (published.peak, published.warmup_steps)
    assert masking.mask_prob == theirs.mask_prob
    compat = ("draw_with_replacement", "count_special_tokens", "one_by_one", "across_separators", "ascii_words")
    assert not any(getattr(masking, field) for field in compat)
    assert masking.max_predictions is None and not recipe.normalise_per_replica


def test_alectra_as_it_was_meant_shares_its_embeddings():
    assert read("alectra_small_owt")[0][1].embedding_sharing == "all"
    assert read("papers/alectra_small_owt")[0][1].embedding_sharing == "cloned"


def test_a_recipe_of_a_paper_never_stands_in_for_one_that_is_recommended():
    assert find_gin_file("electra_base") != find_gin_file("papers/electra_base")
    with pytest.raises(ConfigError, match="papers/electra_large_1750k"):
        find_gin_file("electra_large_1750k")


def test_parameters_override_files_and_later_files_earlier_ones(tmp_path):
    (tmp_path / "mine.gin").write_text("Recipe.steps = 7\nRecipe.seed = 3\n")
    (recipe, *_), _ = read("electra_tiny", tmp_path / "mine.gin", params=["Recipe.seed = 9"])
    assert (recipe.steps, recipe.seed, recipe.batch_size) == (7, 9, 64)


def test_folders_of_the_users_with_the_names_of_ours_do_not_matter(tmp_path, monkeypatch):
    """Such a folder, where Python finds packages, is one to gin."""
    (tmp_path / "models").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (_, model, *_), _ = read("electra_small")
    assert model.preset == "electra_small"


def test_a_file_may_begin_with_a_mark_of_its_encoding(tmp_path):
    (tmp_path / "mine.gin").write_text("# \u00e9\nRecipe.steps = 7\n", "utf-8-sig")
    (recipe, *_), _ = read(tmp_path / "mine.gin")
    assert recipe.steps == 7


def test_macros_work(tmp_path):
    (tmp_path / "mine.gin").write_text("n = 40\nRecipe.steps = %n\nRecipe.log_every = %n\n")
    (recipe, *_), _ = read(tmp_path / "mine.gin")
    assert (recipe.steps, recipe.log_every) == (40, 40)


def test_the_operative_text_gives_the_same_settings_by_itself(tmp_path):
    first, text = read(
        "electra_large", params=["Electra.discriminator = {'hidden_size': 512}", "AdamW.clip_norm = None"]
    )
    (tmp_path / "operative_config.gin").write_text(text)
    assert read(tmp_path / "operative_config.gin") == (first, text)


def test_a_whole_number_does_where_a_number_is_wanted():
    (_, _, _, schedule, _), _ = read(params=["Schedule.peak = 1"])
    assert schedule.peak == 1


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
        ("AdamW.bias_correction = 1", "AdamW.bias_correction is 1"),
        ("Lamb.largest_norm = 10.0", "nothing uses Lamb.largest_norm"),
        ("MaskedLM.order_weight = 1.0", "nothing uses MaskedLM.order_weight"),
        ("Recipe.seed = True", "Recipe.seed is True"),
        ("Electra.discriminator = 'wide'", "Electra.discriminator is 'wide'"),
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
    (recipe, *_), _ = read()
    assert recipe == Recipe()


def test_an_unknown_file_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match="electra_small_plus_plus"):
        read("electra_smal")


@pytest.mark.parametrize(
    "binding, words",
    [("Recipe.optimizer = 'sgd'", "one of adamw, lamb"), ("Recipe.objective = 'clm'", "one of electra, masked_lm")],
)
def test_an_unknown_objective_or_optimizer_is_answered_with_those_there_are(binding, words):
    with pytest.raises(ConfigError, match=words):
        read(params=[binding])


def test_the_recipe_chooses_which_classes_are_filled():
    params = ["Recipe.objective = 'masked_lm'", "Recipe.optimizer = 'lamb'", "Lamb.beta_2 = 0.98"]
    (_, settings, _, _, optimizer), _ = read(params=params)
    assert (settings, optimizer) == (MaskedLM(), Lamb(beta_2=0.98))
    assert isinstance(read()[0][1], Electra)


@pytest.mark.parametrize(
    "binding, home",
    [
        ("Recipe.learning_rate = 0.1", "Schedule.peak"),
        ("Recipe.warmup_steps = 3", "Schedule.warmup_steps"),
        ("Electra.mask_prob = 0.2", "Masking.mask_prob"),
        ("Recipe.generator_steps = 3", "Electra.generator_steps"),
    ],
)
def test_a_field_of_another_class_is_answered_with_its_home(binding, home):
    with pytest.raises(ConfigError, match=home):
        read(params=[binding])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import os.path", "import os.path would run code"),
        ("from __gin__ import dynamic_registration", "would run code"),
        ("import made", "import made would run code"),
        ("Recipe.steps = @subprocess.getoutput()", "@subprocess.getoutput would run code"),
        ("Recipe.steps = [1, {'a': (@electra_tf.Recipe, 2)}]", "@electra_tf.Recipe would run code"),
        ("Recipe:\n  steps = @scope/Recipe()\n", "@scope/Recipe would run code"),
        ("STEPS = @subprocess.getoutput()\nRecipe.steps = %STEPS", "would run code"),
        ("include 'itself.gin'", "the file includes itself"),
        ("include 'nowhere.gin'", "nowhere.gin"),
    ],
)
def test_a_gin_file_of_strangers_runs_nothing(line, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made.py").write_text("open('made_by_gin', 'w').close()")
    (tmp_path / "itself.gin").write_text(line)
    (tmp_path / "outer.gin").write_text("include 'itself.gin'\n")
    for words in ({"files": ["outer.gin"]}, {"files": ["itself.gin"]}, {"files": [], "params": [line]}):
        with pytest.raises(ConfigError, match=re.escape(told)):
            configured(Recipe, settings_of, **{"params": (), **words})
    assert not (tmp_path / "made_by_gin").exists()


def test_macros_are_values(tmp_path):
    (tmp_path / "own.gin").write_text("STEPS = 12\nRecipe.steps = %STEPS\n")
    (recipe, *_), _ = read(tmp_path / "own.gin")
    assert recipe.steps == 12
