"""Small finished runs that the tests of guarantees compare with."""

from pathlib import Path

import pytest
from lives import small_run
from small_run import SHORT


@pytest.fixture(scope="session")
def short(quick_data, tmp_path_factory) -> Path:
    """As `finished`, but by `SHORT`: enough for six checkpoints and an evaluation. Not to be changed."""
    model_dir = tmp_path_factory.mktemp("short") / "run"
    assert small_run(quick_data, model_dir, settings=SHORT).status == 0
    return model_dir


@pytest.fixture(scope="session")
def finished(quick_data, tmp_path_factory) -> Path:
    """The run directory of a small run that nothing has interrupted. Not to be changed."""
    model_dir = tmp_path_factory.mktemp("finished") / "run"
    assert small_run(quick_data, model_dir).status == 0
    return model_dir
