"""Checkpoints of Google's ALBERT code (TF-V1): one encoder whose layers share weights, and the heads of one task."""

import dataclasses
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.config_from_shapes import check_told, derive_fields
from electra_tf.checkpoints.containers.tf1_bundle import find_prefix, read_shapes, read_variables
from electra_tf.checkpoints.google_slots import check_epsilon, is_weight, read_global_step, save_variables
from electra_tf.checkpoints.loaded_model import LoadedModel, class_with
from electra_tf.checkpoints.torch_classes import check_groups
from electra_tf.checkpoints.translation import translate
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, model_tensors
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.models.config import ACTIVATIONS, EncoderConfig

CONFIG_FILES = ("albert_config.json", "config.json")
HUB_SCOPE = "module/"  # of TF-Hub's modules

# A head, by a variable that it alone has. RACE's and a regression's have the same: the caller must say which.
_HEADS = {
    "bert/pooler/dense/kernel": "pooler",
    "cls/predictions/output_bias": "masked_lm",
    "cls/seq_relationship/output_bias": "sentence_order",
    "cls/squad/output_bias": "question_answering",
    "answer_class/dense_1/kernel": "conditional_answers",
    "output_bias": "sequence_classifier",
    "discriminator_predictions/dense/kernel": "replaced_token",  # of ours
}
_STRANGERS = {
    r"bert/encoder/layer_shared/": "an ALBERT of brightmart's: another network, whose layers hold other operations",
    r"bert/encoder/layer_\d": "a BERT, whose layers are its own",
}
# What Google's code computes for a name in its configuration. Its gelu is the tanh form.
_ACTIVATIONS = {"gelu": "gelu_new"}
_CONFIG_FIELDS = ("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_hidden_groups")
_CONFIG_FIELDS += ("num_attention_heads", "intermediate_size", "inner_group_num", "hidden_act", "hidden_dropout_prob")
_CONFIG_FIELDS += ("attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size", "initializer_range")


@dataclass(frozen=True)
class AlbertCheckpoint:
    """An ALBERT checkpoint under our names (see `names`).

    Attributes:
        weights: every weight. slots_m, slots_v: Adam's or LAMB's moments by their weights; empty where there are none.
        config: of the encoder. heads: as in `names.ALBERT.heads`. num_labels: of a classifier, or 2.
        step: `global_step`, or None.
    """

    weights: dict[str, np.ndarray]
    slots_m: dict[str, np.ndarray]
    slots_v: dict[str, np.ndarray]
    config: EncoderConfig
    heads: tuple[str, ...]
    num_labels: int
    step: int | None

    def model(self) -> LoadedModel:
        """As the class of transformers for its heads; a pooler that the class does not have is left out."""
        name = class_with("albert", self.heads)
        found = LoadedModel(name, self.config, self.weights, self.heads, self.num_labels)
        heads = MODEL_CLASSES[name].heads
        if {*self.heads} - {*heads, "pooler"}:  # what no class of transformers has
            heads = self.heads
        left_out = tuple(head for head in self.heads if head not in heads)
        found = dataclasses.replace(found, heads=heads, left_out=left_out)
        found = found if found.is_labelled else dataclasses.replace(found, num_labels=2)
        own = {tensor.ours for tensor in found.table()}
        return dataclasses.replace(found, weights={n: array for n, array in self.weights.items() if n in own})


def is_albert(path) -> bool:
    """Whether the TF-V1 checkpoint at `path` has a BERT's names, which ALBERT's are. Raises: `CheckpointError`."""
    return any(name.removeprefix(HUB_SCOPE).startswith("bert/") for name in read_shapes(path))


def read_albert(path, settings: Mapping | None = None, multiple_choice: bool = False) -> AlbertCheckpoint:
    """Reads a whole checkpoint.

    Args:
        path: its prefix, its index file, or a folder that holds one.
        settings: fields that override the `albert_config.json` beside the checkpoint. Tensors do not tell how often a
            shared layer runs, nor the attention heads.
        multiple_choice: whether a classifier of one unit is RACE's, and not a regression's.

    Raises: `CheckpointError` for files that are damaged, tensors that do not fit, a configuration that contradicts
    them or is missing, and other networks.
    """
    prefix = find_prefix(path)
    check_names(read_shapes(path), prefix)
    tensors = {name.removeprefix(HUB_SCOPE): array for name, array in read_variables(prefix).items()}
    weights = {name: array for name, array in tensors.items() if is_weight(name)}
    config = _config({name: array.shape for name, array in weights.items()}, settings, prefix)
    heads = heads_of(weights)
    labels = len(weights["output_bias"]) if "output_bias" in weights else 2
    if multiple_choice and labels == 1:
        heads[heads.index("sequence_classifier")] = "multiple_choice"
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": labels}, "encoder", heads)
    slots = []
    for kind in ("m", "v"):
        found = {n.rsplit("/", 1)[0]: a for n, a in tensors.items() if re.fullmatch(rf".*/(adam|lamb)_{kind}", n)}
        with_slots = [tensor for tensor in table if tensor.tf1[0] in found]
        slots.append(translate(found, with_slots, "tf1", "ours", prefix))
    step = read_global_step(tensors, prefix)
    return AlbertCheckpoint(
        translate(weights, table, "tf1", "ours", prefix),
        *slots,
        config,
        tuple(heads),
        labels,
        step,
    )


