"""Programs are kept from one process to the next, are whole, and compute what a new one computes."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# What a process does that keeps `NAME.pb`, of the content NAME, or finds what others have kept.
USER = """
import os, re, sys
from electra_tf.training.compilation_cache import keep_programs, use_cache
use_cache()
flags = os.environ["TF_XLA_FLAGS"]
print(flags)
if found := re.search('directory="(.*)"', flags):
    print(*sorted(os.listdir(found[1])))
    for name in sys.argv[1:]:
        with open(os.path.join(found[1], f"{name}.pb"), "w") as file:
            file.write(name)
"""
KILLED = "keep_programs(); open(os.path.join(found[1], 'late.pb'), 'w').close(); os.kill(os.getpid(), 9)"


def use(cache, *names, end="", **environment):
    """Lines that a process prints: its flags, and what it found."""
    environment = {"ELECTRA_TF_COMPILATION_CACHE": str(cache), **environment}
    command = [sys.executable, "-c", USER + end, *names]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL) and done.stderr == "", done.stderr
    return done.stdout.splitlines()


def kept(cache):
    return sorted(path.name.partition("-")[2] for path in Path(cache).glob("*/*.pb"))


def test_what_a_process_compiled_the_next_one_finds(tmp_path):
    assert use(tmp_path / "a cache", "one", "two")[1] == ""
    assert kept(tmp_path / "a cache") == ["one.pb", "two.pb"]
    assert use(tmp_path / "a cache", "three")[1] == "one.pb two.pb"
    assert kept(tmp_path / "a cache") == ["one.pb", "three.pb", "two.pb"]
    assert [path.name for path in (tmp_path / "a cache").glob("*/.*")] == []


def test_what_was_damaged_is_not_taken(tmp_path):
    use(tmp_path, "one", "two")
    (damaged,) = tmp_path.glob("*/*-one.pb")
    damaged.write_text("onf")
    assert use(tmp_path)[1] == "two.pb"
    assert kept(tmp_path) == ["two.pb"]


def test_what_others_wrote_is_not_taken(tmp_path):
    """It is machine code, which would run as the user's."""
    use(tmp_path, "one", "two")
    (folder,) = tmp_path.iterdir()
    folder.chmod(0o777)
    (other,) = folder.glob("*-one.pb")
    if os.geteuid() == 0:
        os.chown(other, 12345, 12345)
    assert use(tmp_path)[1] == ("two.pb" if os.geteuid() == 0 else "one.pb two.pb")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_killed_process_leaves_what_it_kept(tmp_path):
    use(tmp_path, "one", end=KILLED)
    assert kept(tmp_path) == ["one.pb"]
    assert len([*tmp_path.glob("*/.*")]) == 1
    assert use(tmp_path)[1] == "one.pb"
    assert [*tmp_path.glob("*/.*")] == []


def test_nobody_else_writes_where_a_process_reads(tmp_path):
    """A child, too, has a folder of its own, though it inherits its parent's flags."""
    (flags, _) = use(tmp_path, TF_XLA_FLAGS="--tf_xla_max_cluster_size=9")
    (child, _) = use(tmp_path, TF_XLA_FLAGS=flags)
    folders = [re.findall('directory="(.*?)"', one) for one in (flags, child)]
    assert [len(one) for one in folders] == [1, 1] and folders[0] != folders[1]
    assert child.startswith("--tf_xla_max_cluster_size=9 --tf_xla_persistent")


def test_a_user_s_own_setting_stays(tmp_path):
    for given in ("--tf_xla_persistent_cache_directory=/a/b", "--tf_xla_persistent_cache_directory='/a b'"):
        assert use(tmp_path, TF_XLA_FLAGS=given) == [given]


@pytest.mark.parametrize("cache", ["", "/proc/none", 'quoted "so"', "back\\slash"])
def test_where_nothing_can_be_kept_nothing_is(tmp_path, cache):
    assert use(tmp_path / cache if cache[:1].isalpha() else cache) == [""]


def test_flags_in_a_file_stay_there(tmp_path):
    """TensorFlow reads what has no dash as the name of a file."""
    assert use(tmp_path, TF_XLA_FLAGS="/a/file") == ["/a/file"]


def test_other_flags_make_other_programs(tmp_path):
    use(tmp_path, "one", XLA_FLAGS="--xla_cpu_enable_fast_math=true")
    assert use(tmp_path)[1] == ""
    assert use(tmp_path, XLA_FLAGS="--xla_cpu_enable_fast_math=true")[1] == "one.pb"


COMPILES = """
import shutil, sys
import electra_tf.training.compilation_cache as cache
from electra_tf.cli.error_messages import in_words
cache.use_cache()
import tensorflow as tf
if "full" in sys.argv:
    shutil.rmtree(cache._cache.own.parent)
    cache._cache.own.parent.write_text("no folder")
with in_words(), cache.explained():
    print(float(tf.function(lambda x: x * 3, jit_compile=True)(tf.ones([]))))
"""


def compiles(folder, *words):
    environment = os.environ | {"ELECTRA_TF_COMPILATION_CACHE": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, "-c", COMPILES, *words], env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_a_program_that_cannot_be_loaded_is_made_anew_by_the_next_process(tmp_path):
    """One whose checksum is right, but that TensorFlow does not take."""
    assert compiles(tmp_path).stdout == "3.0\n"
    (program,) = tmp_path.glob("*/*.pb")
    spoilt = program.read_bytes()[:100]
    program.unlink()
    program.with_name(hashlib.sha256(spoilt).hexdigest() + program.name[64:]).write_bytes(spoilt)
    assert compiles(tmp_path).returncode == 1
    assert [*tmp_path.glob("*/*.pb")] == []
    assert compiles(tmp_path).stdout == "3.0\n"


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    told = compiles(tmp_path, "full")
    assert told.returncode == 2
    assert "the compilation cache cannot be written" in told.stderr and "Traceback" not in told.stderr


def test_the_oldest_go_first(tmp_path):
    use(tmp_path, "one", "two")
    for path, age in zip(sorted(tmp_path.glob("*/*.pb"), key=lambda path: path.name[64:]), (1000, 2000), strict=True):
        os.utime(path, (age, age))
    limited = "\nimport electra_tf.training.compilation_cache as cache; cache.MOST_BYTES = 8; keep_programs()"
    use(tmp_path, "three", end=limited)
    assert kept(tmp_path) == ["three.pb", "two.pb"]


@pytest.mark.slow
def test_a_loaded_program_computes_what_a_new_one_does(tmp_path, quick_data):
    """The same weights, bit for bit, without a cache, with an empty one and with a full one; and not a program more."""
    states, counts = [], []
    for run, cache in enumerate(["", *[tmp_path / "a cache"] * 3]):
        command = ["pretrain", "--gin_file", "electra_tiny", "--data", str(quick_data), "--model_dir", f"{run}"]
        command += ["--gin_param", "Recipe.steps = 3", "--gin_param", "Recipe.batch_size = 8"]
        environment = os.environ | {"ELECTRA_TF_COMPILATION_CACHE": str(cache)}
        program = [sys.executable, "-m", "electra_tf", *command]
        subprocess.run(program, cwd=tmp_path, env=environment, check=True, capture_output=True)
        state = tmp_path / f"{run}" / "checkpoints/step-00000003/state.safetensors"
        states.append(hashlib.sha256(state.read_bytes()).hexdigest())
        counts.append(len(kept(tmp_path / "a cache")))
    assert len(set(states)) == 1
    # Most are found again. The name of a program holds a number, and that of a few depends on how fast others were.
    assert counts[1] > 20 and counts[2] < 1.5 * counts[1]
