"""Folders of transformers: its classes compute what ours do, every form is read back, no other folder is harmed."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import CONFIGS

from electra_tf.checkpoints.containers.safetensors import numpy_type, read_tensors, write_tensors
from electra_tf.checkpoints.loaded_model import pretrained
from electra_tf.checkpoints.reading import load_tower
from electra_tf.checkpoints.transformers_folder import (
    FORMS,
    read_folder,
    read_shapes,
    read_weights,
    weights_file,
    write_folder,
)
from electra_tf.checkpoints.translation import tower_weights
from electra_tf.checkpoints.weight_names import TOWERS
from electra_tf.errors import CheckpointError, ConfigError, OutputError
from electra_tf.models import EncoderConfig
from electra_tf.text.added_tokens import AddedToken, as_special
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sea", "cap", "##tain", "."]


def _snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _batch(config):
    """Ids, mask and types: two segments, and a row with padding."""
    rng = np.random.default_rng(1)
    ids = rng.integers(0, config.vocab_size, (3, 11))
    mask = np.ones_like(ids)
    mask[1, 7:] = 0
    types = np.zeros_like(ids)
    types[:, 5:] = 1
    return ids, mask, types


def _ours(config, tower, weights):
    model = pretrained(tower, config, weights).build()
    ids, mask, types = _batch(config)
    return np.asarray(model(ids.astype("int32"), mask.astype("int32"), types.astype("int32"))), mask == 1


def _open(model_class, folder):
    """A model of transformers, and what its loader complained of."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    model, report = getattr(transformers, model_class).from_pretrained(folder, output_loading_info=True)
    return model.eval(), report


def _theirs(model, config):
    import torch

    ids, mask, types = map(torch.tensor, _batch(config))
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask, token_type_ids=types)


def _assert_close(theirs, ours, rows):
    difference = np.abs(theirs - ours)[rows].max()
    assert difference <= 1e-5 * max(1, np.abs(theirs[rows]).max())


_CLASSES = {
    ("electra", "generator"): "ElectraForMaskedLM",
    ("electra", "discriminator"): "ElectraForPreTraining",
    ("albert", "generator"): "AlbertForMaskedLM",
}
_HELD = [(name, tower) for name, c in CONFIGS.items() for tower in TOWERS if (c.model_type, tower) in _CLASSES]


@pytest.mark.parametrize(("name", "tower"), _HELD)
def test_transformers_computes_our_logits(make_weights, name, tower, tmp_path):
    config = CONFIGS[name]
    weights, model_class = make_weights(config, config), _CLASSES[config.model_type, tower]
    write_folder(tmp_path / "hf", pretrained(tower, config, weights))
    assert json.loads((tmp_path / "hf/config.json").read_text())["architectures"] == [model_class]
    model, report = _open(model_class, tmp_path / "hf")
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    ours, rows = _ours(config, tower, weights)
    _assert_close(_theirs(model, config).logits.numpy(), ours, rows)


def test_an_albert_discriminator_is_an_albert_model(make_weights, tmp_path):
    config = EncoderConfig("albert", 40, 8, 12, 2, 2, 24, max_position_embeddings=20)
    weights = make_weights(config, config)
    write_folder(tmp_path / "hf", pretrained("discriminator", config, weights))
    model, report = _open("AlbertModel", tmp_path / "hf")
    assert not report["missing_keys"]
    assert {name.split(".")[0] for name in report["unexpected_keys"]} == {"discriminator_predictions"}
    tower = pretrained("discriminator", config, weights)
    ids, mask, types = _batch(config)
    ours = tower.build_encoder()(ids.astype("int32"), mask.astype("int32"), types.astype("int32"))
    _assert_close(_theirs(model, config).last_hidden_state.numpy(), np.asarray(ours), mask == 1)


def test_what_is_written_is_read_back_bit_for_bit(config, tower, weights, tmp_path):
    write_folder(tmp_path / "hf", pretrained(tower, config, weights))
    again = read_folder(tmp_path / "hf")
    assert (again.config, again.tower) == (config, tower)
    expected = tower_weights(weights, tower)
    assert again.tower_weights().keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(again.tower_weights()[name], array, err_msg=name)


