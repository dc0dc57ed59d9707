"""What is trained and how, as data: the model's and the run's settings, each a part of the trajectory or free."""

import dataclasses
from dataclasses import dataclass, field

from electra_tf.errors import ConfigError
from electra_tf.models.presets import generator_config, preset
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.electra import Compat, ElectraConfig
from electra_tf.training.compilation import check_compiler


@dataclass(frozen=True)
class Model:
    """The two towers and the objective.

    Attributes:
        preset: name of a preset; gives both towers.
        discriminator, generator: fields of `EncoderConfig` that override the preset's, such as
            `{'hidden_size': 192}`. The vocabulary's size always comes from the data.
        generator_width, generator_depth: shares of the discriminator's width and depth, instead of the preset's
            generator.
        embedding_sharing, mask_prob, max_predictions, mask_token_prob, random_token_prob, mlm_weight, disc_weight,
            temperature, disallow_correct: see `ElectraConfig`. With sharing `none` the generator's embeddings are as
            wide as the generator, as in the original, unless `generator` says otherwise.
        draw_with_replacement, count_special_tokens, normalise_per_replica: see `Compat`.
    """

    preset: str = "electra_small"
    discriminator: dict = field(default_factory=dict)
    generator: dict = field(default_factory=dict)
    generator_width: float | None = None
    generator_depth: float | None = None
    embedding_sharing: str = "all"
    mask_prob: float = 0.15
    max_predictions: int | None = None
    mask_token_prob: float = 0.85
    random_token_prob: float = 0.0
    mlm_weight: float = 1.0
    disc_weight: float = 50.0
    temperature: float = 1.0
    disallow_correct: bool = False
    draw_with_replacement: bool = False
    count_special_tokens: bool = False
    normalise_per_replica: bool = False

    def electra_config(self, vocab_size: int) -> ElectraConfig:
        """The method's configuration over a vocabulary of `vocab_size` tokens."""
        published = preset(self.preset)
        unknown = {*self.discriminator, *self.generator} - {f.name for f in dataclasses.fields(published.encoder)}
        if unknown:
            raise ConfigError(
                f"there is no encoder field {', '.join(sorted(unknown))}",
                where="Model.discriminator or Model.generator",
                expected="fields of EncoderConfig",
            )
        encoder = published.encoder.replace(**{"vocab_size": vocab_size, **self.discriminator})
        generator = published.generator
        resized = {"hidden_size", "num_hidden_layers"} & self.discriminator.keys()
        if generator is None or resized or self.generator_width or self.generator_depth:
            width, depth = _shares(published)
            generator = generator_config(encoder, self.generator_width or width, self.generator_depth or depth)
        inherited = {name: getattr(encoder, name) for name in _INHERITED}
        if self.embedding_sharing == "none":
            inherited["embedding_size"] = generator.hidden_size
        generator = generator.replace(**{**inherited, **self.generator})
        names = {f.name for f in dataclasses.fields(ElectraConfig)} - {"discriminator", "generator", "compat"}
        compat = Compat(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Compat)})
        return ElectraConfig(encoder, generator, compat=compat, **{name: getattr(self, name) for name in names})


# What the generator has as the discriminator has it, unless `Model.generator` says otherwise.
_INHERITED = ("vocab_size", "embedding_size", "max_position_embeddings", "type_vocab_size", "hidden_act")
_INHERITED += ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps")


def _shares(published):
    if published.generator is None:
        return 0.25, 1.0
    ours, theirs = published.generator, published.encoder
    return ours.hidden_size / theirs.hidden_size, ours.num_hidden_layers / theirs.num_hidden_layers


INITIAL_WEIGHTS = ("random", "informed")


def free(default):
    """A field that may differ on resume, because it does not change what is computed."""
    return field(default=default, metadata={"free": True})


