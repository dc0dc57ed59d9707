"""What each published recipe trains, built at its size, has the variables and slots of the recorded graphs."""

import math

import keras
import pytest

from electra_tf.checkpoints.google_layout import layout
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, model_tensors
from electra_tf.cli.gin_files import configured
from electra_tf.models.encoder import named_variables
from electra_tf.models.presets import PRESETS
from electra_tf.pretraining.run import OF_SETTINGS, settings_of
from electra_tf.pretraining.tokens import Tokens
from electra_tf.training.recipe import Recipe

SLOTS = ("/adam_m", "/adam_v")
APART = "Electra.embedding_sharing = 'none'"
# Recorded list -> (gin file, what is changed, number of parameters as counted from the original's graph).
ELECTRA = {
    "small_pretrain": ("papers/electra_small", None, 14_196_219),
    "small_pretrain_gen_full_width": ("papers/electra_small_plus_plus", None, 23_122_875),
    "small_pretrain_untied_embeddings": ("papers/electra_small", APART, 16_170_107),
    "small_pretrain_tied_generator": ("papers/electra_small", "Electra.generator_kind = 'shared'", 13_612_731),
    "small_pretrain_uniform_generator": ("papers/electra_small", "Electra.generator_kind = 'uniform'", 13_549_057),
    "small_pretrain_two_tower": ("papers/electra_small", "Electra.generator_kind = 'two_towers'", 14_812_475),
    "small_pretrain_electric": ("papers/electric_small", None, 14_812_475),
    "small_pretrain_electric_untied_embeddings": ("papers/electric_small", APART, 18_760_443),
    "small_pretrain_mlm_only": ("papers/electra_small_masked_lm", None, 13_546_682),
    "koelectra_small_v3_pretrain": ("koelectra_small", None, 14_773_881),
    "koelectra_small_v3_pretrain_gen_full_width": ("papers/koelectra_small_v3", None, 23_700_537),
    "base_pretrain": ("papers/electra_base", None, 119_386_427),
    "base_pretrain_untied_embeddings": ("papers/electra_base", APART, 127_002_683),
    "koelectra_base_v3_pretrain": ("papers/koelectra_base_v3", None, 122_830_009),
    "large_pretrain": ("papers/electra_large", None, 354_655_291),
}
ADAMW = "Recipe.optimizer = 'adamw'"
ALBERT = {
    "base_v2_pretrain_lamb": ("papers/albert_base_v2", None, 11_813_810),
    "base_v2_pretrain_adamw": ("papers/albert_base_v2", ADAMW, 11_813_810),
    "large_pretrain": ("papers/albert_large_v1", None, 17_847_474),
    "xlarge_pretrain": ("papers/albert_xlarge_v1", None, 59_021_490),
    "xxlarge_pretrain": ("papers/albert_xxlarge_v1", None, 223_158_450),
}


def shapes_of(file, change):
    """Names and shapes of all weights of the recipe's objective, of which none is kept in memory."""
    (recipe, settings, masking, *_), _ = configured(Recipe, settings_of, [file], [change] if change else [])
    size = PRESETS[settings.preset].encoder.vocab_size
    trained, _ = OF_SETTINGS[type(settings)]
    with keras.StatelessScope(initialize_variables=False):
        objective = trained(settings, masking, Tokens(0, 1, 2, 3, 4, size, None), recipe.steps)
        return {name: tuple(variable.shape) for name, variable in named_variables(objective.model).items()}


def recorded(shared, name):
    """Names and shapes of the original's variables: weights, slots by kind, and the rest."""
    lines = [line.split("\t")[:2] for line in (shared / f"reference/names/tf1_{name}.txt").read_text().splitlines()]
    shapes = {name: tuple(int(n) for n in shape.strip("[]").split(",") if n) for name, shape in lines}
    rest = {"global_step": shapes.pop("global_step")}
    slots = [{n.removesuffix(kind): s for n, s in shapes.items() if n.endswith(kind)} for kind in SLOTS]
    return {name: shape for name, shape in shapes.items() if not name.endswith(SLOTS)}, slots, rest


def ours(table):
    return {tensor.ours: tensor.shape("ours") for tensor in table}


def theirs(table):
    return {name: tensor.shape("tf1") for tensor in table for name in tensor.tf1}


QUICK = ("small_pretrain_mlm_only", "small_pretrain_uniform_generator", "small_pretrain", "base_v2_pretrain_lamb")


def slow(names):
    """All but a few: building layers by the dozen takes Keras seconds."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", slow(ELECTRA))
def test_an_electra_has_the_variables_and_slots_of_googles_graph(shared, name):
    file, change, count = ELECTRA[name]
    weights, slots, rest = recorded(shared, f"electra_{name}")
    table = layout(weights, "tf1", name).tensors()
    found = shapes_of(file, change)
    assert found == ours(table)
    assert theirs(table) == weights == slots[0] == slots[1]  # every weight of ours has both, too
    assert rest == {"global_step": ()}
    assert sum(map(math.prod, found.values())) == count


@pytest.mark.parametrize("name", slow(ALBERT))
def test_an_albert_has_the_variables_and_slots_of_googles_graph(shared, name):
    """The same slots by LAMB and by AdamW."""
    file, change, count = ALBERT[name]
    weights, slots, rest = recorded(shared, f"albert_{name}")
    fields = vars(PRESETS[file.removeprefix("papers/")].encoder) | {"num_labels": 2}
    table = model_tensors(fields, "generator", MODEL_CLASSES["AlbertForPreTraining"].heads)
    found = shapes_of(file, change)
    assert found == ours(table)
    assert theirs(table) == weights == slots[0] == slots[1]
    assert rest == {"global_step": ()}
    assert sum(map(math.prod, found.values())) == count


def test_every_recorded_list_of_pre_training_is_compared(shared):
    recordings = {path.stem for path in (shared / "reference/names").glob("tf1_*pretrain*.txt")}
    compared = {f"tf1_electra_{name}" for name in ELECTRA} | {f"tf1_albert_{name}" for name in ALBERT}
    unusual = {"tf1_albert_base_E_eq_H_pretrain", "tf1_albert_base_groups12_pretrain"}  # no published network
    assert recordings - compared == unusual | {"tf1_albert_base_groups3_inner2_pretrain"}
