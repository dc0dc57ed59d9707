from pathlib import Path

import pytest
from small_models import CONFIGS, random_weights


@pytest.fixture(scope="session")
def shared():
    """The folder of reference data beside the repository."""
    folder = Path(__file__).resolve().parents[2].parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data are not here")
    return folder


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.fixture(params=["discriminator", "generator"])
def tower(request):
    return request.param


@pytest.fixture
def weights(config):
    return random_weights(config, config)


@pytest.fixture(scope="session")
def make_weights():
    return random_weights