@dataclass(frozen=True)
class Recipe:
    """The run. Fields marked `free` may change when a run is resumed; the others define its trajectory.

    Attributes:
        steps: optimizer updates in all.
        batch_size: rows of the global batch, over all devices and micro-batches.
        learning_rate, schedule, warmup_steps, end_learning_rate, lr_decay_power, decay_steps: see `Schedule`.
        weight_decay, beta_1, beta_2, epsilon, bias_correction, clip_norm: see `AdamW`.
        precision: `float32` or `mixed_bfloat16`.
        micro_batches: parts of a device's rows whose gradients are accumulated.
        seed: all randomness is a function of it.
        generator_steps: for so many steps at the beginning the generator's own weights alone change, then the others
            warm up in their turn: for one that starts anew beside a discriminator that is already trained.
        initial_weights: `random`, as the originals; `informed`, see `pretraining.informed_start`.
        compiler: see `training.compilation`; `auto` is resolved once and kept.
        log_every, checkpoint_every, eval_every: intervals in steps; eval_every 0: only at the end.
        keep, milestone_every: how many newest checkpoints stay, and which stay for good (0: none).
        eval_examples, eval_seed: held-out examples of an evaluation, and the seed of its masks and samples.
    """

    steps: int = 1_000_000
    batch_size: int = 128
    learning_rate: float = 5e-4
    schedule: str = "product"
    warmup_steps: int = 10_000
    end_learning_rate: float = 0.0
    lr_decay_power: float = 1.0
    decay_steps: int | None = None
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    bias_correction: bool = False
    clip_norm: float | None = 1.0
    precision: str = "float32"
    micro_batches: int = 1
    seed: int = 0
    generator_steps: int = 0
    initial_weights: str = "random"
    compiler: str = "auto"
    log_every: int = 100
    checkpoint_every: int = 1000
    eval_every: int = free(1000)
    keep: int = free(5)
    milestone_every: int = free(0)
    eval_examples: int = free(1024)
    eval_seed: int = free(1)

    def __post_init__(self):
        for name in ("steps", "batch_size", "micro_batches", "log_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", where="Recipe", expected="at least 1")
        if self.precision not in ("float32", "mixed_bfloat16"):
            raise ConfigError(f"precision is {self.precision!r}", where="Recipe", expected="float32 or mixed_bfloat16")
        if not 0 <= self.seed < 1 << 32:
            raise ConfigError(f"seed is {self.seed}", where="Recipe", expected="a number from 0 to 2^32 - 1")
        if not 0 <= self.generator_steps < self.steps:
            raise ConfigError(
                f"generator_steps is {self.generator_steps} of {self.steps} steps",
                where="Recipe",
                expected="less than all, or the discriminator never learns",
            )
        if self.initial_weights not in INITIAL_WEIGHTS:
            raise ConfigError(
                f"initial_weights is {self.initial_weights!r}",
                where="Recipe",
                expected=f"one of {', '.join(INITIAL_WEIGHTS)}",
            )
        if self.compiler != "auto":
            check_compiler(self.compiler)
        self.optimizer(), self.learning_rates()  # they check their own

    def optimizer(self) -> AdamW:
        return AdamW(
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
            bias_correction=self.bias_correction,
            clip_norm=self.clip_norm,
        )

    def learning_rates(self) -> Schedule:
        return Schedule(
            self.schedule,
            self.learning_rate,
            self.steps,
            self.warmup_steps,
            self.lr_decay_power,
            self.end_learning_rate,
            self.decay_steps,
        )

    def check_rows(self, replicas: int) -> None:
        """Raises `ConfigError` unless the batch divides over devices and micro-batches."""
        if self.batch_size % (replicas * self.micro_batches):
            raise ConfigError(
                f"a batch of {self.batch_size} rows does not divide over {replicas} device(s) and "
                f"{self.micro_batches} micro-batch(es)",
                expected=f"a multiple of {replicas * self.micro_batches}",
                remedy="change batch_size, micro_batches or the number of devices",
            )


def differences(before: dict, now: dict) -> dict[str, tuple]:
    """Trajectory settings that differ: name -> (before, now).

    Both are `dataclasses.asdict` of a `Recipe` or an `ElectraConfig`; fields of a part are named `part.field`.
    """
    free_fields = {f.name for f in dataclasses.fields(Recipe) if f.metadata.get("free")}
    before, now = _flat(before), _flat(now)
    return {
        name: (before.get(name), now.get(name))
        for name in sorted({*before, *now})
        if name not in free_fields and before.get(name) != now.get(name)
    }


def _flat(settings, prefix=""):
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
