"""Keras' own exports of our models run in other programs, with the same numbers."""

from importlib.util import find_spec

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_tf.models import EncoderConfig
from electra_tf.models.encoder import Encoder
from electra_tf.models.task_models import (
    MaskedLanguageModel,
    QuestionAnswerer,
    ReplacedTokenDetector,
    SequenceClassifier,
    TokenClassifier,
)

SIZES = {"vocab_size": 40, "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 32, "max_position_embeddings": 24}
ELECTRA, ALBERT = EncoderConfig(**SIZES), EncoderConfig("albert", hidden_act="gelu_new", **SIZES)
MODELS = {
    "Encoder": lambda: Encoder(ELECTRA),
    "ReplacedTokenDetector": lambda: ReplacedTokenDetector(ELECTRA),
    "MaskedLanguageModel": lambda: MaskedLanguageModel(ELECTRA),
    "SequenceClassifier": lambda: SequenceClassifier(ELECTRA),
    "TokenClassifier": lambda: TokenClassifier(ELECTRA),
    "QuestionAnswerer": lambda: QuestionAnswerer(ELECTRA),
    "Encoder, ALBERT": lambda: Encoder(ALBERT),
    "SequenceClassifier, ALBERT": lambda: SequenceClassifier(ALBERT),
}
NAMES = ("input_ids", "attention_mask", "token_type_ids")
SIGNATURE = [keras.InputSpec(shape=(None, None), dtype="int32", name=name) for name in NAMES]
ROWS = {name: np.random.default_rng(0).integers(5, 40, (3, 16)).astype("int32") for name in NAMES}
ROWS["attention_mask"] = np.int32(np.arange(16) < [[16], [9], [1]])
ROWS["token_type_ids"] = np.int32(np.arange(16) > [[7], [5], [15]])
every_model = pytest.mark.parametrize("name", MODELS)


def model_and_answer(name):
    model, random = MODELS[name](), np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(weight + 0.3 * random.normal(size=weight.shape))
    return model, model(*ROWS.values()).numpy()


@every_model
def test_its_graph_holds_no_operator_that_onnx_or_litert_lacks(name):
    model = MODELS[name]()
    specs = [tf.TensorSpec([None, None], tf.int32, name) for name in NAMES]
    graph = tf.function(lambda *inputs: model(*inputs)).get_concrete_function(*specs).graph
    assert not [one.name for one in graph.get_operations() if one.type == "Erfc"]
    slices = (one for one in graph.get_operations() if one.type == "StridedSlice")
    assert not [one.name for one in slices if one.get_attr("new_axis_mask")]


@pytest.mark.slow
@every_model
def test_as_saved_model(name, tmp_path):
    model, expected = model_and_answer(name)
    model.export(tmp_path / "model", format="tf_saved_model", input_signature=SIGNATURE, verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    found = loaded.serve(*ROWS.values())
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@every_model
def test_as_litert_without_operators_of_tensorflow(name, tmp_path):
    model, expected = model_and_answer(name)
    path = str(tmp_path / "model.tflite")
    model.export(path, format="litert", input_signature=SIGNATURE, verbose=False)
    interpreter = tf.lite.Interpreter(path)
    for place in interpreter.get_input_details():
        interpreter.resize_tensor_input(place["index"], (3, 16))
    interpreter.allocate_tensors()
    assert not [one["op_name"] for one in interpreter._get_ops_details() if one["op_name"].startswith("Flex")]
    for place in interpreter.get_input_details():
        interpreter.set_tensor(place["index"], next(x for name, x in ROWS.items() if name in place["name"]))
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    not (find_spec("tf2onnx") and find_spec("onnxruntime")), reason="needs tf2onnx and onnxruntime: docs/deployment.md"
)
@every_model
def test_as_onnx(name, tmp_path):
    import onnxruntime

    model, expected = model_and_answer(name)
    path = str(tmp_path / "model.onnx")
    model.export(path, format="onnx", input_signature=SIGNATURE, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {place.name: ROWS[place.name.split(":")[0]] for place in session.get_inputs()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
