"""`electra-tf inspect`: what is told of runs, checkpoints, data, vocabularies, and what is damaged."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from electra_tf.checkpoints import read_model, write_folder
from electra_tf.checkpoints.containers.safetensors import read_tensors, write_tensors
from electra_tf.models import MaskedLanguageModel, ReplacedTokenDetector, SequenceClassifier
from electra_tf.models.encoder import count_parameters

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def _facts(electra_tf, path):
    done = electra_tf("inspect", path, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_tells_its_checkpoints_parameters_metrics_and_recipe(electra_tf, folders, towers):
    facts = _facts(electra_tf, folders / "run")
    weights = towers[2]
    assert facts["kind"] == "run directory"
    assert facts["step"] == 10
    assert facts["checkpoints"] == {"5": "readable", "10": "intact"}
    assert facts["parameters"] == sum(array.size for array in weights.values())
    assert facts["towers"]["discriminator"]["parameters"] == count_parameters(ReplacedTokenDetector(towers[0]))
    assert facts["last metrics"] == {
        "train": {"step": 10, "loss": 1.5},
        "eval": {"step": 10, "disc_auc": 0.75},
    }
    assert facts["run"]["settings"]["Recipe"] == {"steps": 10}


def test_a_damaged_checkpoint_is_told_and_the_one_before_counts(electra_tf, folders, tmp_path):
    shutil.copytree(folders / "run", tmp_path / "run")
    state = tmp_path / "run/checkpoints/step-00000010/state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    facts = _facts(electra_tf, tmp_path / "run")
    assert facts["step"] == 5
    assert facts["checkpoints"]["10"].startswith("damaged: ")


# By format: architecture; of each tower its width, depth and parameters; heads; step; number of tensors; one of these.
FORMATS = {
    "run": (
        "electra",
        {"discriminator": (16, 2, 5_145), "generator": (8, 2, 1_845)},
        ["replaced_token", "masked_lm"],
        10,
        64,
        {"weights/discriminator/transformer/block_0/attention/qkv/kernel": {"shape": [16, 48], "dtype": "float32"}},
    ),
    "generator": (
        "electra",
        {"generator": (8, 2, 2_109)},
        ["masked_lm"],
        None,
        42,
        {"electra.encoder.layer.0.intermediate.dense.weight": {"shape": [32, 8], "dtype": "float16"}},
    ),
    "tf1": (
        "electra",
        {"discriminator": (32, 3, 37_585), "generator": (8, 3, 3_529)},
        ["replaced_token", "masked_lm"],
        20,
        343,
        {"generator/embeddings_project/kernel/adam_m": {"shape": [16, 8], "dtype": "float32"}},
    ),
    "tf1 of an ALBERT": (
        "albert",
        {"generator": (32, 3, 16_914)},
        ["pooler", "masked_lm", "sentence_order"],
        None,
        32,
        {"cls/seq_relationship/output_weights": {"shape": [2, 32], "dtype": "float32"}},
    ),
    "keras": (
        "albert",
        {"discriminator": (16, 2, 2_955)},
        ["pooler", "sequence_classifier"],
        None,
        71,
        {"classifier/vars/0": {"shape": [16, 3], "dtype": "float32"}},
    ),
}


@pytest.fixture(params=FORMATS)
def checkpoint(request, folders, towers, tmp_path):
    """(path, what it holds as in `FORMATS`) of a checkpoint of each format."""
    path = folders / request.param
    if request.param == "generator":
        path = tmp_path / "half"
        write_folder(path, read_model(folders / "generator"), dtype="float16")
    elif request.param == "tf1":
        path = GOLDEN / "electra_tied/final.ckpt"
    elif request.param == "tf1 of an ALBERT":
        path = GOLDEN.parents[2] / "shared/data/golden/albert_outputs/e_lt_h"
        if not path.is_dir():
            pytest.skip("the reference data are not here")
    elif request.param == "keras":
        path = tmp_path / "model.keras"
        model = SequenceClassifier(towers[0].replace(model_type="albert", num_hidden_groups=1), num_labels=3)
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)  # its slots are tensors, and no parameters
        model.save(path)
    return path, FORMATS[request.param]


def test_every_format_tells_of_its_model_under_the_same_names(electra_tf, checkpoint):
    path, (architecture, towers, heads, step, tensors, _) = checkpoint
    facts = _facts(electra_tf, path)
    sizes = {
        name: (tower["hidden_size"], tower["num_hidden_layers"], tower["parameters"])
        for name, tower in facts["towers"].items()
    }
    assert (facts["architecture"], sizes, facts["heads"]) == (architecture, towers, heads)
    assert facts["parameters"] == sum(parameters for *_, parameters in towers.values())
    assert facts["dtype"] == ["float16" if path.name == "half" else "float32"]
    assert (facts.get("step"), facts["tensors"]) == (step, tensors)


def test_on_demand_every_tensor_is_listed_with_shape_and_type(electra_tf, checkpoint):
    path, (*_, count, some) = checkpoint
    done = electra_tf("inspect", path, "--tensors", "--json")
    tensors = json.loads(done.stdout)["tensors"]
    assert len(tensors) == count
    assert some.items() <= tensors.items()
    lines = [line.split(maxsplit=1) for line in electra_tf("inspect", path, "--tensors").stdout.splitlines()]
    for name, tensor in tensors.items():
        assert [name, f"{tensor['shape']} {tensor['dtype']}"] in lines


@pytest.fixture
def data(folders, tmp_path):
    from electra_tf.data.builder import build_data

    documents = ["the captain looked at the sea.\n" * n for n in range(1, 21)]
    (tmp_path / "text.txt").write_text("\n".join(documents))
    vocab = folders / "run/tokenizer"
    build_data(tmp_path / "text.txt", vocab, tmp_path / "data", length=16, processes=0, held_out=0.2)
    return tmp_path / "data"


def test_a_data_set_tells_counts_fill_rate_lengths_and_decoded_examples(electra_tf, data):
    facts = _facts(electra_tf, data)
    train = facts["splits"]["train"]
    assert (facts["kind"], facts["length"]) == ("data set", 16)
    assert sum(train["lengths"].values()) == train["examples"] > 0
    assert 0.5 < train["fill rate"] <= 1
    assert all("the captain looked at the sea" in text for text in train["decoded"])


def test_the_lengths_of_a_data_set_are_drawn_as_bars(electra_tf, data):
    done = electra_tf("inspect", data)
    assert done.returncode == 0, done.stderr
    assert "█" * 40 in done.stdout
    assert "\n      [CLS] the captain" in done.stdout


def test_a_hugging_face_folder_tells_its_tower_and_parameters(electra_tf, folders, towers):
    facts = _facts(electra_tf, folders / "generator")
    assert (facts["kind"], facts["class"], [*facts["towers"]]) == (
        "Hugging Face folder",
        "ElectraForMaskedLM",
        ["generator"],
    )
    assert facts["parameters"] == count_parameters(MaskedLanguageModel(towers[1]))
    assert facts["configuration"]["architectures"] == ["ElectraForMaskedLM"]
    assert "vocab.txt" in facts["files"]


def test_a_tf1_checkpoint_tells_its_towers_step_and_slots(electra_tf):
    facts = _facts(electra_tf, GOLDEN / "electra_untied_embeddings/final.ckpt")
    assert (facts["kind"], facts["step"], facts["moments"]) == ("TF-V1 checkpoint", 20, True)
    assert facts["embedding sharing"] == "none"
    assert facts["towers"]["discriminator"]["hidden_size"] == 32
    assert facts["towers"]["generator"]["num_hidden_layers"] == 2
    assert not _facts(electra_tf, GOLDEN / "electra_tied/initial.ckpt")["moments"]


def test_what_a_folder_holds_twice_counts_once_and_buffers_do_not(electra_tf, folders, towers, tmp_path):
    shutil.copytree(folders / "generator", tmp_path / "old")
    tensors = read_tensors(tmp_path / "old/model.safetensors")
    tensors["generator_lm_head.weight"] = tensors["electra.embeddings.word_embeddings.weight"]
    tensors["electra.embeddings.position_ids"] = np.arange(16)[None]
    write_tensors(tmp_path / "old/model.safetensors", tensors)
    facts = _facts(electra_tf, tmp_path / "old")
    assert facts["parameters"] == count_parameters(MaskedLanguageModel(towers[1]))
    assert (facts["dtype"], facts["tensors"]) == (["float32"], len(tensors))


def test_a_vocabulary_tells_its_size_and_special_ids(electra_tf, folders):
    facts = _facts(electra_tf, folders / "run/tokenizer")
    assert (facts["kind"], facts["tokens"], facts["special ids"]["[MASK]"]) == ("vocabulary", 13, 4)


def test_without_json_it_is_told_in_aligned_lines(electra_tf, folders):
    done = electra_tf("inspect", folders / "run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["kind", "run", "directory"]
    assert "  discriminator" in lines
    assert any(line.startswith("    hidden_size  ") for line in lines)


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_one_path_is_wanted(electra_tf, arguments):
    done = electra_tf("inspect", *arguments)
    assert done.returncode == 2
    assert f"{len(arguments)} paths were given" in done.stderr


def test_what_is_nothing_is_a_users_error(electra_tf, tmp_path):
    done = electra_tf("inspect", tmp_path)
    assert done.returncode == 2
    assert "nothing in the folder" in done.stderr


def test_a_large_model_is_told_of_in_three_seconds_without_reading_its_weights(tmp_path):
    """A sparse file of 440 MB: only its header is there."""
    shape = [110_000, 1_000]
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * int(np.prod(shape))]}
    header = json.dumps({"discriminator_predictions.dense.weight": entry}).encode()
    with open(tmp_path / "model.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + entry["data_offsets"][1])
    (tmp_path / "config.json").write_text('{"model_type": "electra"}')
    code = "from electra_tf.cli.main import main; main()"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", tmp_path, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - began < 3
    assert json.loads(done.stdout)["parameters"] == 110_000_000


def test_a_keras_file_tells_its_class_parameters_and_configuration(electra_tf, towers, tmp_path):
    model = ReplacedTokenDetector(towers[0])
    model.save(tmp_path / "model.keras")
    facts = _facts(electra_tf, tmp_path / "model.keras")
    assert (facts["kind"], facts["class"]) == ("Keras model", "ReplacedTokenDetector")
    assert facts["parameters"] == count_parameters(model)
    assert facts["configuration"]["hidden_size"] == towers[0].hidden_size


def test_a_damaged_keras_file_is_said(electra_tf, towers, tmp_path):
    ReplacedTokenDetector(towers[0]).save(tmp_path / "model.keras")
    content = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: len(content) // 2])
    for command in (["inspect"], ["convert", "--output", tmp_path / "out", "--input"]):
        done = electra_tf(*command, tmp_path / "model.keras")
        assert done.returncode == 2
        assert "cannot be read" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["albert_base_v1", "albert_large_v1"])
def test_the_index_of_a_published_albert_tells_what_it_holds_without_its_weights(electra_tf, name):
    folder = GOLDEN.parents[2] / "shared/data/checkpoints" / name
    if not folder.is_dir():
        pytest.skip("the reference data are not here")
    done = electra_tf("inspect", folder, "--json")
    facts = json.loads(done.stdout) if not done.returncode else pytest.fail(done.stderr)
    assert facts["heads"] == ["pooler", "masked_lm", "sentence_order"]
    assert facts["tensors"] == 33  # the step is one


@pytest.mark.parametrize("command", [["inspect"], ["convert", "--output", "out", "--input"]])
def test_brightmarts_albert_is_refused_with_the_reason(electra_tf, command):
    prefix = GOLDEN.parents[2] / "shared/data/checkpoints/albert_tiny_zh_brightmart/albert_model.ckpt"
    if not prefix.with_suffix(".ckpt.index").is_file():
        pytest.skip("the reference data are not here")
    done = electra_tf(*command, prefix)
    assert done.returncode == 2
    assert "another network" in done.stderr


def test_a_shard_of_other_content_is_told_of_unless_that_is_not_asked(electra_tf, quick_data, tmp_path):
    data = shutil.copytree(quick_data, tmp_path / "data")
    assert "as they were written" in electra_tf("inspect", data).stdout
    shard = max(data.glob("*.tfrecord*"), key=lambda path: path.stat().st_size)
    content = shard.read_bytes()
    size = 16 + int.from_bytes(content[:8], "little")
    shard.write_bytes(content[size:] + content[:size])  # the first record comes last
    done = electra_tf("inspect", data)
    assert done.returncode == 2 and f"{shard.name}\n" in done.stderr
    assert "a shard holds other examples" in done.stderr
    assert "not verified" in electra_tf("inspect", "--noverify", data).stdout
