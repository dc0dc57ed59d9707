"""Two processes started in one run directory: one trains as if it were alone, the other says so and ends."""

import json
import os
import random
import time

import pytest
from lives import end, outcome, start
from small_run import SHORT


@pytest.mark.slow
def test_of_two_that_start_at_random_moments_one_trains_and_the_other_says_so(short, quick_data, tmp_path):
    seed = int(os.environ.get("START_SEED", random.SystemRandom().getrandbits(32)))
    print(f"START_SEED={seed}")
    chance, refused = random.Random(seed), 0
    rounds = int(os.environ.get("ROUNDS", 3))
    for number in range(rounds):
        model_dir, processes = tmp_path / str(number), []
        for seconds in (0, chance.choice([0, chance.uniform(0, 0.2), chance.uniform(0, 8)])):
            time.sleep(seconds)
            processes.append(start("small_run.py", quick_data, model_dir, f"--settings={json.dumps(SHORT)}"))
        lives = [end(process, timeout=200) for process in processes]
        ended = sorted(life.status for life in lives)
        assert ended in ([0, 1], [0, 0])  # the first may have ended before the second has begun
        refused += ended == [0, 1]
        for life in lives:
            assert (life.status == 1) == ("another process trains here" in life.log)
        ours, theirs = outcome(model_dir), outcome(short)
        assert ours == theirs
        assert not (model_dir / "lock").exists()
    assert refused >= rounds // 2
