"""A pre-training run: what is trained and how, as a `Plan` for the loop."""

import dataclasses

from electra_tf.checkpoints.run_checkpoints import list_checkpoints
from electra_tf.data.examples import STATIC_MASKS
from electra_tf.data.manifest import check_vocabulary
from electra_tf.data.reader import DataSet
from electra_tf.data.unknown_text import MUCH
from electra_tf.errors import ConfigError, DataError
from electra_tf.optimizers import OPTIMIZERS, AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.evaluation import DetectionEvaluation, MaskedLMEvaluation
from electra_tf.pretraining.informed_initialization import start_informed
from electra_tf.pretraining.masked_lm import MaskedLanguageModelling
from electra_tf.pretraining.masking import Masking, StoredMasks
from electra_tf.pretraining.settings import Electra, MaskedLM
from electra_tf.pretraining.tokens import Tokens
from electra_tf.training.devices import Devices
from electra_tf.training.initial_weights import Start
from electra_tf.training.recipe import Recipe
from electra_tf.training.run import Plan, train

# By the name of an objective in `Recipe`: its settings, what it trains, how it is evaluated.
OBJECTIVES = {
    "electra": (Electra, ReplacedTokenDetection, DetectionEvaluation),
    "masked_lm": (MaskedLM, MaskedLanguageModelling, MaskedLMEvaluation),
}
# The same two by the class of settings, which a run always has.
OF_SETTINGS = {kind: both for kind, *both in OBJECTIVES.values()}
_USUAL = "electra"
_FLAG_OF = {"two_towers": "--init_checkpoint, in a run or TF-V1 checkpoint that has both towers"}
_HALF_LIFE = 10e6  # tokens, of `beta_2 = 'auto'`


