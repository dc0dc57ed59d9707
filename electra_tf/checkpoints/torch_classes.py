"""Tensors of transformers' PyTorch classes: what is repeated, ignored or added there, beside the tables."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from electra_tf.checkpoints.config_from_shapes import check_told, derive_fields
from electra_tf.checkpoints.containers.safetensors import numpy_type
from electra_tf.checkpoints.google_heads import widen
from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.translation import translate
from electra_tf.checkpoints.weight_names import ARCHITECTURES, MODEL_CLASSES
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.models.config import EncoderConfig

# Tensors that repeat another. transformers ties them, and versions differ in which they believe.
TIED = {
    "generator_lm_head.weight": "electra.embeddings.word_embeddings.weight",
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
}
# Buffers that older versions saved.
_IGNORED = re.compile(r"(.*\.)?embeddings\.(position_ids|token_type_ids)")
# Layer norms of older versions.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

# Of the head for replaced tokens, which stands beside an AlbertModel of ours.
_HEAD_ROOTS = ("discriminator_predictions.",)
# Of every head, beside the base model.
_ROOTS = ("discriminator_predictions.", "generator_predictions.", "generator_lm_head.", "classifier.", "qa_outputs.")
_ROOTS += ("sequence_summary.", "predictions.", "sop_classifier.")


# What wrappers put before every name: DataParallel, and programs that keep the model as an attribute. Others are told
# by the base model's name behind them.
_WRAPPERS = ("module.", "model.", "_orig_mod.", "electra_model.", "_forward_module.")
_BASES = ("electra.", "albert.")


def wrapper_of(names: Iterable[str]) -> str:
    """What wrappers have put before every name, such as `module.`; empty where there is none."""
    names, found = list(names), ""
    while len(firsts := {name[len(found) :].partition(".")[0] + "." for name in names}) == 1:
        (first,) = firsts
        holds_base = first not in _BASES and any(f".{base}" in name[len(found) :] for name in names for base in _BASES)
        if first not in _WRAPPERS and not holds_base:
            break
        found += first
    return found


def unwrapped(tensors: Mapping) -> dict:
    """With what a wrapper has put before every name taken off."""
    wrapper = wrapper_of(tensors)
    return {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}


def to_torch(model: "LoadedModel") -> dict[str, np.ndarray]:
    """The state dictionary of transformers' class, kernels as transposed views; a pooler that is lacking is drawn.

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` for what transformers computes otherwise: an
    ELECTRA generator's head whose activation is not `gelu`, groups of layers that it would divide differently.
    """
    _check_activation(model.heads, model.config)
    check_groups(model.config, "torch")
    if "conditional_answers" in model.heads or "answer_start" in model.heads:
        base = {"albert": "AlbertModel", "electra": "ElectraModel"}[model.config.model_type]
        raise CheckpointError(
            "the model has a head of Google's for the answers in a text, which no class of transformers can hold",
            where=model.name,
            expected=f"another target, tf1 or keras; or the encoder alone, with --class={base}",
        )
    if "first_token_classifier" in model.heads:
        wide = widen(model.weights["classifier/kernel"], model.weights["classifier/bias"])
        weights = {name: array for name, array in model.weights.items() if name.startswith("encoder/")} | wide
        model = dataclasses.replace(model, weights=weights, heads=("sequence_classifier",))
    if model.lacks_pooler:
        weights = model.weights | drawn_pooler(model.config)
        model = dataclasses.replace(model, heads=("pooler", *model.heads), weights=weights)
    tensors = translate(model.weights, model.table(), "ours", "torch") | _identity_projection(model.config)
    base = f"{model.config.model_type}."
    return tensors if _has_prefix(model) else {name.removeprefix(base): tensor for name, tensor in tensors.items()}


def from_torch(
    tensors: Mapping[str, np.ndarray],
    fields: Mapping,
    config: EncoderConfig,
    where=None,
    keep_tied: str | None = None,
) -> "LoadedModel":
    """The model that PyTorch's tensors are, the inverse of `to_torch`.

    Buffers are ignored, and so is a pooler as it was drawn; a tensor that repeats another must equal it.

    Args:
        tensors: by their names. fields: of `config.json`.
        config: made of the fields.
        where: the file, for errors.
        keep_tied: which of two tied tensors that differ is meant: `embeddings`, or the `head`'s; None: an error.

    Raises: `CheckpointError` for tensors that do not fit, `ConfigError` as `to_torch`.
    """
    check_groups(config, "torch")
    tensors = {name: array for name, array in tensors.items() if not _IGNORED.fullmatch(name)}
    called = Counter(map(_current_name, tensors))
    if twice := [name for name, count in called.items() if count > 1]:
        raise CheckpointError(
            f"{twice[0]} is there under two names",
            where=where,
            expected="each tensor once: gamma and beta are former names of weight and bias",
            remedy="leave out the one that is not meant",
        )
    tensors = {_current_name(name): array for name, array in tensors.items()}
    name = class_of(tensors, fields, where)
    base, heads = f"{config.model_type}.", heads_of(tensors, name)
    if name.endswith("Model"):
        known = (base, *_HEAD_ROOTS)
        tensors = {n if n.startswith(known) else base + n: tensor for n, tensor in tensors.items()}
    if "pooler" not in heads:  # older versions saved one for every ALBERT, which these classes do not use
        tensors = {n: tensor for n, tensor in tensors.items() if not n.startswith("albert.pooler.")}
    _check_activation(heads, config)
    model = LoadedModel(name, config, {}, heads, fields=dict(fields))
    if model.is_labelled:
        biases = (tensors[n] for n in ("classifier.out_proj.bias", "classifier.bias") if n in tensors)
        model = dataclasses.replace(model, num_labels=next((len(bias) for bias in biases), 2))
        said = len(fields["id2label"]) if fields.get("id2label") else fields.get("num_labels", model.num_labels)
        if said != model.num_labels:
            raise CheckpointError(
                f"the configuration has {said} labels, the head {model.num_labels}",
                where=where,
                expected="a configuration of this model",
                remedy="correct id2label in config.json",
            )
    if fields.get("tie_word_embeddings") is False:
        _check_tied(tensors, where)
    tensors = _essential(tensors, config, where, keep_tied)
    model = dataclasses.replace(model, weights=translate(tensors, model.table(), "torch", "ours", where))
    if name == "AlbertModel" and heads[:1] == ("pooler",) and _is_drawn(model.weights, config):
        model = dataclasses.replace(model.with_heads(heads[1:]), left_out=())
    return model


def drawn_pooler(config: EncoderConfig) -> dict[str, np.ndarray]:
    """The pooler of an `AlbertModel` that has none, always the same: transformers would make another at each opening.

    float16 and bfloat16 hold its numbers too, by which it is told from one that was trained.
    """
    size, random = config.hidden_size, np.random.RandomState(0)  # NumPy keeps the stream of this class as it is
    kernel = random.standard_normal((size, size))
    while (far := np.abs(kernel) > 2).any():
        kernel[far] = random.standard_normal(far.sum())
    kernel = (config.initializer_range * kernel).astype("float16").astype(numpy_type("bfloat16")).astype("float32")
    return {"pooler/dense/kernel": kernel, "pooler/dense/bias": np.zeros(size, "float32")}


def _is_drawn(weights, config):
    if weights["pooler/dense/bias"].any():  # spares the drawing of most
        return False
    return np.array_equal(weights["pooler/dense/kernel"], drawn_pooler(config)["pooler/dense/kernel"])


def check_groups(config: EncoderConfig, world: str) -> None:
    """Raises `ConfigError` where a world gives some layer to another group than `layers.transformer` does.

    Google computes `int(i / L * G)`, transformers `int(i / (L / G))`, both in floating point; for some pairs they round
    to another group. No published model has such a pair.
    """
    layers, groups = config.num_hidden_layers, config.num_hidden_groups
    theirs = {"tf1": lambda i: int(i / layers * groups), "torch": lambda i: int(i / (layers / groups))}[world]
    wrong = [i for i in range(layers) if theirs(i) != i * groups // layers]
    if config.model_type == "albert" and wrong:
        raise ConfigError(
            f"{layers} layers in {groups} groups: {'Google' if world == 'tf1' else 'transformers'} rounds the group of "
            f"layer {wrong[0]} to {theirs(wrong[0])}, which is {wrong[0] * groups // layers}",
            where="num_hidden_groups",
            expected="a number of groups that both divide alike, such as a divisor of the number of layers",
            remedy="write a model of your own --to keras; others are read by their own library alone",
        )


def _check_activation(heads, config):
    if config.model_type == "electra" and "masked_lm" in heads and config.hidden_act != "gelu":
        raise ConfigError(
            f"the generator's hidden_act is {config.hidden_act!r}",
            where="its configuration",
            expected="'gelu': ElectraForMaskedLM computes it in its head whatever the configuration says, and here the "
            "head has the encoder's",
            remedy="write a trained one --to keras; of transformers save the encoder alone, as ElectraModel",
        )


def _essential(tensors, config, where, keep_tied=None):
    """The tensors without those that repeat another, once they are seen to equal it, or one of them is chosen."""
    left = dict(tensors)
    for repeated, name in TIED.items():
        if repeated in left:
            if keep_tied is None:
                _check_equal(left, repeated, left.setdefault(name, left[repeated]), name, where)
            elif keep_tied == "head" or name not in left:
                left[name] = left[repeated]
            del left[repeated]
    for name, identity in _identity_projection(config).items():
        if name not in left:
            raise CheckpointError(
                f"{name} is missing", where=where, expected="the identity", remedy="copy the weights again, whole"
            )
        _check_equal(left, name, identity, "the identity, though embeddings are as wide as the encoder", where)
        del left[name]
    return left


def _check_tied(tensors, where):
    """Raises `CheckpointError` where a head has a table of its own, for which no model here has a place."""
    for repeated, name in TIED.items():
        if repeated in tensors and name in tensors and not np.array_equal(tensors[repeated], tensors[name]):
            raise CheckpointError(
                f"{repeated} is a weight of its own, as tie_word_embeddings says, which is false",
                where=where,
                expected=f"a head that uses {name}, as every published model's does",
                remedy="train it with tied weights; no head here has a table of its own",
            )


def derive_config(shapes: Mapping[str, tuple[int, ...]], settings: Mapping, where=None) -> dict:
    """What `config.json` would say, told from the shapes of the tensors.

    Args:
        shapes: by PyTorch's names. settings: what tensors do not tell: an ALBERT's `num_hidden_layers` and
            `num_attention_heads`; of an ELECTRA the latter, where it is not one for 64 units.

    Raises: `CheckpointError` where sizes cannot be told, are contradicted by the settings, or are missing from them.
    """
    albert = any("albert_layer_groups" in name for name in shapes)
    kind = "albert" if albert else "electra"
    own = (f"{kind}.", *_ROOTS)
    shapes = {_current_name(n): shape for n, shape in shapes.items()}
    shapes = {n if n.startswith(own) else f"{kind}.{n}": shape for n, shape in shapes.items()}
    found = derive_fields(shapes, kind, "encoder", "torch", None, where, heads=())
    untold = ("num_hidden_layers", "num_attention_heads") if albert else ()
    if missing := [name for name in untold if name not in settings]:
        raise CheckpointError(
            f"there is no configuration, and tensors do not tell {' and '.join(missing)}",
            where=where,
            expected="config.json beside the weights",
            remedy='copy it there, or say it with --config and a file of {"num_hidden_layers": 12, ...}',
        )
    check_told(settings, found, where)
    heads = {} if albert else {"num_attention_heads": max(1, found["hidden_size"] // 64)}
    return heads | found | dict(settings)


def heads_of(names: Iterable[str], name: str) -> tuple[str, ...]:
    """The heads of a model of the class `name` with tensors of such names: an `AlbertModel` may lack its pooler,
    and may have ours for replaced tokens."""
    heads, names = MODEL_CLASSES[name].heads, set(names)
    if name == "AlbertModel":
        heads = heads if names & {"pooler.weight", "albert.pooler.weight"} else ()
        return heads + (("replaced_token",) if any(n.startswith(_HEAD_ROOTS) for n in names) else ())
    return heads


def class_of(names: Iterable[str], fields: Mapping, where=None) -> str:
    """The class of transformers that tensors of such names belong to.

    Args:
        names: of the tensors. fields: of `config.json`; its `architectures` decides between an ALBERT's classifier and
            its choice among several, whose tensors have the same names.

    Raises: `CheckpointError` where the tensors have a head that is not known.
    """
    kind, names = fields["model_type"], {_current_name(name) for name in names}
    if {name.split(".")[0] for name in names} == {"discriminator", "generator"}:
        raise CheckpointError(
            "the file holds two models, the discriminator and the generator",
            where=where,
            expected="one model a file",
            remedy="save the two state dictionaries in two folders",
        )
    heads = {name.split(".")[0] for name in names}
    named = (fields.get("architectures") or [None])[0]
    for class_name, tells in _TELLING.items():
        if class_name.lower().startswith(kind) and tells & (heads | names):
            return class_name
    if kind == "albert" and "classifier" in heads:
        if "albert.pooler.weight" not in names:
            return "AlbertForTokenClassification"
        # Taggers of early versions have a pooler, too.
        of_names = ("AlbertForMultipleChoice", "AlbertForTokenClassification")
        return named if named in of_names else "AlbertForSequenceClassification"
    known = {kind, "embeddings", "embeddings_project", "encoder", "pooler"}
    known |= {"discriminator_predictions"} if kind == "albert" else set()
    if heads <= known:
        return f"{kind.capitalize()}Model"
    if len(heads) == 1:
        raise CheckpointError(
            f"the name of every weight begins with {heads.pop()}., which no model's does",
            where=where,
            expected="names as of the model's own state dictionary",
            remedy="save the model itself, and not what it is an attribute of",
        )
    raise CheckpointError(
        f"the model has a head that is not known: {', '.join(sorted(heads - known))}",
        where=where,
        expected=f"one of {', '.join(n for n in MODEL_CLASSES if n.lower().startswith(kind))}",
        remedy="save the model without this head, or name its weights as transformers does",
    )


def _has_prefix(model):
    """Whether the tensors of a model name its base model; the base class by itself does not."""
    return not model.name.endswith("Model") or "replaced_token" in model.heads


# What only a class has among its tensors, heads or whole names; the first that fits is meant.
_TELLING = {
    "ElectraForPreTraining": {"discriminator_predictions"},
    "ElectraForMaskedLM": {"generator_predictions"},
    "ElectraForSequenceClassification": {"classifier.out_proj.weight"},
    "ElectraForMultipleChoice": {"sequence_summary"},
    "ElectraForQuestionAnswering": {"qa_outputs"},
    "ElectraForTokenClassification": {"classifier"},
    "AlbertForPreTraining": {"sop_classifier"},
    "AlbertForMaskedLM": {"predictions"},
    "AlbertForQuestionAnswering": {"qa_outputs"},
}


def _identity_projection(config):
    """ALBERT's projection in PyTorch, where it exists even if widths are equal; ours has none then."""
    size = config.hidden_size
    if config.model_type != "albert" or config.embedding_size != size:
        return {}
    name = f"{ARCHITECTURES['albert'].towers['encoder'][2]}.encoder.embedding_hidden_mapping_in"
    return {f"{name}.weight": np.eye(size, dtype="float32"), f"{name}.bias": np.zeros(size, "float32")}


def _current_name(name):
    for old, new in _OLD_NAMES.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _check_equal(tensors, name, expected, what, where):
    array = tensors[name]
    if array.shape != expected.shape:
        difference = f"its shape is {list(array.shape)}, not {list(expected.shape)}"
    elif not np.array_equal(array, expected):
        difference = f"they differ by up to {np.max(np.abs(array - expected)):.3g}"
    else:
        return
    raise CheckpointError(
        f"{name} is not equal to {what}: {difference}",
        where=where,
        expected="tied tensors",
        remedy="say which is meant, where they should be tied: --keep_tied=embeddings, or head for the repeated one",
    )
