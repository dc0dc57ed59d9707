from pathlib import Path

import pytest
from lives import small_run


@pytest.fixture(scope="session")
def finished(quick_data, tmp_path_factory) -> Path:
    """The run directory of a small run that nothing has interrupted. Not to be changed."""
    model_dir = tmp_path_factory.mktemp("finished") / "run"
    assert small_run(quick_data, model_dir).status == 0
    return model_dir
