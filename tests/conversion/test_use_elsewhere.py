"""What is exported does elsewhere what it does here: in transformers, on other backends, in a user's model."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from small_models import CONFIGS

from electra_tf import Encoder, load_model
from electra_tf.cli.fill_mask import fill_mask
from electra_tf.conversion import pretrained, transformers_folder, write_folder
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece import WordPieceTokenizer

HEADS = {"num_attention_heads": CONFIGS["albert_of_one_width"].num_attention_heads}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sea", "cap", "##tain", ".", "looked", "at", "of"]
SENTENCE = "The captain looked at the [MASK] ."

_FORWARD = """
import sys
import numpy as np
from electra_tf import Encoder
encoder = Encoder.from_pretrained(sys.argv[1])
with np.load(sys.argv[2]) as file:
    inputs = [file[name] for name in ("ids", "mask", "types")]
hidden = encoder(*inputs)
hidden = hidden.detach().numpy() if hasattr(hidden, "detach") else np.asarray(hidden)
np.savez(sys.argv[3], hidden=hidden, tensorflow="tensorflow" in sys.modules)
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
    from electra_tf import convert

    config = CONFIGS["albert_of_one_width"].replace(vocab_size=3000)
    model = pretrained("generator", config, make_weights(config, config))
    write_folder(tmp_path / "hf", model)
    convert(tmp_path / "hf", tmp_path / "tf1", "tf1")
    shutil.copy(spiece_folder / "spiece.model", tmp_path / "tf1/30k-clean.model")
    (folder,) = convert(tmp_path / "tf1", tmp_path / "out", tokenization=tokenization, settings=HEADS)
    assert not [file for file in folder.iterdir() if not transformers_folder._is_ours(file.name)]
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
    """As ALECTRA was published: a discriminator of ALBERT's kind with WordPiece; all of its encoder is taken."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    config, tokenizer = CONFIGS["albert"].replace(vocab_size=len(WORDS)), WordPieceTokenizer(WORDS)
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)), tokenizer)
    classifier, report = transformers.AlbertForSequenceClassification.from_pretrained(
        tmp_path / "hf", output_loading_info=True
    )
    assert not [name for name in report["missing_keys"] if not name.startswith(("classifier", "albert.pooler"))]
    theirs = transformers.BertTokenizer.from_pretrained(tmp_path / "hf")
    assert theirs(SENTENCE)["input_ids"] == tokenizer.encode(SENTENCE, special_tokens_in_text=True).ids
    inputs = theirs(SENTENCE, return_tensors="pt")
    with torch.no_grad():
        hidden = classifier.eval().albert(**inputs).last_hidden_state.numpy()
    ours = Encoder.from_pretrained(tmp_path / "hf")(inputs["input_ids"].numpy().astype("int32"))
    np.testing.assert_allclose(hidden, np.asarray(ours), atol=1e-5)


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("name", ["electra", "albert_with_groups"])
def test_an_encoder_on_another_backend_computes_the_same(backend, name, make_weights, tmp_path):
    pytest.importorskip(backend)
    config, random = CONFIGS[name], np.random.default_rng(0)
    write_folder(tmp_path / "hf", pretrained("generator", config, make_weights(config, config)))
    ids = random.integers(0, config.vocab_size, (3, 11)).astype("int32")
    mask = (np.arange(11) < np.array([[11], [7], [3]])).astype("int32")
    inputs = {"ids": ids, "mask": mask, "types": (np.arange(11) > 5) * mask}
    np.savez(tmp_path / "in.npz", **inputs)
    command = [sys.executable, "-c", _FORWARD, *(str(tmp_path / n) for n in ("hf", "in.npz", "out.npz"))]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = np.asarray(Encoder.from_pretrained(tmp_path / "hf")(*inputs.values()))
    with np.load(tmp_path / "out.npz") as found:
        assert not found["tensorflow"]
        assert np.abs(found["hidden"] - ours)[mask == 1].max() < 1e-5


def test_an_encoder_of_a_keras_file_stands_in_a_users_model_that_is_saved_and_loaded(make_weights, tmp_path):
    import keras

    from electra_tf import convert

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