@pytest.mark.parametrize("form, dtype", [(f, d) for f in FORMS for d in ("float32", "float16", "bfloat16")][:-1])
def test_every_form_holds_the_same_tensors(config, tower, weights, tmp_path, form, dtype):
    """Half precision comes back as float32, and written again as the same half precision."""
    if form == "bin":
        pytest.importorskip("torch")
    write_folder(tmp_path / "hf", pretrained(tower, config, weights), form=form, dtype=dtype)
    again = read_folder(tmp_path / "hf")
    assert (again.config, again.tower) == (config, tower)
    for name, array in tower_weights(weights, tower).items():
        np.testing.assert_array_equal(
            again.tower_weights()[name], array.astype(numpy_type(dtype)).astype("float32"), err_msg=name
        )
    assert {found for found, _ in read_shapes(weights_file(tmp_path / "hf")).values()} == {dtype}


def test_large_weights_come_in_shards_that_transformers_opens(config, tower, weights, tmp_path):
    write_folder(tmp_path / "hf", pretrained(tower, config, weights), shard_bytes=2000)
    assert len(list((tmp_path / "hf").glob("model-*-of-*.safetensors"))) > 2
    again = read_folder(tmp_path / "hf")
    for name, array in tower_weights(weights, tower).items():
        np.testing.assert_array_equal(again.tower_weights()[name], array, err_msg=name)
    if (config.model_type, tower) in _CLASSES:
        _, report = _open(_CLASSES[config.model_type, tower], tmp_path / "hf")
        assert not report["missing_keys"] and not report["unexpected_keys"]
    next((tmp_path / "hf").glob("model-*")).unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        read_folder(tmp_path / "hf")


@pytest.mark.parametrize("form", ["bin", "h5"])
def test_what_the_forms_own_reader_says(config, tower, weights, tmp_path, form):
    """PyTorch loads the .bin without a warning, h5py lists what Keras 2 would have written."""
    torch = pytest.importorskip("torch")
    write_folder(tmp_path / "hf", pretrained(tower, config, weights), form=form)
    write_folder(tmp_path / "st", pretrained(tower, config, weights))
    expected = read_tensors(tmp_path / "st" / "model.safetensors")
    if form == "bin":
        found = torch.load(tmp_path / "hf" / "pytorch_model.bin", weights_only=True)
        assert {name: tuple(t.shape) for name, t in found.items()} == {n: a.shape for n, a in expected.items()}
        assert all(np.array_equal(found[name].numpy(), array) for name, array in expected.items())
    else:
        assert read_shapes(tmp_path / "hf" / "tf_model.h5").keys() >= expected.keys()


@pytest.mark.slow
def test_transformers_tensorflow_classes_compute_our_logits_from_h5(make_weights, tmp_path):
    """In a process of their own, since they need Keras 2. They name no missing and no unexpected weight."""
    pytest.importorskip("tf_keras")
    cases = {}
    for name, tower in _HELD:
        config = CONFIGS[name]
        weights, folder = make_weights(config, config), tmp_path / f"{name}-{tower}"
        write_folder(folder, pretrained(tower, config, weights), form="h5")
        np.savez(folder.with_suffix(".npz"), *_batch(config))
        cases[folder] = (config, tower, weights)
    command = [sys.executable, Path(__file__).with_name("tensorflow_classes.py")]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([*command, *cases], env=environment, check=True)
    for folder, (config, tower, weights) in cases.items():
        theirs = np.load(folder.with_suffix(".out.npz"))
        assert not theirs["missing"].size and not theirs["unexpected"].size
        ours, rows = _ours(config, tower, weights)
        _assert_close(theirs["logits"], ours, rows)


def test_what_transformers_saves_is_read(config, weights, tmp_path):
    name = {"electra": "ElectraForMaskedLM", "albert": "AlbertForMaskedLM"}[config.model_type]
    write_folder(tmp_path / "hf", pretrained("generator", config, weights))
    model, _ = _open(name, tmp_path / "hf")
    model.save_pretrained(tmp_path / "saved")
    again = read_folder(tmp_path / "saved")
    assert again.config.to_dict() == config.to_dict()
    for name, array in tower_weights(weights, "generator").items():
        np.testing.assert_array_equal(again.tower_weights()[name], array, err_msg=name)


