"""What a run says it will cost, against what it then costs."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from electra_tf.training.cost import matrix_peak, memory_in_use


def test_the_machines_peak_and_its_memory_are_measured():
    assert 1e9 < matrix_peak(0.05) < 1e15
    assert 1e8 < memory_in_use() < 1e12


@pytest.mark.slow
@pytest.mark.alone
def test_memory_is_within_25_percent_and_time_within_20_percent_of_what_is_then_measured(quick_data, tmp_path):
    """`electra_tiny`, 300 steps; from the announcement to the end. Six tries, as others may use the machine."""
    settings = ["Recipe.steps = 300", "Recipe.log_every = 100", "Recipe.checkpoint_every = 150"]
    deviations = []
    for number in range(6):
        command = [sys.executable, "-m", "electra_tf", "pretrain", "--gin_file=electra_tiny", f"--data={quick_data}"]
        command += [f"--model_dir={tmp_path / str(number)}", *(f"--gin_param={setting}" for setting in settings)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said, announced = [], None
        for line in process.stderr:
            said.append(line)
            if line.split()[:1] == ["time"]:
                announced = time.monotonic()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took, held = time.monotonic() - announced, usage.ru_maxrss * 1024
        assert process.returncode == 0, "".join(said)
        text = "".join(said)
        memory = float(re.search(r"memory +([\d.]+) GB", text)[1]) * 1e9
        minutes, seconds = re.search(r"time +(?:(\d+) min )?(\d+) s", text).groups()
        foretold = 60 * int(minutes or 0) + int(seconds)
        lines = [json.loads(line) for line in (tmp_path / str(number) / "metrics.jsonl").read_text().splitlines()]
        assert lines[-1]["step"] == 300
        deviations.append({"memory": memory / held - 1, "time": foretold / took - 1})
        print(f"memory {memory / 1e9:.2f} of {held / 1e9:.2f} GB, time {foretold} of {took:.1f} s")
        if abs(deviations[-1]["memory"]) < 0.25 and abs(deviations[-1]["time"]) < 0.2:
            return
    pytest.fail(f"foretold against measured: {deviations}")
