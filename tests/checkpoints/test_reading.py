"""What a path holds is recognised, and any format opens as an encoder or as a Keras model with its head."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from electra_tf import Encoder, convert, load_model, load_tokenizer
from electra_tf.checkpoints import load_encoder, load_tower, pretrained, recognise, write_folder
from electra_tf.checkpoints.run_checkpoints import WEIGHTS, write_checkpoint
from electra_tf.checkpoints.translation import tower_weights
from electra_tf.errors import CheckpointError, ConfigError, InputError
from electra_tf.models import MaskedLanguageModel, ReplacedTokenDetector, named_variables

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def _assert_holds(encoder, weights, tower):
    for name, variable in named_variables(encoder).items():
        np.testing.assert_array_equal(variable.numpy(), weights[f"{tower}/{name}"], err_msg=name)


@pytest.fixture
def run(config, make_weights, tmp_path):
    """(run directory, weights of its newest checkpoint): embeddings shared."""
    weights = make_weights(config, config, "all")
    for step in (10, 20):
        state = {f"{WEIGHTS}{name}": array + (20 - step) for name, array in weights.items()}
        write_checkpoint(tmp_path / "run", step, state | {"adam_m/x": np.zeros(2, "float32")}, {})
    fields = dataclasses.asdict(config)
    description = {
        "format_version": 2,
        "towers": {"discriminator": fields, "generator": fields},
        "heads": {"discriminator": ["replaced_token"], "generator": ["masked_lm"]},
        "shared": {"generator/embeddings/": "discriminator/embeddings/"},
    }
    (tmp_path / "run/run.json").write_text(json.dumps(description))
    return tmp_path / "run", weights


def test_an_encoder_of_a_run_has_its_newest_weights(run, config, tower):
    path, weights = run
    encoder = load_encoder(path, tower)
    assert encoder.config == config
    _assert_holds(encoder, tower_weights(weights, tower), tower)


@pytest.mark.slow
def test_any_format_is_a_keras_model_with_its_head(run, config, tower, tmp_path):
    path, weights = run
    (keras_file,) = convert(path, tmp_path / "model.keras", "keras", tower=tower)
    write_folder(tmp_path / "hf", pretrained(tower, config, weights))
    kind = {"discriminator": ReplacedTokenDetector, "generator": MaskedLanguageModel}[tower]
    for source in (path, keras_file, tmp_path / "hf"):
        model = load_model(source, tower)
        assert type(model) is kind
        for name, array in tower_weights(weights, tower).items():
            ours = name.replace(f"{tower}/", "encoder/", 1)
            np.testing.assert_array_equal(named_variables(model)[ours], array, err_msg=name)
    assert type(load_model(keras_file, compile=False)) is kind


def test_the_tokenizer_is_found_where_each_format_has_it(run, quick_vocab):
    path, _ = run
    shutil.copytree(quick_vocab, path / "tokenizer")
    beside = path.parent / "tf1"
    beside.mkdir()
    (beside / "model.ckpt.index").touch()
    with pytest.raises(InputError, match="there is no tokenizer beside the checkpoint"):
        load_tokenizer(beside)
    shutil.copy(quick_vocab / "vocab.txt", beside)
    expected = load_tokenizer(quick_vocab)
    for place in (path, path / "tokenizer", beside, beside / "model.ckpt", beside / "vocab.txt"):
        assert load_tokenizer(place).fingerprint == expected.fingerprint
    assert not load_tokenizer(path, lower_case=False).settings.lower_case


def test_a_run_whose_configuration_is_not_its_weights_is_an_error(run):
    path, _ = run
    run_json = json.loads((path / "run.json").read_text())
    run_json["towers"]["discriminator"]["vocab_size"] += 1
    (path / "run.json").write_text(json.dumps(run_json))
    with pytest.raises(CheckpointError, match=r"discriminator/embeddings/word/embeddings is \[40, 8\]"):
        load_tower(path)


def test_an_encoder_of_a_hugging_face_folder_has_its_weights(config, tower, weights, tmp_path):
    write_folder(tmp_path / "hf", pretrained(tower, config, weights))
    _assert_holds(Encoder.from_pretrained(tmp_path / "hf", tower), weights, tower)


@pytest.mark.parametrize("folder", ["electra_tied", "electra_untied_embeddings"])
def test_an_encoder_of_a_tf1_checkpoint_has_its_weights(folder, tower):
    import tensorflow as tf

    encoder = load_encoder(GOLDEN / folder / "final.ckpt", tower)
    reader = tf.train.load_checkpoint(str(GOLDEN / folder / "final.ckpt"))
    names = {"discriminator": "electra", "generator": "generator"}
    kernel = reader.get_tensor(f"{names[tower]}/encoder/layer_1/output/dense/kernel")
    np.testing.assert_array_equal(encoder.transformer.blocks[1].feed_forward.output_dense.kernel, kernel)


def test_settings_reach_the_configuration_of_a_tf1_checkpoint(tower):
    loaded = load_tower(GOLDEN / "electra_tied/final.ckpt", tower, {"num_attention_heads": 2})
    assert loaded.config.num_attention_heads == 2


def test_keyword_arguments_reach_the_encoder(weights, config, tmp_path):
    write_folder(tmp_path / "hf", pretrained("discriminator", config, weights))
    encoder = load_encoder(tmp_path / "hf", name="mine", dtype="mixed_bfloat16")
    assert (encoder.name, encoder.compute_dtype) == ("mine", "bfloat16")


def test_a_tower_that_is_not_there_is_an_error_that_says_which_is(config, weights, tmp_path):
    write_folder(tmp_path / "hf", pretrained("discriminator", config, weights))
    for load in (load_tower, load_encoder):
        with pytest.raises(CheckpointError, match="no generator here, only a discriminator"):
            load(tmp_path / "hf", "generator")


def test_an_unknown_tower_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no tower 'ltr'"):
        load_tower(tmp_path, "ltr")


def test_a_vocabulary_is_no_model(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    with pytest.raises(CheckpointError, match="this is a vocabulary, not a model"):
        load_tower(tmp_path)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["run.json", "tokenizer/vocab.txt"], "run_directory"),
        (["manifest.json", "vocab.txt"], "data_set"),
        (["config.json", "model.safetensors", "vocab.txt"], "transformers_folder"),
        (["config.json", "tf_model.h5"], "transformers_folder"),
        (["model.ckpt-7.index", "checkpoint"], "tf1"),
        (["tokenizer.json"], "vocabulary"),
    ],
)
def test_a_folder_is_recognised_by_what_it_holds(files, kind, tmp_path):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert recognise(tmp_path) == kind


def test_a_prefix_an_index_and_a_vocabulary_are_recognised(tmp_path):
    (tmp_path / "model.ckpt.index").touch()
    (tmp_path / "vocab.txt").touch()
    assert recognise(tmp_path / "model.ckpt") == recognise(tmp_path / "model.ckpt.index") == "tf1"
    assert recognise(tmp_path / "vocab.txt") == "vocabulary"


def test_where_nothing_is_recognised_it_is_said_what_was_looked_for(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"(?s)run.json.*manifest.json.*model.safetensors.*PREFIX.index"):
            recognise(path)


def test_importing_the_package_loads_neither_keras_nor_tensorflow():
    code = "import sys, electra_tf.checkpoints; print({'keras', 'tensorflow', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
