"""Two processes train one model together over the loopback interface."""

import json
import socket
from contextlib import ExitStack

import numpy as np
import pytest
from lives import end, small_run, start

from electra_tf.checkpoints.run_checkpoints import list_checkpoints, read_checkpoint

# A line a step, so that every inner loop is one: the ends count loops.
RECIPE = {"Recipe.steps": 20, "Recipe.log_every": 1, "Recipe.checkpoint_every": 10, "Recipe.eval_every": 0}
RECIPE |= {"Schedule.warmup_steps": 2}


def _free_addresses(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def _cluster(data, model_dir, ends=("never:0:0", "never:0:0"), **options):
    """Both workers' lives; `ends` says how each of them ends; `model_dir`: one, or one each."""
    addresses, folders = _free_addresses(2), model_dir if isinstance(model_dir, tuple) else (model_dir, model_dir)
    flags = [f"--{name}={value}" for name, value in options.items()]
    workers = []
    try:
        for index in range(2):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = {"TF_CONFIG": json.dumps(task)}
            own = ["--strategy=multi_worker", f"--end={ends[index]}", *flags]
            workers.append(start("small_run.py", data, folders[index], *own, **environment))
        return [end(worker, timeout=300) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


@pytest.mark.slow
def test_two_workers_train_and_resume_as_two_devices_of_one_machine_do(quick_data, tmp_path):
    together, alone = tmp_path / "together", tmp_path / "alone"
    lives = _cluster(quick_data, together, ends=["kill:12:0"] * 2, settings=json.dumps(RECIPE))
    assert all(life.status != 0 for life in lives)
    lives = _cluster(quick_data, together, settings=json.dumps(RECIPE))
    assert [life.status for life in lives] == [0, 0]
    assert all("resuming at step 10" in life.log for life in lives)

    assert small_run(quick_data, alone, settings=RECIPE, strategy="mirrored", devices=2).status == 0
    assert [step for step, _ in list_checkpoints(together)] == [10, 20]
    (_, ours), (_, theirs) = (read_checkpoint(list_checkpoints(run)[-1][1]) for run in (together, alone))
    assert ours.keys() == theirs.keys()
    largest = max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours if name.startswith("weights/"))
    print(f"weights after 20 steps differ by at most {largest:.1e}")
    assert largest < 1e-5


@pytest.mark.slow
def test_sigterm_to_one_worker_stops_both_at_the_next_checkpoint(quick_data, tmp_path):
    lives = _cluster(quick_data, tmp_path, ends=("never:0:0", "term:5:0"), settings=json.dumps(RECIPE))
    assert [life.status for life in lives] == [0, 0]
    results = [json.loads(life.output) for life in lives]
    assert [(result["finished"], result["step"]) for result in results] == [(False, 10)] * 2
    assert [step for step, _ in list_checkpoints(tmp_path)] == [10]


@pytest.mark.slow
def test_workers_that_do_not_see_the_same_run_end_and_say_so(quick_data, tmp_path):
    """As on two machines with a disk of each: the one without checkpoints would begin anew."""
    _cluster(quick_data, tmp_path / "a", ends=["kill:12:0"] * 2, settings=json.dumps(RECIPE))
    lives = _cluster(quick_data, (tmp_path / "a", tmp_path / "b"), settings=json.dumps(RECIPE))
    assert all(life.status not in (0, None) for life in lives)
    assert all("do not go on from the same state" in life.log for life in lives)
    assert [step for step, _ in list_checkpoints(tmp_path / "a")] == [10]
