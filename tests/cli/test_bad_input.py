"""What people get wrong. Each time: exit status 2, no traceback, place and remedy named, older outputs unchanged."""

import hashlib
import json
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from electra_tf.checkpoints.run_checkpoints import list_checkpoints, read_checkpoint
from electra_tf.data.builder import build_data
from electra_tf.seals import sealed
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
SETTINGS = {
    "Electra.discriminator": SIZES,
    "Recipe.steps": 2,
    "Recipe.batch_size": 8,
    "Schedule.warmup_steps": 0,
    "Recipe.compiler": "eager",
    "Recipe.checkpoint_every": 1,
    "Recipe.eval_examples": 0,
}


def pretraining(data, model_dir, **changes):
    """The arguments of a short run of a tiny model."""
    settings = SETTINGS | {name.replace("__", "."): value for name, value in changes.items()}
    params = [f"--gin_param={name} = {value!r}" for name, value in settings.items()]
    return ["pretrain", "--gin_file=electra_tiny", *params, f"--data={data}", f"--model_dir={model_dir}"]


def hashes(folder):
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.stat().st_size < 1e7)
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def refused(electra_tf, tmp_path):
    """A function: runs a command that must be refused. All `words` must be in what it says."""

    def run(*arguments, words):
        before = hashes(tmp_path)
        done = electra_tf(*arguments)
        assert done.returncode == 2, done.stderr
        message = done.stderr[done.stderr.index("error: ") :]
        assert "Traceback" not in done.stderr
        for word in ("\n  where: ", "\n  what to do: ", *map(str, words)):
            assert word in message, f"{word!r} is not in\n{message}"
        after = hashes(tmp_path)
        assert before.items() <= after.items()

    return run


@pytest.fixture(scope="session")
def short_run(electra_tf, quick_data, tmp_path_factory):
    """A run of two steps. Not to be changed."""
    model_dir = tmp_path_factory.mktemp("short") / "run"
    done = electra_tf(*pretraining(quick_data, model_dir))
    assert done.returncode == 0, done.stderr
    return model_dir


@pytest.fixture
def begun(short_run, tmp_path):
    """A copy of the run of two steps."""
    return shutil.copytree(short_run, tmp_path / "run")


# ---- Text

CORPORA = {
    "missing": (None, ["no file matches"]),
    "empty": (b"", ["holds no text"]),
    "blank": (b" \n\n\t\n", ["holds no text"]),
    "not UTF-8": (b"good\nna\xefve\n", ["byte 0xef is not UTF-8", "line 2"]),
    "NUL bytes": (b"good\n\ngo\x00d\n", ["a NUL byte", "line 3"]),
    "a line of 50 MB": (b"good\n" + b"word " * 10_000_000, ["8"]),
}


@pytest.fixture(params=CORPORA)
def bad_corpus(request, tmp_path):
    content, words = CORPORA[request.param]
    path = tmp_path / "corpus.txt"
    if content is not None:
        path.write_bytes(content)
    return path, [*words, path]


def test_a_vocabulary_is_not_made_of_such_text(refused, bad_corpus, quick_vocab, tmp_path):
    corpus, words = bad_corpus
    shutil.copytree(quick_vocab, tmp_path / "vocab")
    refused("vocab", f"--input={corpus}", f"--output={tmp_path / 'vocab'}", "--overwrite", words=words)


def test_data_are_not_made_of_such_text(refused, bad_corpus, quick_vocab, quick_data, tmp_path):
    corpus, words = bad_corpus
    shutil.copytree(quick_data, tmp_path / "older")
    output = tmp_path / "data"
    refused("data", f"--input={corpus}", f"--vocab={quick_vocab}", f"--output={output}", "--processes=0", words=words)
    assert not output.exists()


# ---- Vocabularies


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_vocabulary_without_a_special_token_is_refused(refused, quick_text, quick_vocab, tmp_path, token):
    tokens = Tokenizer.from_pretrained(quick_vocab).vocabulary
    vocab = tmp_path / "vocab.txt"
    vocab.write_text("".join(f"{other}\n" for other in tokens if other != token))
    arguments = ["data", f"--input={quick_text}", f"--vocab={vocab}", f"--output={tmp_path / 'data'}"]
    refused(*arguments, words=[f"the vocabulary lacks {token}", vocab])


def test_a_vocabulary_that_does_not_match_the_data_is_refused(refused, quick_data, begun, tmp_path):
    data = shutil.copytree(quick_data, tmp_path / "data")
    tokens = Tokenizer.from_pretrained(data / "vocab").vocabulary
    WordPieceTokenizer([*tokens[:-2], tokens[-1], tokens[-2]]).save(data / "vocab")
    refused(*pretraining(data, begun), words=["does not match the data", data / "vocab"])


# ---- Records


def damage(data, change):
    """Changes the bytes of every shard of a split of training examples."""
    for path in data.glob("train-*"):
        content = bytearray(path.read_bytes())
        path.write_bytes(change(content))


def test_a_cut_off_file_of_records_is_refused_by_name(refused, quick_data, begun, tmp_path):
    data = shutil.copytree(quick_data, tmp_path / "data")
    damage(data, lambda content: content[:-7])
    last = json.loads((data / "manifest.json").read_text())["shards"]
    name, count = next((shard["name"], shard["examples"]) for shard in last if shard["split"] == "train")
    refused(*pretraining(data, begun), words=["a record is cut short", f"{data / name}, record {count - 1}"])


