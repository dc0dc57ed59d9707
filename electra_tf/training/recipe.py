"""How long, in what batches and in what precision a run trains, as data: each field of the trajectory, or free."""

import dataclasses
from dataclasses import dataclass, field

from electra_tf.errors import ConfigError
from electra_tf.optimizers import OPTIMIZERS
from electra_tf.settings import check_numbers
from electra_tf.training.compilation import check_compiler

_LARGEST_BATCH = 1 << 20  # rows; the largest published have some ten thousand


def free(default):
    """A field that may differ on resume, because it does not change what is computed."""
    return field(default=default, metadata={"free": True})


@dataclass(frozen=True)
class Recipe:
    """The run. Fields marked `free` may change when a run is resumed; the others define its trajectory.

    Attributes:
        objective, optimizer: what is trained and how, by name; each has settings of its own. None: what the caller
            takes for usual.
        steps: optimizer updates in all.
        batch_size: rows of the global batch, over all devices and micro-batches.
        micro_batches: parts of a device's rows whose gradients are accumulated.
        seed: all randomness is a function of it.
        precision: `float32` or `mixed_bfloat16`.
        compiler: see `training.compilation`; `auto` is resolved once and kept.
        normalise_per_replica: each replica divides by its own token counts, and gradients are averaged, as the
            originals do; a new run should not.
        log_every, checkpoint_every, eval_every: intervals in steps; eval_every 0: only at the end.
        keep, milestone_every: how many newest checkpoints stay, and which stay for good (0: none).
        eval_examples, eval_seed: held-out examples of an evaluation, and the seed of what is random in it.
    """

    objective: str | None = None
    optimizer: str = "adamw"
    steps: int = 1_000_000
    batch_size: int = 128
    micro_batches: int = 1
    seed: int = 0
    precision: str = "float32"
    compiler: str = "auto"
    normalise_per_replica: bool = False
    log_every: int = 100
    checkpoint_every: int = 1000
    eval_every: int = free(1000)
    keep: int = free(5)
    milestone_every: int = free(0)
    eval_examples: int = free(1024)
    eval_seed: int = free(1)

    def __post_init__(self):
        check_numbers(self)
        for name in ("steps", "batch_size", "micro_batches", "log_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", where="Recipe", expected="at least 1")
        if self.batch_size > _LARGEST_BATCH:
            raise ConfigError(
                f"batch_size is {self.batch_size:,}",
                where="Recipe",
                expected=f"at most {_LARGEST_BATCH:,} rows",
                remedy="take a smaller one; more steps see as many rows",
            )
        for name in ("eval_every", "milestone_every", "eval_examples", "eval_seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}", where="Recipe", expected="0 or more")
        if self.precision not in ("float32", "mixed_bfloat16"):
            raise ConfigError(f"precision is {self.precision!r}", where="Recipe", expected="float32 or mixed_bfloat16")
        if not 0 <= self.seed < 1 << 32:
            raise ConfigError(f"seed is {self.seed}", where="Recipe", expected="a number from 0 to 2^32 - 1")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(
                f"optimizer is {self.optimizer!r}", where="Recipe", expected=f"one of {', '.join(OPTIMIZERS)}"
            )
        if self.compiler != "auto":
            check_compiler(self.compiler)

    def check_rows(self, replicas: int) -> None:
        """Raises `ConfigError` unless the batch divides over devices and micro-batches."""
        if self.batch_size % (replicas * self.micro_batches):
            raise ConfigError(
                f"a batch of {self.batch_size} rows does not divide over {replicas} device(s) and "
                f"{self.micro_batches} micro-batch(es)",
                where="Recipe.batch_size",
                expected=f"a multiple of {replicas * self.micro_batches}",
                remedy="change batch_size, micro_batches or the number of devices",
            )


FREE = frozenset(f"Recipe.{f.name}" for f in dataclasses.fields(Recipe) if f.metadata.get("free"))