def settings_of(recipe: Recipe) -> tuple[type, ...]:
    """The classes of settings that a recipe chooses, beside its own. Raises: `ConfigError`."""
    objective = recipe.objective or _USUAL
    if objective not in OBJECTIVES:
        raise ConfigError(f"objective is {objective!r}", where="Recipe", expected=f"one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[objective][0], Masking, Schedule, OPTIMIZERS[recipe.optimizer]


def pretrain(
    data,
    model_dir,
    settings: Electra | MaskedLM | None = None,
    recipe: Recipe | None = None,
    *,
    masking: Masking | None = None,
    schedule: Schedule | None = None,
    optimizer: AdamW | None = None,
    devices: Devices | None = None,
    start: Start | None = None,
    extend: bool = False,
    operative_config: str | None = None,
    profile: int = 0,
    stream=None,
) -> dict:
    """Pre-trains encoders on a data set, or goes on with an interrupted run.

    Args:
        data: a data set made by `build_data`, or an opened `DataSet`.
        model_dir: the run directory. If it holds a run with the same trajectory, that run is resumed.
        settings: what is trained: an `Electra` (by default the small one, as published) or a `MaskedLM`.
        recipe, masking, schedule, optimizer: how. The kinds of `settings` and `optimizer` overrule the recipe's names.
        devices, start, extend, operative_config, profile, stream: see `train`.

    Returns: `step`, `model_dir`, whether the run is `finished`, and the last evaluation's metrics.

    Raises: `ElectraTFError`s: of the configuration, the data, the checkpoints, the disk, or non-finite values.
    """
    recipe = recipe or Recipe()
    names = {kind: name for name, (kind, *_) in OBJECTIVES.items()} | {kind: name for name, kind in OPTIMIZERS.items()}
    if settings is not None:
        recipe = dataclasses.replace(recipe, objective=names[type(settings)])
    if optimizer is not None:
        recipe = dataclasses.replace(recipe, optimizer=names[type(optimizer)])
    recipe = dataclasses.replace(recipe, objective=recipe.objective or _USUAL)
    kinds = settings_of(recipe)
    given = (settings, masking, schedule, optimizer)
    settings, masking, schedule, optimizer = (one or kind() for one, kind in zip(given, kinds, strict=True))
    dataset = data if isinstance(data, DataSet) else DataSet.open(data)
    tokens = Tokens.of(dataset.tokenizer, masking.ascii_words)
    described = (settings, masking)
    if dataset.manifest.stored_masks:
        # They are part of the data's identity; what was asked for instead is no part of the run.
        described, masking = (settings,), StoredMasks(dataset.manifest.features[STATIC_MASKS[0]], masking)
    _check_data(dataset, settings, tokens, recipe)
    is_new = not list_checkpoints(model_dir)
    if is_new:
        settings.check_new(masking)
        masking.check_new(dataset.tokenizer)
    if start is None and is_new:
        dataset.tokenizer.check_distinct()  # a model that has learned with such a vocabulary goes on with it
    _check_settings(settings, masking, tokens, recipe, start, is_new)
    masking.predictions(dataset.manifest.length)  # refuses what no row of this length can have
    if optimizer.beta_2 == "auto":
        memory = 0.5 ** (recipe.batch_size * dataset.manifest.length / _HALF_LIFE)
        optimizer = dataclasses.replace(optimizer, beta_2=memory)

    trained, judged = OF_SETTINGS[type(settings)]

    def build():
        objective = trained(settings, masking, tokens, recipe.steps, recipe.precision)
        if settings.initial_weights == "informed":
            encoders = [getattr(objective.model, tower) for tower in objective.towers]
            head = getattr(objective.model, "masked_lm", None) or getattr(objective.model, "cloze", None)
            start_informed(encoders, head, dataset.frequencies)
        return objective

    def evaluation(objective, recipe, drawn_at_once):
        rows = max(1, recipe.batch_size // recipe.micro_batches)
        eager = recipe.compiler == "eager"
        return judged(objective, dataset, recipe.eval_examples, rows, recipe.eval_seed, eager, drawn_at_once)

    length, holds_out = dataset.manifest.length, dataset.manifest.splits["held_out"].examples > 0
    advice = [_unknown(dataset), settings.advice(tokens.size), masking.advice(length)]
    if recipe.eval_examples and not holds_out:
        advice.append("nothing is evaluated: the data hold nothing out; `electra-tf data` does with --held_out 0.01")
    plan = Plan(
        described,
        recipe,
        schedule,
        optimizer,
        dataset,
        build,
        evaluation if holds_out else None,
        tuple(filter(None, advice)),
    )
    return train(
        plan,
        model_dir,
        devices=devices,
        start=start,
        extend=extend,
        operative_config=operative_config,
        profile=profile,
        stream=stream,
    )


def _unknown(dataset):
    """What is to be known before all signs of trouble in training, which have other causes too."""
    rate = dataset.manifest.splits["train"].unknown_rate
    if rate is None or rate <= MUCH:
        return None
    unknown = dataset.tokenizer.vocabulary[dataset.tokenizer.unk_id]
    return (
        f"{rate:.1%} of the tokens to learn from are {unknown}, since the vocabulary does not know them: build the "
        "data with one of this text, as `electra-tf vocab` makes it"
    )


def _check_settings(settings, masking, tokens, recipe, start, is_new):
    masking.check(tokens)
    if is_new and start is not None and settings.initial_weights != "random":
        raise ConfigError(
            f"initial_weights is {settings.initial_weights!r}, and there is a checkpoint to start from",
            where=type(settings).__name__,
            expected="'random' for what the checkpoint does not hold",
            remedy=f"add --gin_param \"{type(settings).__name__}.initial_weights = 'random'\"",
        )
    if not isinstance(settings, Electra):
        return
    if settings.generator_steps >= recipe.steps:
        raise ConfigError(
            f"generator_steps is {settings.generator_steps} of {recipe.steps} steps",
            where="Electra",
            expected="less than all, or the discriminator never learns",
        )
    if is_new and settings.freeze_generator and start is None:
        raise ConfigError(
            "the generator is frozen, and there is no checkpoint to take it from",
            where="Electra.freeze_generator",
            expected="a generator that has learned",
            remedy=f"name one that is trained, with {_FLAG_OF.get(settings.generator_kind, '--init_generator')}",
        )
    if settings.judged == "electric" and masking.last_mask_prob:
        raise ConfigError(
            "the share of noise changes, and Electric's loss takes it for constant",
            where="Masking.last_mask_prob",
            expected="None with Electra.judged = 'electric'",
        )


def _check_data(dataset, settings, tokens, recipe):
    length, manifest = dataset.manifest.length, dataset.manifest
    for tower, config in settings.towers(tokens.size).items():
        if length > config.max_position_embeddings:
            raise ConfigError(
                f"the examples are {length} tokens long, the {tower} has {config.max_position_embeddings} positions",
                where=dataset.folder,
                expected="a position for each token",
                remedy="build the data with a smaller --length, or raise max_position_embeddings",
            )
    check_vocabulary(manifest, dataset.tokenizer, dataset.vocab)
    if dataset.facts["examples"] < recipe.batch_size:
        raise DataError(
            f"the data set has {dataset.facts['examples']} training examples",
            where=dataset.folder,
            expected=f"at least one batch of {recipe.batch_size}",
            remedy="build it from more text, or lower Recipe.batch_size",
        )
    if isinstance(settings, Electra) and manifest.stored_masks:
        raise DataError(
            "the data were masked when they were made",
            where=dataset.folder,
            expected="data without masks, since an ELECTRA draws its own",
            remedy="build them with `electra-tf data` from text, or train a masked LM, by --gin_file albert_base",
        )
    if isinstance(settings, MaskedLM) and settings.order_weight and not manifest.pairs:
        raise DataError(
            "the data hold no pairs of segments, and sentence order is to be learned from them",
            where=dataset.folder,
            expected="data of pairs",
            remedy="build them with `electra-tf data --pairs`, or add --gin_param 'MaskedLM.order_weight = 0.0'",
        )