def test_a_flipped_bit_in_a_record_is_found_and_its_file_and_record_named(refused, quick_data, tmp_path):
    data = shutil.copytree(quick_data, tmp_path / "data")
    size = 0

    def flip(content):
        nonlocal size
        size = 16 + int.from_bytes(content[:8], "little")  # all records are about as long
        content[3 * size + 40] ^= 4
        return content

    damage(data, flip)
    refused(
        *pretraining(data, tmp_path / "new", Recipe__steps=300),
        words=["does not match its checksum", data / "train-0000", ", record ", ", byte "],
    )


# ---- Settings


def test_examples_longer_than_the_positions_are_refused(refused, quick_data, begun):
    refused(
        *pretraining(quick_data, begun, Electra__discriminator=SIZES | {"max_position_embeddings": 16}),
        words=["the examples are 32 tokens long, the discriminator has 16 positions", quick_data],
    )


def test_heads_that_do_not_divide_are_refused(electra_tf, quick_data, begun):
    before = hashes(begun)
    done = electra_tf(*pretraining(quick_data, begun, Electra__discriminator=SIZES | {"num_attention_heads": 3}))
    assert done.returncode == 2
    assert "num_attention_heads is 3" in done.stderr
    assert "expected:   a divisor of hidden_size 16" in done.stderr
    assert hashes(begun) == before


@pytest.mark.parametrize(
    "binding, words",
    [("Recipe.stepz = 3", "stepz"), ("Recipe.steps = %many", "many"), ("step = 3", "nothing uses step")],
    ids=["unknown name", "unknown macro", "unused binding"],
)
def test_unknown_names_and_unused_bindings_of_gin_are_refused(electra_tf, quick_data, begun, binding, words):
    before = hashes(begun)
    done = electra_tf(*pretraining(quick_data, begun), f"--gin_param={binding}")
    assert done.returncode == 2
    assert words in done.stderr
    assert binding in done.stderr
    assert hashes(begun) == before


# ---- Folders that cannot be written, and full disks


@pytest.fixture(params=["below a file", "in /proc"])
def unwritable(request, tmp_path):
    (tmp_path / "file").write_text("here first")
    return {"below a file": tmp_path / "file" / "output", "in /proc": Path("/proc/output")}[request.param]


def test_a_vocabulary_cannot_be_written_there(refused, unwritable, tmp_path):
    (tmp_path / "text.txt").write_text("the captain said that the sea was calm\n" * 50)
    refused("vocab", f"--input={tmp_path / 'text.txt'}", "--size=60", f"--output={unwritable}", words=[unwritable])


def test_data_cannot_be_written_there(refused, quick_text, quick_vocab, unwritable):
    arguments = ["data", f"--input={quick_text}", f"--vocab={quick_vocab}", f"--output={unwritable}", "--processes=0"]
    refused(*arguments, words=[unwritable])


def test_a_run_cannot_be_written_there(refused, quick_data, unwritable):
    refused(*pretraining(quick_data, unwritable), words=["the run directory cannot be written", unwritable])


def test_a_model_cannot_be_converted_there(refused, short_run, unwritable):
    refused("convert", f"--input={short_run}", f"--output={unwritable}", words=[unwritable])


@contextmanager
def largest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_while_a_checkpoint_is_written_keeps_the_ones_before(electra_tf, quick_data, begun):
    checkpoints = begun / "checkpoints"
    size = (list_checkpoints(begun)[-1][1] / "state.safetensors").stat().st_size
    before = hashes(checkpoints)
    with largest_file(size // 2):
        done = electra_tf(*pretraining(quick_data, begun, Recipe__steps=3), "--extend")
    assert done.returncode == 2
    assert "error: the checkpoint of step 3 cannot be written: File too large" in done.stderr
    assert f"where:      {checkpoints / 'step-00000003'}" in done.stderr
    assert "what to do: free some space" in done.stderr
    assert hashes(checkpoints) == before
    assert {path.name for path in checkpoints.iterdir()} == {"step-00000001", "step-00000002"}


# ---- Runs that cannot go on


def test_a_checkpoint_of_another_model_is_refused(refused, quick_data, begun):
    run = json.loads((begun / "run.json").read_text())
    run["towers"]["discriminator"]["intermediate_size"] = 48
    run["settings"]["Electra"]["discriminator"]["intermediate_size"] = 48
    (begun / "run.json").write_text(json.dumps(sealed(run)))
    wider = pretraining(quick_data, begun, Electra__discriminator=SIZES | {"intermediate_size": 48})
    words = ["the checkpoint is of another model", "intermediate/kernel is [16, 32], the model's [16, 48]", begun]
    refused(*wider, words=words)


def test_another_recipe_is_refused_on_resume(refused, quick_data, begun):
    words = ["Schedule.peak: 0.002, now 0.5", "Masking.mask_prob: 0.15, now 0.3", begun / "run.json"]
    arguments = pretraining(quick_data, begun, Schedule__peak=0.5, Masking__mask_prob=0.3)
    refused(*arguments, words=words)


def test_other_data_are_refused_on_resume(refused, quick_text, quick_vocab, begun, tmp_path):
    build_data(quick_text, quick_vocab, tmp_path / "data", length=32, seed=1, processes=0)
    refused(*pretraining(tmp_path / "data", begun), words=["data: ", tmp_path / "data", begun / "run.json"])


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_only_good_checkpoints(refused, quick_data, tmp_path):
    words = ["at step", tmp_path / "new" / "checkpoints", "lower the learning rate"]
    refused(*pretraining(quick_data, tmp_path / "new", Schedule__peak=1e30, Recipe__steps=4), words=words)
    checkpoints = list_checkpoints(tmp_path / "new")
    assert checkpoints
    for _, folder in checkpoints:
        assert all(np.isfinite(tensor).all() for tensor in read_checkpoint(folder)[1].values())
