"""A build that is killed goes on, redoes nothing, and gives the bytes of one that was not."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from electra_tf.data.builder import build_data
from electra_tf.errors import InputError, OutputError
from electra_tf.text.safe_characters import FILE_NAME, stored_form
from electra_tf.text.tokenizer import Tokenizer

SMALL = {"length": 64, "unit_bytes": 10_000, "shard_examples": 150, "held_out": 0.1}

PLAIN, *OTHERS = {}, {"pairs": True}, {"packing": "albert"}
KILLED = [PLAIN, *(pytest.param(packing, marks=pytest.mark.slow) for packing in OTHERS)]

BUILD = """
import json, sys
from electra_tf.data.builder import build_data
if __name__ == "__main__":
    options = json.loads(sys.argv[4])
    def log(progress):
        print(json.dumps([progress.stage, progress.name, progress.kept]), flush=True)
    build_data(*sys.argv[1:4], progress=log, **options)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "build.py"
    path.write_text(BUILD)
    return path


@pytest.fixture(scope="module")
def fast_vocab(vocab, tmp_path_factory):
    """The vocabulary with its safe characters, which every worker would otherwise derive for itself."""
    folder = tmp_path_factory.mktemp("fast") / "vocab"
    shutil.copytree(vocab, folder)
    (folder / FILE_NAME).write_text(stored_form(Tokenizer.from_pretrained(vocab).settings))
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(script, corpus, vocab, output, **options):
    command = [sys.executable, script, corpus, vocab, output, json.dumps({**SMALL, **options})]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run_until(process, events):
    """Kills the process after so many events; what it said it finished, and whether it ended by itself."""
    log = []
    for line in process.stdout:
        log.append(json.loads(line))
        if len(log) > events:
            process.send_signal(signal.SIGKILL)
            break
    log += map(json.loads, process.stdout)
    return log, process.wait() == 0


def build_with_kills(script, corpus, vocab, output, moments, **options):
    """Starts again after each kill. Returns the names of what was done, in all processes together."""
    done = []
    for moment in [*moments, 10**9]:
        log, finished = run_until(start(script, corpus, vocab, output, **options), moment)
        made = [name for stage, name, kept in log if stage != "start" and not kept]
        kept = [name for _, name, kept in log if kept]
        assert not set(made) & set(done), "something finished was done again"
        assert set(kept) >= set(done) or not finished
        done += made
        if finished:
            return done
        assert not output.exists()
    raise AssertionError("the last run was not to be killed")


@pytest.mark.parametrize("packing", KILLED)
def test_a_killed_build_goes_on_without_redoing_what_is_finished(script, corpus, vocab, tmp_path, packing):
    build_data(corpus, vocab, tmp_path / "whole", **SMALL, **packing, processes=0)
    random_ = random.Random(20)
    for name in ("early", "late"):
        moments = [random_.randint(1, 12), random_.randint(20, 30)] if name == "early" else [31, 33]
        done = build_with_kills(script, corpus, vocab, tmp_path / name, moments, **packing, processes=0)
        assert len(done) == len(set(done))
        assert contents(tmp_path / name) == contents(tmp_path / "whole")
        assert not (tmp_path / f"{name}.building").exists()


@pytest.mark.slow
@pytest.mark.parametrize("packing", [PLAIN, *OTHERS])
def test_worker_processes_give_the_bytes_of_none(corpus, fast_vocab, tmp_path, packing):
    build_data(corpus, fast_vocab, tmp_path / "none", **SMALL, **packing, processes=0)
    build_data(corpus, fast_vocab, tmp_path / "two", **SMALL, **packing, processes=2)
    assert contents(tmp_path / "none") == contents(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_any_number_of_processes_with_kills_gives_the_same_bytes(script, corpus, fast_vocab, tmp_path, processes):
    build_data(corpus, fast_vocab, tmp_path / "whole", **SMALL, processes=0)
    random_ = random.Random(processes)
    moments = [random_.randint(1, 10), random_.randint(12, 32)]
    build_with_kills(script, corpus, fast_vocab, tmp_path / "killed", moments, processes=processes)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_workers_end_with_their_parent(script, corpus, fast_vocab, tmp_path):
    process = start(script, corpus, fast_vocab, tmp_path / "data", processes=2)
    assert json.loads(process.stdout.readline())[0] == "start"
    workers = [
        int(worker)
        for children in Path(f"/proc/{process.pid}/task").glob("*/children")
        for worker in children.read_text().split()
    ]
    assert len(workers) >= 2
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, workers))


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kept(corpus, vocab, output, **options):
    """Builds; the names of what was found finished."""
    names = []
    build_data(
        corpus,
        vocab,
        output,
        **{**SMALL, **options},
        processes=0,
        progress=lambda progress: names.append(progress.name) if progress.kept else None,
    )
    return names


@pytest.fixture
def halted(script, corpus, english, vocab, tmp_path):
    """A corpus of its own, and the output of a build of it that was killed after ten units."""
    source = tmp_path / "source.txt"
    source.write_text(english)
    run_until(start(script, source, vocab, tmp_path / "data", processes=0), 10)
    return source, tmp_path / "data"


def test_only_units_whose_text_changed_are_redone(halted, vocab, tmp_path):
    source, output = halted
    text = source.read_text()
    source.write_text("Changed" + text[7:])
    names = kept(source, vocab, output)
    assert "unit 0" not in names
    assert "unit 1" in names
    build_data(source, vocab, tmp_path / "fresh", **SMALL, processes=0)
    assert contents(output) == contents(tmp_path / "fresh")


def test_other_options_start_afresh(halted, vocab):
    source, output = halted
    assert kept(source, vocab, output, seed=1) == []


def test_a_damaged_part_is_redone(halted, vocab, tmp_path):
    source, output = halted
    part = max(output.with_name("data.building").rglob("000003.train"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    names = kept(source, vocab, output)
    assert "unit 3" not in names
    assert "unit 4" in names
    build_data(source, vocab, tmp_path / "fresh", **SMALL, processes=0)
    assert contents(output) == contents(tmp_path / "fresh")


def test_a_bad_line_stops_the_build_and_what_is_finished_is_kept(english, vocab, tmp_path):
    source = tmp_path / "source.txt"
    source.write_bytes(english.encode() + b"\n\ncaf\xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        build_data(source, vocab, tmp_path / "data", **SMALL, processes=0)
    source.write_bytes(english.encode() + b"\n\ncafe\n")
    assert "unit 0" in kept(source, vocab, tmp_path / "data")


def test_two_builds_of_one_output_do_not_mix(script, corpus, vocab, tmp_path):
    process = start(script, corpus, vocab, tmp_path / "data", processes=0)
    try:
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(OutputError, match="another build"):
            build_data(corpus, vocab, tmp_path / "data", **SMALL, processes=0)
    finally:
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)
    assert (tmp_path / "data" / "manifest.json").is_file()


def test_a_full_disk_is_an_error_and_leaves_no_output(script, corpus, vocab, tmp_path):
    limited = tmp_path / "limited.py"
    limited.write_text(
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n" + script.read_text()
    )
    process = subprocess.run(
        [sys.executable, limited, corpus, vocab, tmp_path / "data", json.dumps({**SMALL, "processes": 0})],
        capture_output=True,
        text=True,
    )
    assert "OutputError: cannot write: File too large" in process.stderr
    assert not (tmp_path / "data").exists()
