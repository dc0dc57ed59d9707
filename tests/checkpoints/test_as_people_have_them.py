"""Checkpoints as strangers hold them: wrapped, told otherwise, beside other files; and those that only seem to fit."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from in_process import run_command
from small_models import CONFIGS, random_weights

from electra_tf.checkpoints.containers.safetensors import read_tensors, write_tensors
from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.format_detection import recognise
from electra_tf.checkpoints.loaded_model import pretrained
from electra_tf.checkpoints.reading import read_model
from electra_tf.checkpoints.tensorflow_classes import to_h5_name
from electra_tf.checkpoints.torch_classes import class_of
from electra_tf.checkpoints.transformers_folder import read_shapes, weights_file, write_folder
from electra_tf.checkpoints.verify import verify
from electra_tf.errors import CheckpointError, ConfigError, InputError
from electra_tf.text.tokenizer import Tokenizer


@pytest.fixture
def folder(tmp_path):
    """A discriminator as a Hugging Face folder."""
    config = CONFIGS["electra"]
    write_folder(tmp_path / "hf", pretrained("discriminator", config, random_weights(config, config, "all")))
    return tmp_path / "hf"


def change(folder, **fields):
    """Other fields of config.json; None: without it."""
    content = json.loads((folder / "config.json").read_text()) | fields
    content = {name: value for name, value in content.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(content))


def fields_of(folder):
    return json.loads((folder / "config.json").read_text())


def equal(one, other):
    assert one.weights.keys() == other.weights.keys()
    for name, array in one.weights.items():
        np.testing.assert_array_equal(array, other.weights[name], err_msg=name)


# Configurations


def test_what_a_configuration_says_beside_the_encoder_is_kept(folder, tmp_path):
    others = {"classifier_dropout": 0.3, "task_specific_params": {"a": [1, 2]}, "of_our_own": "é", "summary_type": "x"}
    change(folder, **others)
    convert(folder, tmp_path / "out")
    assert {name: fields_of(tmp_path / "out").get(name) for name in others} == others
    said = []
    convert(folder, tmp_path / "tf1", "tf1", settings={"num_attention_heads": 2}, say=said.append)
    assert any("classifier_dropout, task_specific_params, of_our_own" in text for text in said)


def test_names_of_classes_may_be_told_by_name_alone(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    model = transformers.ElectraForSequenceClassification(
        transformers.ElectraConfig(vocab_size=9, embedding_size=8, num_labels=3, **sizes)
    )
    model.save_pretrained(tmp_path / "hf")
    change(tmp_path / "hf", id2label=None, label2id={"no": 2, "yes": 0, "perhaps": 1})
    change(tmp_path / "hf", problem_type="multi_label_classification")
    convert(tmp_path / "hf", tmp_path / "out")
    told = fields_of(tmp_path / "out")
    assert told["id2label"] == {"0": "yes", "1": "perhaps", "2": "no"}
    assert told["problem_type"] == "multi_label_classification"
    change(tmp_path / "hf", id2label=["yes", "perhaps", "no"])
    with pytest.raises(CheckpointError, match="id2label is"):
        read_model(tmp_path / "hf")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"is_decoder": True}, "is_decoder is true"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps is '1e-12'"),
        ({"layer_norm_eps": -1.0}, "layer_norm_eps is -1.0"),
        ({"initializer_range": "x"}, "initializer_range is 'x'"),
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob is '0.1'"),
        ({"num_attention_heads": True}, "num_attention_heads is True"),
        ({"pad_token_id": "x"}, "pad_token_id is 'x'"),
        ({"pad_token_id": 40}, "pad_token_id is 40"),
    ],
)
def test_a_configuration_of_something_else_is_refused(folder, fields, told):
    change(folder, **fields)
    done = run_command("convert", "--input", folder, "--output", folder.with_name("out"))
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert f"where:      {folder / 'config.json'}" in done.stderr
    assert not folder.with_name("out").exists()


def test_the_type_follows_from_the_class(folder):
    whole = read_model(folder)
    change(folder, model_type=None)
    equal(read_model(folder), whole)
    change(folder, architectures=None)
    with pytest.raises(CheckpointError, match=r'(?s)type is None.*add "model_type": "electra"'):
        read_model(folder)


def test_a_head_of_its_own_is_not_tied(tmp_path):
    config = CONFIGS["electra"]
    write_folder(tmp_path / "hf", pretrained("generator", config, random_weights(config, config)))
    file = tmp_path / "hf/model.safetensors"
    tensors = read_tensors(file)
    change(tmp_path / "hf", tie_word_embeddings=False)
    whole = read_model(tmp_path / "hf")  # without a second table there is nothing else to be meant
    table = tensors["electra.embeddings.word_embeddings.weight"]
    write_tensors(file, {**tensors, "generator_lm_head.weight": table}, {"format": "pt"})
    equal(read_model(tmp_path / "hf"), whole)
    write_tensors(file, {**tensors, "generator_lm_head.weight": table + 1}, {"format": "pt"})
    for keep in (None, "head", "embeddings"):
        with pytest.raises(CheckpointError, match="a weight of its own, as tie_word_embeddings says"):
            read_model(tmp_path / "hf", keep_tied=keep)


def test_a_source_is_verified_by_the_program_that_defines_it(folder, tmp_path):
    pytest.importorskip("transformers")
    done = run_command("convert", "--input", folder, "--to", "keras", "--output", tmp_path / "m.keras", "--verify")
    assert done.returncode == 0
    assert "verified by electra_tf, the source by transformers, as ElectraForPreTraining" in done.stdout


def test_transformers_own_file_tells_what_tf1_does_not(folder, tmp_path):
    convert(folder, tmp_path / "tf1", "tf1", settings={"num_attention_heads": 2})
    change(folder, summary_type="first", classifier_dropout=0.1, directionality="bidi", pooler_fc_size=768)
    arguments = ("convert", "--input", tmp_path / "tf1", "--output", tmp_path / "out", "--config")
    done = run_command(*arguments, folder / "config.json")
    assert done.returncode == 0, done.stderr
    assert fields_of(tmp_path / "out")["num_attention_heads"] == 2
    (tmp_path / "own.json").write_text('{"num_atention_heads": 2}')
    done = run_command(*arguments, tmp_path / "own.json")
    assert done.returncode == 2
    assert "no field num_atention_heads" in done.stderr
    assert "write num_attention_heads" in done.stderr


# Files


def test_a_tf1_folder_with_its_vocabulary_is_a_model(folder, tmp_path):
    convert(folder, tmp_path / "tf1", "tf1", settings={"num_attention_heads": 2})
    (tmp_path / "tf1/vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    assert recognise(tmp_path / "tf1") == "tf1"
    assert read_model(tmp_path / "tf1", settings={"num_attention_heads": 2}).tokenizer == tmp_path / "tf1/vocab.txt"


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (["<S>", "<T>", *"abcdert", "bert"], "capitals are lowered and accents removed"),
        ([*"abcABC", "Bert"], "capitals are kept and accents kept"),
        ([*"abcäöü", "für"], "capitals are lowered and accents kept"),
    ],
)
def test_what_the_tokens_of_a_bare_vocabulary_tell_is_said_and_written(folder, tmp_path, tokens, told):
    convert(folder, tmp_path / "tf1", "tf1", settings={"num_attention_heads": 2})
    (tmp_path / "tf1/vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens]), "utf-8")
    (tmp_path / "two_heads.json").write_text('{"num_attention_heads": 2}')
    config = ("--config", tmp_path / "two_heads.json")
    done = run_command("convert", "--input", tmp_path / "tf1", *config, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert told in done.stderr
    settings = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    strips = settings["do_lower_case"] if settings["strip_accents"] is None else settings["strip_accents"]
    words = {True: ("lowered", "removed"), False: ("kept", "kept")}
    assert told == f"capitals are {words[settings['do_lower_case']][0]} and accents {words[strips][1]}"
    done = run_command("convert", "--input", tmp_path / "out", "--output", tmp_path / "again")
    assert (done.returncode, "capitals" in done.stderr) == (0, False)


def test_an_albert_of_google_without_its_configuration_is_told_so(tmp_path):
    config = CONFIGS["albert"].replace(hidden_act="gelu_new")
    write_folder(tmp_path / "hf", pretrained("generator", config, random_weights(config, config)))
    convert(tmp_path / "hf", tmp_path / "tf1", "tf1")
    (tmp_path / "tf1/albert_config.json").rename(tmp_path / "tf1/albert_config_tiny.json")
    done = run_command("convert", "--input", tmp_path / "tf1", "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "there is no configuration beside the checkpoint" in done.stderr


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_of_a_folder_leads_to_the_folder(folder, name):
    with pytest.raises(InputError, match=re.escape(f"name {folder}")):
        recognise(folder / name)


def test_a_folder_of_the_hubs_cache_leads_to_the_newest_revision(folder, tmp_path):
    cache = tmp_path / "models--some--model"
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    for age, name in enumerate(("f00", "a11")):
        shutil.copytree(folder, cache / "snapshots" / name)
        os.utime(cache / "snapshots" / name, (1000 + age, 1000 + age))
    for path in (cache, cache / "snapshots"):
        for opened in (recognise, Tokenizer.from_pretrained):
            with pytest.raises(InputError, match="hub's cache") as error:
                opened(path)
            newest = error.value.remedy.removeprefix("name the newest: ")
            assert newest == str(cache / "snapshots/a11")
    equal(read_model(newest), read_model(folder))
    assert Tokenizer.from_pretrained(newest).vocabulary[5] == "a"


@pytest.mark.parametrize("name", ["lr=[1e-4]", "a*?", "{1,2}", "back\\slash", "x, y"])
def test_a_name_that_could_be_a_pattern_is_a_name(folder, tmp_path, name):
    settings = {"num_attention_heads": 2}
    convert(folder, tmp_path / name, "tf1", settings=settings)
    for path in (tmp_path / name, tmp_path / name / "model.ckpt"):
        assert recognise(path) == "tf1"
        equal(read_model(path, settings=settings), read_model(folder))
    assert run_command("inspect", tmp_path / name).returncode == 0
    convert(folder, tmp_path / f"{name}.keras", "keras")
    equal(read_model(tmp_path / f"{name}.keras"), read_model(folder))


@pytest.mark.parametrize("kind", ["safetensors", "a shard", "configuration", "keras", "tf1's index", "tf1's data"])
def test_a_pointer_of_git_lfs_is_told(folder, tmp_path, kind):
    settings = {"num_attention_heads": 2}
    if kind == "a shard":
        convert(folder, tmp_path / "shards", shard_bytes=2000)
        source, file = tmp_path / "shards", min((tmp_path / "shards").glob("model-*"))
    elif kind == "keras":
        source = file = tmp_path / "m.keras"
    elif kind.startswith("tf1"):
        convert(folder, tmp_path / "tf1", "tf1", settings=settings)
        source, end = tmp_path / "tf1", "index" if kind.endswith("index") else "data-00000-of-00001"
        file = source / f"model.ckpt.{end}"
    else:
        source, file = folder, folder / ("config.json" if kind == "configuration" else "model.safetensors")
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(CheckpointError, match=r"(?s)a pointer of Git LFS.*git lfs pull") as error:
        read_model(source, settings=settings if kind.startswith("tf1") else None)
    assert error.value.where == file


WRAPPED = {
    "DataParallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "Lightning": lambda state: {"epoch": 1, "state_dict": {f"model.{name}": t for name, t in state.items()}},
    "a trainer": lambda state: {"model": state, "step": 3},
    "an attribute of any name": lambda state: {f"net.discriminator.{name}": tensor for name, tensor in state.items()},
    "a compiled model": lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
}


@pytest.mark.parametrize("by", WRAPPED)
def test_a_wrapped_state_dictionary_is_unwrapped(folder, by):
    torch = pytest.importorskip("torch")
    whole = read_model(folder)
    state = {name: torch.from_numpy(a.copy()) for name, a in read_tensors(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    torch.save(WRAPPED[by](state), folder / "pytorch_model.bin")
    equal(read_model(folder), whole)
    assert read_shapes(weights_file(folder)).keys() == state.keys()


@pytest.mark.parametrize("wrapper", ["", "module.", "module._orig_mod.", "net."])
def test_what_is_left_out_of_every_weights_name_is_said(folder, tmp_path, wrapper):
    tensors = {wrapper + name: array for name, array in read_tensors(folder / "model.safetensors").items()}
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    done = run_command("convert", "--input", folder, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "every weight begins with" in line]
    assert [f"begins with {wrapper}," in line for line in said] == ([True] if wrapper else [])


def test_an_encoder_behind_another_name_is_called_so(folder):
    tensors = read_tensors(folder / "model.safetensors")
    inside = {f"net.{name.removeprefix('electra.')}": a for name, a in tensors.items() if name.startswith("electra.")}
    write_tensors(folder / "model.safetensors", inside, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"the name of every weight begins with net\."):
        read_model(folder)


def test_two_models_in_one_file_are_told(folder):
    tensors = read_tensors(folder / "model.safetensors")
    both = {f"{tower}.{n}": array for tower in ("discriminator", "generator") for n, array in tensors.items()}
    write_tensors(folder / "model.safetensors", both, {"format": "pt"})
    with pytest.raises(CheckpointError, match="two models, the discriminator and the generator"):
        read_model(folder)


def test_safetensors_with_the_names_of_tensorflows_classes(folder):
    whole, shapes = read_model(folder), read_shapes(folder / "model.safetensors")
    tensors = {
        to_h5_name(name): array.T if to_h5_name(name).endswith("/kernel:0") else array
        for name, array in read_tensors(folder / "model.safetensors").items()
    }
    assert "discriminator_predictions/dense/kernel:0" in tensors  # as TFElectraForPreTraining writes it
    write_tensors(folder / "model.safetensors", tensors, {"format": "tf"})
    equal(read_model(folder), whole)
    assert read_shapes(folder / "model.safetensors") == shapes
    pytest.importorskip("transformers")
    told = verify(folder, *convert(folder, folder.parent / "out", "safetensors"))
    assert told["difference"] == 0 and told["engine"] == "transformers"


def test_a_checkpoint_of_tensorflow_2_is_called_so(tmp_path):
    import tensorflow as tf

    tf.train.Checkpoint(weight=tf.Variable([1.0])).write(str(tmp_path / "tf2" / "ckpt-1"))
    with pytest.raises(CheckpointError, match=r"TensorFlow 2 \(tf.train.Checkpoint\)"):
        read_model(tmp_path / "tf2/ckpt-1")
    shutil.rmtree(tmp_path / "tf2")


# Keras' own settings


def test_weights_keep_their_bits_whatever_kerass_usual_type_is(folder, tmp_path):
    import keras

    whole, usual = read_model(folder), keras.config.floatx()
    keras.config.set_floatx("float16")
    try:
        convert(folder, tmp_path / "m.keras", "keras")
        found = whole.build()(np.array([[2, 5, 3]], "int32"))
        again = read_model(tmp_path / "m.keras")
    finally:
        keras.config.set_floatx(usual)
    equal(again, whole)
    np.testing.assert_array_equal(found, whole.build()(np.array([[2, 5, 3]], "int32")))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_sentences_are_answered_on_any_backend(folder, backend):
    pytest.importorskip(backend)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + "".join(f"w{n}\n" for n in range(35)))
    command = [sys.executable, "-m", "electra_tf", "detect", "--json", "--input", folder, "w1 w2"]
    answers = []
    for name in ("tensorflow", backend):
        environment = {**os.environ, "KERAS_BACKEND": name}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers.append([token["probability"] for token in json.loads(done.stdout)[0]["tokens"]])
    np.testing.assert_allclose(*answers, atol=1e-6)


def test_a_card_in_any_encoding_is_carried_over(folder, tmp_path):
    (folder / "README.md").write_bytes(b"mod\xe8le\n")
    convert(folder, tmp_path / "out")
    assert (tmp_path / "out/README.md").read_bytes() == b"mod\xe8le\n"


@pytest.mark.parametrize(
    "content", ["null", "[]", '"x"', "{", '{"hidden_act": ["gelu"]}', '{"num_hidden_layers": "x"}']
)
def test_a_damaged_configuration_of_googles_albert_is_told(tmp_path, content):
    config = CONFIGS["albert"].replace(hidden_act="gelu_new")
    write_folder(tmp_path / "hf", pretrained("generator", config, random_weights(config, config)))
    convert(tmp_path / "hf", tmp_path / "tf1", "tf1")
    (tmp_path / "tf1/albert_config.json").write_text(content)
    for to in ("tf1", "safetensors"):
        done = run_command("convert", "--input", tmp_path / "tf1", "--to", to, "--output", tmp_path / "out")
        assert done.returncode == 2, done.stderr
        assert "nobody foresaw" not in done.stderr
    assert run_command("inspect", tmp_path / "tf1").returncode in (0, 2)


# What was read as something else


def test_a_generator_whose_head_would_compute_another_activation_is_refused(tmp_path):
    config = CONFIGS["electra"]
    write_folder(tmp_path / "hf", pretrained("generator", config, random_weights(config, config, "all")))
    change(tmp_path / "hf", hidden_act="relu")
    with pytest.raises(ConfigError, match="ElectraForMaskedLM computes it"):
        read_model(tmp_path / "hf")


@pytest.mark.parametrize("name", ["AlbertForTokenClassification", "AlbertForMultipleChoice", None])
def test_the_class_that_is_named_decides_what_a_classifier_with_a_pooler_is(name):
    names = ["albert.pooler.weight", "albert.pooler.bias", "classifier.weight", "classifier.bias"]
    found = class_of(names, {"model_type": "albert", "architectures": name and [name]})
    assert found == (name or "AlbertForSequenceClassification")


def test_verification_of_a_clone_with_two_forms_runs_the_one_that_is_read(folder, tmp_path):
    pytest.importorskip("transformers")
    (folder / "tf_model.h5").write_bytes(b"of another program")
    done = run_command("convert", "--input", folder, "--to", "keras", "--output", tmp_path / "m.keras", "--verify")
    assert done.returncode == 0 and "the source by transformers" in done.stdout, done


def test_a_model_of_one_segment_is_verified(tmp_path):
    pytest.importorskip("transformers")
    config = CONFIGS["electra"].replace(type_vocab_size=1)
    write_folder(tmp_path / "hf", pretrained("discriminator", config, random_weights(config, config, "all")))
    done = run_command("convert", "--input", tmp_path / "hf", "--output", tmp_path / "again", "--verify")
    assert done.returncode == 0 and "verified by transformers" in done.stdout, done


def test_no_output_takes_the_place_of_the_folder_that_one_stands_in(folder, tmp_path, monkeypatch):
    (tmp_path / "new/within").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "new/within")
    for output in (".", ".."):
        done = run_command("convert", "--input", folder, "--output", output)
        assert done.returncode == 2 and "the folder that you are in, or above it" in done.stderr, done
    assert (tmp_path / "new/within").is_dir()
