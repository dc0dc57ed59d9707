"""What is exported does elsewhere what it does here: in transformers, on other backends, in a user's model."""

import dataclasses
import os
import shutil
import subprocess
import sys
from math import prod

import numpy as np
import pytest
from small_models import CONFIGS

from electra_tf import Encoder, convert, load_model
from electra_tf.checkpoints import pretrained, read_model, transformers_folder, write_folder
from electra_tf.checkpoints.containers.output import LIST
from electra_tf.checkpoints.containers.safetensors import write_tensors
from electra_tf.checkpoints.torch_classes import drawn_pooler
from electra_tf.checkpoints.transformers_folder import read_shapes, read_weights, weights_file
from electra_tf.checkpoints.verify import verify
from electra_tf.checkpoints.weight_names import tower_tensors
from electra_tf.cli.fill_mask import fill_mask
from electra_tf.models.presets import PRESETS
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer

HEADS = {"num_attention_heads": CONFIGS["albert_of_one_width"].num_attention_heads}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sea", "cap", "##tain", ".", "looked", "at", "of"]
SENTENCE = "The captain looked at the [MASK] ."

_FORWARD = """
import sys
import numpy as np
from electra_tf import Encoder
for folder in sys.argv[1:]:
    encoder = Encoder.from_pretrained(folder)
    with np.load(folder + ".in.npz") as file:
        inputs = [file[name] for name in ("ids", "mask", "types")]
    hidden = encoder(*inputs)
    hidden = hidden.detach().numpy() if hasattr(hidden, "detach") else np.asarray(hidden)
    np.savez(folder + ".out.npz", hidden=hidden, tensorflow="tensorflow" in sys.modules)
"""


@pytest.mark.parametrize("name", ["electra", "albert_of_one_width"])
def test_the_pipeline_of_transformers_fills_masks_as_we_do(name, make_weights, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    config, tokenizer = CONFIGS[name].replace(vocab_size=len(WORDS)), WordPieceTokenizer(WORDS)
    model = pretrained("generator", config, make_weights(config, config))
    write_folder(tmp_path / "hf", model, tokenizer)
    pipe = transformers.pipeline("fill-mask", str(tmp_path / "hf"), top_k=5)
    theirs = pipe(SENTENCE)
    (mask,) = fill_mask(model.build(), tokenizer, SENTENCE, top=5)["masks"]
    assert [p["token"] for p in mask["predictions"]] == [p["token_str"].replace(" ", "") for p in theirs]
    assert [p["id"] for p in mask["predictions"]] == [p["token"] for p in theirs]
    np.testing.assert_allclose([p["score"] for p in mask["predictions"]], [p["score"] for p in theirs], rtol=1e-5)


@pytest.mark.parametrize("tokenization", ["transformers_fast", "transformers_slow"])
def test_an_albert_goes_out_with_its_sentencepiece(tokenization, spiece_folder, make_weights, tmp_path):
    """From TF-V1 with the model beside it: the pipeline, which takes the fast tokenizer, and the slow by its class."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    config = CONFIGS["albert_of_one_width"].replace(vocab_size=3000)
    model = pretrained("generator", config, make_weights(config, config))
    write_folder(tmp_path / "hf", model)
    convert(tmp_path / "hf", tmp_path / "tf1", "tf1")
    shutil.copy(spiece_folder / "spiece.model", tmp_path / "tf1/30k-clean.model")
    (folder,) = convert(tmp_path / "tf1", tmp_path / "out", tokenization=tokenization, settings=HEADS)
    names = {file.name for file in folder.iterdir()} - {LIST}
    assert not [name for name in names if not transformers_folder._is_ours(name)]
    sentence = "In 1,000, men paid 2,000 a year for the [MASK]."
    slow = tokenization == "transformers_slow"
    kwargs = {"tokenizer": transformers.AlbertTokenizer.from_pretrained(folder)} if slow else {}
    theirs = transformers.pipeline("fill-mask", str(folder), top_k=5, **kwargs)(sentence)
    (mask,) = fill_mask(model.build(), Tokenizer.from_pretrained(folder), sentence, top=5)["masks"]
    assert [p["id"] for p in mask["predictions"]] == [p["token"] for p in theirs]
    np.testing.assert_allclose([p["score"] for p in mask["predictions"]], [p["score"] for p in theirs], rtol=1e-5)
    (back,) = convert(folder, tmp_path / "again", "h5")
    assert Tokenizer.from_pretrained(back).fingerprint == Tokenizer.from_pretrained(folder).fingerprint


def test_an_alectra_opens_as_a_classifier_with_berts_tokenizer(make_weights, tmp_path):
    """As ALECTRA was published: a discriminator of ALBERT's kind with WordPiece; nothing but the classifier is new."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    config, tokenizer = CONFIGS["albert"].replace(vocab_size=len(WORDS)), WordPieceTokenizer(WORDS)
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)), tokenizer)
    classifier, report = transformers.AlbertForSequenceClassification.from_pretrained(
        tmp_path / "hf", output_loading_info=True
    )
    assert {*report["missing_keys"]} == {"classifier.weight", "classifier.bias"}
    theirs = transformers.BertTokenizer.from_pretrained(tmp_path / "hf")
    assert theirs(SENTENCE)["input_ids"] == tokenizer.encode(SENTENCE, special_tokens_in_text=True).ids
    inputs = theirs(SENTENCE, return_tensors="pt")
    with torch.no_grad():
        hidden = classifier.eval().albert(**inputs).last_hidden_state.numpy()
    ours = Encoder.from_pretrained(tmp_path / "hf")(inputs["input_ids"].numpy().astype("int32"))
    np.testing.assert_allclose(hidden, np.asarray(ours), atol=1e-5)