def write_albert(folder, model: LoadedModel, slots_m=None, slots_v=None, step: int | None = None) -> Path:
    """Writes a checkpoint as Google's code would, with `albert_config.json` beside it; whole or not at all.

    Args:
        folder: may exist if it holds nothing but what was written here, which is replaced; see `output.Output`.
        model: an ALBERT. Without a pooler, which Google's code always makes, it starts one anew.
        slots_m, slots_v: Adam's moments by the names of their weights, or none. step: `global_step`, or None.

    Returns: the prefix, `folder/model.ckpt`.

    Raises: `CheckpointError` for a head that Google's code has not, `ConfigError` for an activation that it has not,
    and for groups that it divides otherwise; `OutputError` when the folder cannot be written.
    """
    check_groups(model.config, "tf1")
    check_epsilon(model.config)
    names = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu", "tanh": "tanh"}
    if model.config.hidden_act not in names:
        raise ConfigError(
            f"hidden_act is {model.config.hidden_act!r}",
            where="--to tf1",
            expected=f"one of {', '.join(names)}: Google's ALBERT computes its gelu as the tanh form",
            remedy="if the model is Google's, whose config.json once said gelu by mistake, write gelu_new there",
        )
    if homeless := [head for head in model.heads if head not in _HEADS.values() and head != "multiple_choice"]:
        raise CheckpointError(
            f"TF-V1 ALBERT has no place for the head of {model.name}: {', '.join(homeless)}",
            where="--to tf1",
            expected="a head that Google's code has",
            remedy="convert to another format, or the encoder alone with --class=AlbertModel",
        )
    config = model.config.to_dict() | {"hidden_act": names[model.config.hidden_act]}
    config = {name: config[name] for name in _CONFIG_FIELDS}
    table = model_tensors(dataclasses.asdict(model.config) | {"num_labels": model.num_labels}, "encoder", model.heads)
    beside = {CONFIG_FILES[0]: json.dumps(config, indent=2) + "\n"}
    return save_variables(folder, table, model.weights, slots_m, slots_v, step, beside)


def check_names(names: Collection[str], where=None) -> None:
    """Raises `CheckpointError` where variables of such names are another network's that has BERT's names."""
    names = sorted(name.removeprefix(HUB_SCOPE) for name in names)
    for pattern, kind in _STRANGERS.items():
        if found := next((name for name in names if re.match(pattern, name)), None):
            raise CheckpointError(
                f"this is {kind} ({found})",
                where=where,
                expected="Google's ALBERT",
                remedy="take an ALBERT or an ELECTRA; other networks are not read here",
            )


def heads_of(names: Collection[str]) -> list[str]:
    """The heads that variables of such names belong to, a classifier of one unit taken for a regression's."""
    names = {name.removeprefix(HUB_SCOPE) for name in names}
    return [head for name, head in _HEADS.items() if name in names]


def _config(shapes, settings, prefix):
    fields = _beside(prefix, required=not settings) | dict(settings or {})
    if fields.get("net_structure_type", 0):
        raise CheckpointError(
            f"net_structure_type is {fields['net_structure_type']}",
            where=prefix,
            expected="0, Google's ALBERT",
            remedy="take one of Google's ALBERTs; other networks of this code are not computed here",
        )
    if missing := [name for name in ("num_hidden_layers", "num_attention_heads") if name not in fields]:
        raise CheckpointError(
            f"the configuration lacks {' and '.join(missing)}",
            where=prefix,
            expected="what the tensors do not tell",
            remedy="add them to the configuration, or name another file with --config",
        )
    act = fields.get("hidden_act", "gelu")
    fields["hidden_act"] = _ACTIVATIONS.get(act, act)
    if fields["hidden_act"] not in ACTIVATIONS:
        raise CheckpointError(
            f"hidden_act is {act!r}",
            where=prefix,
            expected=", ".join(ACTIVATIONS),
            remedy="if it was trained with one of these, name it in the configuration",
        )
    told = derive_fields(shapes, "albert", "encoder", "tf1", None, prefix, heads=())
    check_told(fields, told, prefix)
    config = EncoderConfig.from_dict(fields | told, prefix)
    check_groups(config, "tf1")
    return config


def _beside(prefix, required):
    for name in CONFIG_FILES:
        file = Path(prefix).with_name(name)
        if file.is_file():
            try:
                fields = json.loads(file.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise CheckpointError(
                    f"the configuration cannot be read: {error}",
                    where=file,
                    expected="a JSON object",
                    remedy="copy the file again",
                ) from error
            if not isinstance(fields, dict):
                raise CheckpointError(
                    "the configuration is no JSON object",
                    where=file,
                    expected="fields of an ALBERT",
                    remedy="copy the file again",
                )
            return fields
    if not required:
        return {}
    raise CheckpointError(
        "there is no configuration beside the checkpoint",
        where=prefix,
        expected=f"{' or '.join(CONFIG_FILES)}: tensors do not tell how often a shared layer runs",
        remedy="copy the configuration it was trained with there",
    )
