"""A tiny finished run of six steps, and the settings it had."""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import pytest

from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.run import pretrain
from electra_tf.pretraining.settings import Electra
from electra_tf.training.recipe import Recipe

SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
MODEL = Electra("electra_tiny", discriminator=SIZES, generator_depth=1.0)
RECIPE = Recipe(
    steps=6,
    batch_size=8,
    compiler="eager",
    log_every=2,
    checkpoint_every=1,
    eval_every=3,
    eval_examples=16,
    keep=2,
    milestone_every=2,
)
SCHEDULE = Schedule(peak=1e-3, warmup_steps=0)


class Run(NamedTuple):
    """A finished run of `MODEL` by `RECIPE` and `SCHEDULE`: its folder, what it said, and what `pretrain` returned."""

    model_dir: Path
    said: str
    result: dict


@pytest.fixture(scope="session")
def tiny_model():
    return MODEL


@pytest.fixture(scope="session")
def tiny_recipe():
    return RECIPE


@pytest.fixture(scope="session")
def tiny_schedule():
    return SCHEDULE


@pytest.fixture(scope="session")
def tiny_run(quick_data, tmp_path_factory):
    """Not to be changed: copy it."""
    model_dir, stream = tmp_path_factory.mktemp("tiny") / "run", io.StringIO()
    settings = {"schedule": SCHEDULE, "operative_config": "# settings\n"}
    result = pretrain(quick_data, model_dir, MODEL, RECIPE, **settings, stream=stream)
    return Run(model_dir, stream.getvalue(), result)


@pytest.fixture(scope="session")
def hashes():
    """A function: the SHA-256 of every file below a folder, by its path."""

    def of(folder):
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return of