@pytest.mark.parametrize("form", ["safetensors", "bin", "h5"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("model_class", [None, "AlbertModel"])
def test_a_pooler_that_no_training_made_is_drawn_once_and_for_all(form, dtype, model_class, make_weights, tmp_path):
    """It is in each file, with the same numbers in each type, and no part of what is read back."""
    pytest.importorskip("torch")
    config = CONFIGS["albert"]
    model = pretrained("discriminator", config, make_weights(config, config))
    write_folder(tmp_path / "hf", model)
    said = []
    (folder,) = convert(tmp_path / "hf", tmp_path / "out", form, dtype=dtype, model_class=model_class, say=said.append)
    tensors = read_weights(weights_file(folder))
    (kernel,) = (tensors[name] for name in tensors if name.endswith("pooler.weight"))
    (bias,) = (tensors[name] for name in tensors if name.endswith("pooler.bias"))
    np.testing.assert_array_equal(kernel, drawn_pooler(config)["pooler/dense/kernel"].T)
    assert 0.5 * config.initializer_range < kernel.std() < np.abs(kernel).max() <= 2.01 * config.initializer_range
    assert not bias.any()
    assert "there is no pooler, which AlbertModel has" in " ".join(said)
    again = read_model(folder)
    assert again.heads == (() if model_class else ("replaced_token",))
    for name, array in again.weights.items():
        np.testing.assert_array_equal(array, model.weights[name].astype(dtype).astype("float32"), err_msg=name)
    found = verify(tmp_path / "hf", folder, model_class=model_class)
    assert found["difference"] <= {"float32": 0, "float16": 1e-2}[dtype] * max(1, found["largest"])


def test_a_pooler_that_has_learned_is_read(make_weights, tmp_path):
    config = CONFIGS["albert"]
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)))
    (folder,) = convert(tmp_path / "hf", tmp_path / "alone", model_class="AlbertModel")
    tensors = read_weights(weights_file(folder))
    tensors["pooler.weight"][0, 0] += 1e-5
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    model = read_model(folder)
    assert model.heads == ("pooler",)
    np.testing.assert_array_equal(model.weights["pooler/dense/kernel"].T, tensors["pooler.weight"])


def test_alectra_small_goes_out_with_as_many_parameters_as_were_published(tmp_path):
    """Its encoder with a pooler, `AlbertModel`; by itself it also keeps the head for replaced tokens."""
    config = PRESETS["alectra_small_owt"].encoder
    fields = dataclasses.asdict(config)
    weights = {t.ours: np.zeros(t.shape("ours"), "float32") for t in tower_tensors(fields, "discriminator")}
    write_folder(tmp_path / "hf", pretrained("discriminator", config, weights))
    (alone,) = convert(tmp_path / "hf", tmp_path / "alone", model_class="AlbertModel")
    head = 256 * 256 + 256 + 256 + 1
    for folder, expected in ((tmp_path / "hf", 4_812_288 + head), (alone, 4_812_288)):
        assert sum(prod(shape) for _, shape in read_shapes(weights_file(folder)).values()) == expected


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_encoders_on_another_backend_compute_the_same(backend, make_weights, tmp_path):
    """In one process, since it is its start that takes long."""
    pytest.importorskip(backend)
    random, mask = np.random.default_rng(0), (np.arange(11) < np.array([[11], [7], [3]])).astype("int32")
    folders, inputs = [tmp_path / name for name in ("electra", "albert_with_groups")], {}
    for folder in folders:
        config = CONFIGS[folder.name]
        write_folder(folder, pretrained("generator", config, make_weights(config, config)))
        ids = random.integers(0, config.vocab_size, (3, 11)).astype("int32")
        inputs[folder] = {"ids": ids, "mask": mask, "types": (np.arange(11) > 5) * mask}
        np.savez(f"{folder}.in.npz", **inputs[folder])
    command = [sys.executable, "-c", _FORWARD, *map(str, folders)]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for folder in folders:
        ours = np.asarray(Encoder.from_pretrained(folder)(*inputs[folder].values()))
        with np.load(f"{folder}.out.npz") as found:
            assert not found["tensorflow"]
            assert np.abs(found["hidden"] - ours)[mask == 1].max() < 1e-5


@pytest.mark.slow
def test_an_encoder_of_a_keras_file_stands_in_a_users_model_that_is_saved_and_loaded(make_weights, tmp_path):
    import keras

    config = CONFIGS["electra"]
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)))
    (path,) = convert(tmp_path / "hf", tmp_path / "model.keras", "keras")
    ids = keras.Input([None], dtype="int32")
    hidden = Encoder.from_pretrained(path)(ids)
    model = keras.Model(ids, keras.layers.Dense(2)(hidden[:, 0]))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    texts = np.random.default_rng(0).integers(0, config.vocab_size, (8, 9)).astype("int32")
    model.fit(texts, np.arange(8) % 2, verbose=0)
    model.save(tmp_path / "mine.keras")
    again = load_model(tmp_path / "mine.keras")
    np.testing.assert_allclose(again(texts), model(texts), rtol=1e-6, atol=1e-7)