@pytest.fixture
def electra():
    return EncoderConfig(
        vocab_size=40,
        embedding_size=8,
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=24,
        max_position_embeddings=20,
    )


@pytest.fixture
def folder(electra, make_weights, tmp_path):
    """A generator's folder with tokenizer and model card."""
    model = pretrained("generator", electra, make_weights(electra, electra))
    write_folder(tmp_path / "hf", model, WordPieceTokenizer(WORDS), "# A model\n")
    return tmp_path / "hf"


def _change(folder, change):
    tensors = read_tensors(folder / "model.safetensors")
    change(tensors)
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})


def test_the_folder_holds_the_standard_files_and_the_tokenizers_ids(folder):
    transformers = pytest.importorskip("transformers")
    assert sorted(path.name for path in folder.iterdir()) == [
        ".electra_tf.json",
        "README.md",
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer("the [MASK] captain.")["input_ids"] == [2, 5, 4, 7, 8, 9, 3]
    assert tokenizer.model_max_length == 20


def test_the_padding_id_is_the_tokenizers(electra, make_weights, tmp_path):
    words = [*WORDS[1:], WORDS[0]]
    model = pretrained("generator", electra, make_weights(electra, electra))
    write_folder(tmp_path / "hf", model, WordPieceTokenizer(words))
    assert json.loads((tmp_path / "hf/config.json").read_text())["pad_token_id"] == 9


@pytest.mark.parametrize("place", ["tokenizer_config.json", "config.json"])
def test_a_tokenizer_of_another_class_is_copied_unread_and_told(electra, make_weights, tmp_path, place):
    said = {"tokenizer_class": "BertJapaneseTokenizer"}
    theirs = {"vocab.txt": "\n".join(["[PAD]", "東京"]), "tokenizer_config.json": '{"word_tokenizer_type": "mecab"}'}
    (tmp_path / "m").mkdir()
    for name, content in theirs.items():
        (tmp_path / "m" / name).write_text(content, "utf-8")
    before = json.loads((tmp_path / "m" / place).read_text()) if (tmp_path / "m" / place).exists() else {}
    (tmp_path / "m" / place).write_text(json.dumps(before | said))
    notes = []
    model = pretrained("generator", electra, make_weights(electra, electra))
    write_folder(tmp_path / "hf", model, tmp_path / "m", say=notes.append)
    assert (tmp_path / "hf/vocab.txt").read_text("utf-8") == theirs["vocab.txt"]
    written = json.loads((tmp_path / "hf/tokenizer_config.json").read_text())
    assert written == {"word_tokenizer_type": "mecab"} | said
    (note,) = notes
    assert "BertJapaneseTokenizer" in note and "copied unread (vocab.txt, tokenizer_config.json)" in note


def test_added_tokens_are_written_with_a_model_that_has_their_rows(electra, make_weights, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokens = [AddedToken(len(WORDS), "covid"), as_special(len(WORDS) + 1, "[E1]")]
    model = pretrained("generator", electra, make_weights(electra, electra))
    for _ in range(2):  # the second replaces the first
        write_folder(tmp_path / "hf", model, WordPieceTokenizer(WORDS, added=tokens))
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")("[E1] the covid")["input_ids"]
    assert ids == [2, 11, 5, 10, 3]
    tokens = [AddedToken(len(WORDS) + i, f"t{i}") for i in range(electra.vocab_size - len(WORDS) + 1)]
    with pytest.raises(ConfigError, match="the vocabulary has 41 tokens, the model 40"):
        write_folder(tmp_path / "more", model, WordPieceTokenizer(WORDS, added=tokens))


def test_repeated_tensors_are_accepted_where_they_are_equal(folder):
    def repeat(tensors):
        tensors["generator_lm_head.weight"] = tensors["electra.embeddings.word_embeddings.weight"]
        tensors["electra.embeddings.position_ids"] = np.arange(20)[None]

    before = read_folder(folder).weights
    _change(folder, repeat)
    after = read_folder(folder).weights
    assert before.keys() == after.keys()


def test_a_tied_tensor_that_differs_is_an_error_that_says_by_how_much(folder):
    def differ(tensors):
        tensors["generator_lm_head.weight"] = tensors["electra.embeddings.word_embeddings.weight"] + 0.5

    _change(folder, differ)
    with pytest.raises(CheckpointError, match=r"generator_lm_head.weight .* differ by up to 0.5"):
        read_folder(folder)


def test_layer_norms_under_their_old_names_are_read(folder):
    def rename(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)

    before = read_folder(folder).weights
    _change(folder, rename)
    after = read_folder(folder).weights
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def test_a_learnt_projection_between_equal_widths_cannot_be_held(make_weights, tmp_path):
    config = EncoderConfig("albert", 40, 8, 8, 2, 2, 24, max_position_embeddings=20)
    write_folder(tmp_path / "hf", pretrained("generator", config, make_weights(config, config)))

    def learn(tensors):
        tensors["albert.encoder.embedding_hidden_mapping_in.bias"] += 0.25

    _change(tmp_path / "hf", learn)
    with pytest.raises(CheckpointError, match=r"mapping_in.bias is not equal to the identity.*0.25"):
        read_folder(tmp_path / "hf")


def test_a_configuration_that_contradicts_the_tensors_is_an_error(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 41}))
    with pytest.raises(CheckpointError, match=r"word_embeddings.weight is \[40, 8\], expected \[41, 8\]"):
        read_folder(folder)


