"""Every class of transformers computes what our model of the same tensors computes."""

import dataclasses
import json

import numpy as np
import pytest
from small_models import CONFIGS

from electra_tf import models
from electra_tf.checkpoints import read_model
from electra_tf.checkpoints.containers.safetensors import write_tensors
from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.torch_classes import to_torch
from electra_tf.checkpoints.translation import translate
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, model_tensors
from electra_tf.errors import CheckpointError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LABELS = 5
KERAS = {
    "Model": models.Encoder,
    "ForPreTraining": models.ReplacedTokenDetector,
    "ForMaskedLM": models.MaskedLanguageModel,
    "ForSequenceClassification": models.SequenceClassifier,
    "ForTokenClassification": models.TokenClassifier,
    "ForQuestionAnswering": models.QuestionAnswerer,
    "ForMultipleChoice": models.MultipleChoice,
}
CASES = [(name, config) for name, c in MODEL_CLASSES.items() for config in CONFIGS if config.startswith(c.model_type)]


def random_weights(tensors, seed=0):
    random = np.random.default_rng(seed)
    weights = {t.ours: random.normal(0, 0.3, t.shape("ours")).astype("float32") for t in tensors}
    return {name: array + 1 if name.endswith("gamma") else array for name, array in weights.items()}


def ours(name, config, weights, inputs):
    """Our model's outputs, as a list of arrays."""
    kind = name.removeprefix("Electra").removeprefix("Albert")
    if name == "AlbertForPreTraining":
        model = models.SentenceOrderModel(config)
    elif kind in ("Model", "ForPreTraining", "ForMaskedLM"):
        model = KERAS[kind](config)
    else:
        model = KERAS[kind](config, num_labels=LABELS)
    variables = models.named_variables(model)
    left = dict(weights)
    for path, variable in variables.items():
        variable.assign(left.pop(path if kind != "Model" else f"encoder/{path}"))
    assert not {n for n in left if not n.startswith("pooler/")}, sorted(left)
    outputs = model(*(x.astype("int32") for x in inputs))
    return [np.asarray(x) for x in (outputs if isinstance(outputs, tuple) else [outputs])]


