"""Small models with random weights, for the tests of checkpoints."""

import pytest
from small_models import CONFIGS, random_weights


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