def test_a_model_of_another_family_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="the model's type is 'bert'"):
        read_folder(folder)


def test_a_model_without_a_pretraining_head_is_refused(folder):
    def behead(tensors):
        for name in [name for name in tensors if name.startswith("generator_")]:
            del tensors[name]

    _change(folder, behead)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["ElectraModel"]}))
    with pytest.raises(CheckpointError, match="no pre-training head, only its encoder"):
        load_tower(folder, "generator")


def test_weights_in_another_format_are_named(folder):
    (folder / "model.safetensors").rename(folder / "flax_model.msgpack")
    with pytest.raises(CheckpointError, match=r"no weights that are read here, only flax_model\.msgpack"):
        read_folder(folder)


def test_a_file_in_the_clothes_of_another_format_is_an_error(folder):
    for name in ("pytorch_model.bin", "tf_model.h5"):
        (folder / name).write_bytes((folder / "model.safetensors").read_bytes())
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
            read_weights(folder / name)


def test_an_exported_folder_is_replaced_whole(folder, electra, make_weights):
    write_folder(folder, pretrained("discriminator", electra, make_weights(electra, electra)))
    assert sorted(path.name for path in folder.iterdir()) == [
        ".electra_tf.json",
        "config.json",
        "model.safetensors",
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["hf"]


def test_a_folder_with_something_else_in_it_is_left_alone(folder, electra, make_weights):
    (folder / "thesis.tex").write_text("years of work")
    before = _snapshot(folder)
    with pytest.raises(OutputError, match=r"thesis.tex"):
        write_folder(folder, pretrained("discriminator", electra, make_weights(electra, electra)))
    assert _snapshot(folder) == before


def test_a_full_disk_leaves_the_folder_as_it_was(folder, electra, make_weights):
    before = _snapshot(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match="the folder cannot be written"):
            write_folder(folder, pretrained("discriminator", electra, make_weights(electra, electra)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _snapshot(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["hf"]


def test_weights_that_do_not_fit_write_nothing(electra, make_weights, tmp_path):
    weights = make_weights(electra, electra)
    del weights["replaced_token/dense/bias"]
    with pytest.raises(CheckpointError, match="replaced_token/dense/bias"):
        write_folder(tmp_path / "hf", pretrained("discriminator", electra, weights))
    assert not list(tmp_path.iterdir())


def test_a_generator_whose_head_transformers_computes_otherwise_is_refused(electra, make_weights, tmp_path):
    config = electra.replace(hidden_act="relu")
    with pytest.raises(ConfigError, match="hidden_act is 'relu'"):
        write_folder(tmp_path / "hf", pretrained("generator", config, make_weights(config, config)))
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)))
    assert read_folder(tmp_path / "hf").config.hidden_act == "relu"


def test_a_tokenizer_of_another_model_is_refused(electra, make_weights, tmp_path):
    words = WORDS + [f"word{i}" for i in range(40)]
    model = pretrained("generator", electra, make_weights(electra, electra))
    with pytest.raises(ConfigError, match="the vocabulary has 50 tokens, the model 40"):
        write_folder(tmp_path / "hf", model, WordPieceTokenizer(words))