def theirs(name, config, tensors, inputs):
    fields = config.to_dict() | {"num_labels": LABELS, "attn_implementation": "eager"}
    if name == "AlbertForPreTraining" or "QuestionAnswering" in name:
        fields["num_labels"] = 2
    configuration = getattr(transformers, f"{name.split('For')[0].removesuffix('Model')}Config")(**fields)
    model = getattr(transformers, name)(configuration).eval()
    state = {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in tensors.items()}
    if name.endswith("Model"):
        state = {n.split(".", 1)[1]: t for n, t in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    model.tie_weights()
    assert {n for n in missing if "decoder" not in n and "generator_lm_head.weight" not in n} <= _identity(name, config)
    ids, mask, types = (torch.from_numpy(x) for x in inputs)
    with torch.no_grad():
        outputs = model(ids, attention_mask=mask, token_type_ids=types)
    if name.endswith("Model"):
        return [outputs.last_hidden_state.numpy()]
    if "QuestionAnswering" in name:
        return [np.stack([outputs.start_logits.numpy(), outputs.end_logits.numpy()], -1)]
    if name == "AlbertForPreTraining":
        return [outputs.prediction_logits.numpy(), outputs.sop_logits.numpy()]
    return [outputs.logits.numpy()]


def _identity(name, config):
    if config.model_type == "albert" and config.embedding_size == config.hidden_size:
        prefix = "" if name.endswith("Model") else "albert."
        return {f"{prefix}encoder.embedding_hidden_mapping_in.{part}" for part in ("weight", "bias")}
    return set()


def batch(name, config):
    """Ids, mask and types: padding and two segments in it."""
    shape = (2, 3, 11) if "MultipleChoice" in name else (3, 11)
    ids = np.random.default_rng(1).integers(0, config.vocab_size, shape)
    mask, types = np.ones(shape, int), np.zeros(shape, int)
    mask[-1, ..., 7:], types[..., 5:] = 0, 1
    return ids, mask, types


@pytest.mark.parametrize(("name", "config"), CASES)
def test_outputs_agree(name, config):
    kind, config = MODEL_CLASSES[name], CONFIGS[config]
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": LABELS}, "encoder", kind.heads)
    weights = random_weights(table)
    tensors = translate(weights, table, "ours", "torch")
    if config.model_type == "albert" and config.embedding_size == config.hidden_size:
        mapping = "albert.encoder.embedding_hidden_mapping_in"
        tensors |= {
            f"{mapping}.weight": np.eye(config.hidden_size, dtype="f4"),
            f"{mapping}.bias": np.zeros(config.hidden_size, "f4"),
        }
    ids, mask, types = batch(name, config)
    found, expected = ours(name, config, weights, (ids, mask, types)), theirs(name, config, tensors, (ids, mask, types))
    for a, b in zip(found, expected, strict=True):
        rows = mask == 1 if a.shape[: mask.ndim] == mask.shape else slice(None)
        limit = 1e-5 * max(1, np.abs(b[rows]).max())
        assert a.shape == b.shape
        assert np.abs(a[rows] - b[rows]).max() <= limit


@pytest.mark.parametrize(("name", "config"), CASES)
@pytest.mark.parametrize("form", ["safetensors", pytest.param("bin", marks=pytest.mark.slow)])
def test_what_transformers_saves_is_read_and_computes_the_same(name, config, form, tmp_path):
    config = CONFIGS[config]
    fields = config.to_dict() | {"num_labels": 2 if name == "AlbertForPreTraining" else LABELS}
    if "QuestionAnswering" in name:
        fields["num_labels"] = 2
    configuration = getattr(transformers, f"{name.split('For')[0].removesuffix('Model')}Config")(**fields)
    torch.manual_seed(0)
    model = getattr(transformers, name)(configuration).eval()
    with torch.no_grad():
        for tensor_name, tensor in model.named_parameters():
            if "embedding_hidden_mapping_in" not in tensor_name or config.embedding_size != config.hidden_size:
                tensor.add_(0.2 * torch.randn_like(tensor))
            else:
                tensor.copy_(torch.eye(len(tensor)) if tensor.ndim == 2 else torch.zeros_like(tensor))
    model.save_pretrained(tmp_path, safe_serialization=form == "safetensors")
    loaded = read_model(tmp_path)
    assert loaded.name == name
    ids, mask, types = batch(name, config)
    with torch.no_grad():
        expected = model(*(torch.from_numpy(x) for x in (ids, mask, types)))
    found = loaded.build()(*(x.astype("int32") for x in (ids, mask, types)))
    if name == "AlbertForPreTraining":
        pairs = zip(found, (expected.prediction_logits, expected.sop_logits), strict=True)
    elif "QuestionAnswering" in name:
        pairs = [(found, torch.stack([expected.start_logits, expected.end_logits], -1))]
    elif name == "AlbertModel":
        pairs = zip(found, expected[:2], strict=True)
    else:
        pairs = [(found, expected[0])]
    for a, b in pairs:
        a, b = np.asarray(a), b.numpy()
        rows = mask == 1 if a.shape[: mask.ndim] == mask.shape else slice(None)
        assert np.abs(a[rows] - b[rows]).max() <= 1e-5 * max(1, np.abs(b[rows]).max())


@pytest.mark.parametrize(("name", "config"), CASES)
def test_the_encoder_alone_comes_from_any_class(name, config, tmp_path):
    config = CONFIGS[config]
    kind = MODEL_CLASSES[name]
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": LABELS}, "encoder", kind.heads)
    weights = random_weights(table)
    write_tensors(
        tmp_path / "model.safetensors",
        to_torch(LoadedModel(name, config, weights, kind.heads, LABELS)),
        {"format": "pt"},
    )
    fields = config.to_dict() | {"architectures": [name]}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    encoder = models.Encoder.from_pretrained(tmp_path)
    for path, variable in models.named_variables(encoder).items():
        np.testing.assert_array_equal(variable.numpy(), weights[f"encoder/{path}"])


def test_a_configuration_that_names_another_class_is_an_error(tmp_path):
    config, kind = CONFIGS["electra"], MODEL_CLASSES["ElectraForTokenClassification"]
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": LABELS}, "encoder", kind.heads)
    model = LoadedModel("ElectraForTokenClassification", config, random_weights(table), kind.heads, LABELS)
    tensors = to_torch(model)
    write_tensors(tmp_path / "model.safetensors", tensors)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict() | {"architectures": ["ElectraForPreTraining"]}))
    with pytest.raises(CheckpointError, match="says ElectraForPreTraining, the tensors are those of ElectraForTokenCl"):
        read_model(tmp_path)


def test_a_head_that_is_not_known_is_named(tmp_path):
    write_tensors(tmp_path / "model.safetensors", {"electra.x": np.zeros(1), "my_head.weight": np.zeros(1)})
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["electra"].to_dict()))
    with pytest.raises(CheckpointError, match="not known: my_head"):
        read_model(tmp_path)
