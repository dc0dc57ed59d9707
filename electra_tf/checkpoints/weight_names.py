"""One table for each architecture: what every weight is called here, in TF-V1 and in PyTorch, and its shape.

Three *worlds* name the weights of a tower and its head:

    ours   encoder/transformer/block_3/attention/qkv/kernel: query, key and value are one, side by side
    tf1    electra/encoder/layer_3/attention/self/query/kernel: kernels are [in, out], as ours
    torch  electra.encoder.layer.3.attention.self.query.weight: kernels are [out, in]

The encoder of a single model is `encoder`; `discriminator` and `generator` are those of a checkpoint of several towers.
Everything that reads or writes checkpoints follows from the tables (`translation.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

WORLDS = ("ours", "tf1", "torch")
TOWERS = ("discriminator", "generator")
_SEPARATORS = ("/", "/", ".")
_PARTS = ("query", "key", "value")

# A row: kind, axes, and the name in each world. {part} stands for query, key and value.
_AXES = {"V": "vocab_size", "E": "embedding_size", "P": "max_position_embeddings", "S": "type_vocab_size"}
_AXES |= {"H": "hidden_size", "I": "intermediate_size", "N": "num_labels", "1": 1, "2": 2}
_AXES |= {"D": "twice_hidden_size", "U": 512}  # units of Google's answerers, whatever the model's size

# The tensors of a row of each kind: endings of their names in each world, and how many of the axes they have. A row
# without a name in a world cannot be held there.
_KINDS = {
    "table": [("/embeddings", "", ".weight", 2)],
    "dense": [("/kernel", "/kernel", ".weight", 2), ("/bias", "/bias", ".bias", 1)],
    "norm": [("/gamma", "/gamma", ".weight", 1), ("/beta", "/beta", ".bias", 1)],
    "vector": [("", "", "", 1)],
    "matrix": [("/kernel", "/kernel", ".weight", 2)],
    "output": [("/kernel", "output_weights", ".weight", 2), ("/bias", "output_bias", ".bias", 1)],
}
# Where a kernel of each kind is [out, in].
_TURNED = {"dense": ("torch",), "matrix": ("torch",), "output": ("tf1", "torch")}

_EMBEDDINGS = (
    ("table", "VE", "embeddings/word", "embeddings/word_embeddings", "embeddings.word_embeddings"),
    (
        "table",
        "PE",
        "embeddings/position",
        "embeddings/position_embeddings",
        "embeddings.position_embeddings",
    ),
    (
        "table",
        "SE",
        "embeddings/token_type",
        "embeddings/token_type_embeddings",
        "embeddings.token_type_embeddings",
    ),
    ("norm", "E", "embeddings/norm", "embeddings/LayerNorm", "embeddings.LayerNorm"),
)

_REPLACED_TOKEN = (
    (
        "dense",
        "HH",
        "replaced_token/dense",
        "discriminator_predictions/dense",
        "discriminator_predictions.dense",
    ),
    (
        "dense",
        "H1",
        "replaced_token/output",
        "discriminator_predictions/dense_1",
        "discriminator_predictions.dense_prediction",
    ),
)


class Architecture(NamedTuple):
    """The table of one model type.

    Attributes:
        towers: what each tower is called in each world: `encoder` where it is the only one.
        encoder: rows below the tower. The projection exists only where widths differ.
        block: what a block is called below the tower, by its number, or its group and place in the group.
        block_rows: rows below the block.
        heads: rows of each head, at the top.
    """

    towers: dict[str, tuple[str, str, str]]
    encoder: tuple
    block: tuple[str, str, str]
    block_rows: tuple
    heads: dict[str, tuple]


ELECTRA = Architecture(
    towers={
        "encoder": ("encoder", "electra", "electra"),
        "discriminator": ("discriminator", "electra", "electra"),
        "generator": ("generator", "generator", "electra"),
        "generator_ltr": ("generator_ltr", "generator_ltr", None),
        "generator_rtl": ("generator_rtl", "generator_rtl", None),
    },
    encoder=(
        *_EMBEDDINGS,
        ("dense", "EH", "projection", "embeddings_project", "embeddings_project"),
    ),
    block=("transformer/block_{block}", "encoder/layer_{block}", "encoder.layer.{block}"),
    block_rows=(
        ("dense", "HH", "attention/qkv", "attention/self/{part}", "attention.self.{part}"),
        ("dense", "HH", "attention/output", "attention/output/dense", "attention.output.dense"),
        ("norm", "H", "attention/norm", "attention/output/LayerNorm", "attention.output.LayerNorm"),
        ("dense", "HI", "feed_forward/intermediate", "intermediate/dense", "intermediate.dense"),
        ("dense", "IH", "feed_forward/output", "output/dense", "output.dense"),
        ("norm", "H", "feed_forward/norm", "output/LayerNorm", "output.LayerNorm"),
    ),
    heads={
        "replaced_token": _REPLACED_TOKEN,
        "masked_lm": (
            ("dense", "HE", "masked_lm/dense", "generator_predictions/dense", "generator_predictions.dense"),
            (
                "norm",
                "E",
                "masked_lm/norm",
                "generator_predictions/LayerNorm",
                "generator_predictions.LayerNorm",
            ),
            (
                "vector",
                "V",
                "masked_lm/output_bias",
                "generator_predictions/output_bias",
                "generator_lm_head.bias",
            ),
        ),
        # Of a generator that reads from left to right and from right to left.
        "cloze": (
            ("dense", "DE", "cloze/dense", "cloze_predictions/dense", None),
            ("norm", "E", "cloze/norm", "cloze_predictions/LayerNorm", None),
            ("vector", "V", "cloze/output_bias", "cloze_predictions/output_bias", None),
        ),
        "sequence_classifier": (
            ("dense", "HH", "classifier/dense", None, "classifier.dense"),
            ("dense", "HN", "classifier/output", None, "classifier.out_proj"),
        ),
        "token_classifier": (("dense", "HN", "classifier", None, "classifier"),),
        "question_answering": (("dense", "H2", "qa_outputs", None, "qa_outputs"),),
        "multiple_choice": (
            ("dense", "HH", "summary", None, "sequence_summary.summary"),
            ("dense", "H1", "classifier", None, "classifier"),
        ),
        # Google's heads of fine-tuned models, which TF-V1 calls by the task's name: see `google_heads`. That of answers
        # in a text is a start, an end and perhaps whether there is one, each a head here.
        "first_token_classifier": (("dense", "HN", "classifier", None, None),),
        "answer_start": (("dense", "H1", "answers/start", None, None),),
        "answer_end": (("dense", "H1", "answers/end", None, None),),
        "answer_end_by_start": (
            ("dense", "DU", "answers/end_hidden", None, None),
            ("dense", "U1", "answers/end", None, None),
        ),
        "answerable": (("dense", "H1", "answers/class", None, None),),
        "answerable_by_start": (
            ("dense", "DU", "answers/class_hidden", None, None),
            ("dense", "U1", "answers/class", None, None),
        ),
    },
)

# Google's ALBERT has one tower, with the masked-LM head. No published format has an ALBERT with a head for
# replaced tokens: it keeps ELECTRA's names.
ALBERT = Architecture(
    towers={
        "encoder": ("encoder", "bert", "albert"),
        "discriminator": ("discriminator", "bert", "albert"),
        "generator": ("generator", "bert", "albert"),
    },
    encoder=(
        *_EMBEDDINGS,
        (
            "dense",
            "EH",
            "projection",
            "encoder/embedding_hidden_mapping_in",
            "encoder.embedding_hidden_mapping_in",
        ),
    ),
    block=(
        "transformer/block_{block}",
        "encoder/transformer/group_{group}/inner_group_{inner}",
        "encoder.albert_layer_groups.{group}.albert_layers.{inner}",
    ),
    block_rows=(
        ("dense", "HH", "attention/qkv", "attention_1/self/{part}", "attention.{part}"),
        ("dense", "HH", "attention/output", "attention_1/output/dense", "attention.dense"),
        ("norm", "H", "attention/norm", "LayerNorm", "attention.LayerNorm"),
        ("dense", "HI", "feed_forward/intermediate", "ffn_1/intermediate/dense", "ffn"),
        ("dense", "IH", "feed_forward/output", "ffn_1/intermediate/output/dense", "ffn_output"),
        ("norm", "H", "feed_forward/norm", "LayerNorm_1", "full_layer_layer_norm"),
    ),
    heads={
        "replaced_token": _REPLACED_TOKEN,
        "masked_lm": (
            ("dense", "HE", "masked_lm/dense", "cls/predictions/transform/dense", "predictions.dense"),
            ("norm", "E", "masked_lm/norm", "cls/predictions/transform/LayerNorm", "predictions.LayerNorm"),
            ("vector", "V", "masked_lm/output_bias", "cls/predictions/output_bias", "predictions.bias"),
        ),
        "pooler": (("dense", "HH", "pooler/dense", "bert/pooler/dense", "albert.pooler"),),
        "sentence_order": (("output", "H2", "sentence_order", "cls/seq_relationship/", "sop_classifier.classifier"),),
        "sequence_classifier": (("output", "HN", "classifier", "", "classifier"),),
        "token_classifier": (("dense", "HN", "classifier", None, "classifier"),),
        "question_answering": (("output", "H2", "qa_outputs", "cls/squad/", "qa_outputs"),),
        "multiple_choice": (("output", "H1", "classifier", "", "classifier"),),
        # Google's head for SQuAD 2, which no class of transformers has.
        "conditional_answers": (
            ("dense", "H1", "answers/start", "start_logits/dense", None),
            ("dense", "DH", "answers/end_hidden", "end_logits/dense_0", None),
            ("norm", "H", "answers/end_norm", "end_logits/LayerNorm", None),
            ("dense", "H1", "answers/end", "end_logits/dense_1", None),
            ("dense", "DH", "answers/class_hidden", "answer_class/dense_0", None),
            ("matrix", "H1", "answers/class", "answer_class/dense_1", None),
        ),
    },
)

ARCHITECTURES = {"electra": ELECTRA, "albert": ALBERT}

# What pre-training puts on each tower. The two towers of a cloze generator have their head in common.
PRETRAINING_HEADS = {"discriminator": ("replaced_token",), "generator": ("masked_lm",)}
PRETRAINING_HEADS |= {"generator_ltr": ("cloze",), "generator_rtl": ()}


class ModelClass(NamedTuple):
    """A class of transformers: its model type, the tower that it would be among several, and its heads."""

    model_type: str
    tower: str
    heads: tuple[str, ...]


MODEL_CLASSES = {
    "ElectraModel": ModelClass("electra", "discriminator", ()),
    "ElectraForPreTraining": ModelClass("electra", "discriminator", ("replaced_token",)),
    "ElectraForMaskedLM": ModelClass("electra", "generator", ("masked_lm",)),
    "ElectraForSequenceClassification": ModelClass("electra", "discriminator", ("sequence_classifier",)),
    "ElectraForTokenClassification": ModelClass("electra", "discriminator", ("token_classifier",)),
    "ElectraForQuestionAnswering": ModelClass("electra", "discriminator", ("question_answering",)),
    "ElectraForMultipleChoice": ModelClass("electra", "discriminator", ("multiple_choice",)),
    "AlbertModel": ModelClass("albert", "discriminator", ("pooler",)),
    "AlbertForPreTraining": ModelClass("albert", "generator", ("pooler", "masked_lm", "sentence_order")),
    "AlbertForMaskedLM": ModelClass("albert", "generator", ("masked_lm",)),
    "AlbertForSequenceClassification": ModelClass("albert", "discriminator", ("pooler", "sequence_classifier")),
    "AlbertForTokenClassification": ModelClass("albert", "discriminator", ("token_classifier",)),
    "AlbertForQuestionAnswering": ModelClass("albert", "discriminator", ("question_answering",)),
    "AlbertForMultipleChoice": ModelClass("albert", "discriminator", ("pooler", "multiple_choice")),
}


class Tensor(NamedTuple):
    """A weight: its names (three where query, key and value are apart; none where a world cannot hold it), its axes.

    An axis is a size, or, before a configuration is known, the field that holds it. The worlds in `turned` have the
    last two the other way round.
    """

    ours: str
    tf1: tuple[str, ...]
    torch: tuple[str, ...]
    axes: tuple
    turned: tuple[str, ...] = ()

    def names(self, world: str) -> tuple[str, ...]:
        return (self.ours,) if world == "ours" else getattr(self, world)

    @property
    def parts(self) -> int:
        """How many tensors the weight is elsewhere: three for query, key and value."""
        return max(1, len(self.tf1), len(self.torch))

    def shape(self, world: str) -> tuple[int, ...]:
        """The shape of each of its tensors in `world`."""
        *rows, columns = self.axes
        if world == "ours":
            return (*rows, columns * self.parts)
        return (columns, *rows) if world in self.turned else self.axes


def tower_tensors(fields: Mapping, tower: str) -> list[Tensor]:
    """Every weight of a tower and its pre-training head. `fields` are those of its `EncoderConfig`, by name."""
    return model_tensors(fields, tower, PRETRAINING_HEADS[tower])


def model_tensors(fields: Mapping, tower: str, heads: Iterable[str], scope: str | None = None) -> list[Tensor]:
    """Every weight of a tower and some heads.

    Args:
        fields: as in `tower_tensors`, and `num_labels` if a head has it.
        tower, heads: keys of the `Architecture`.
        scope: what TF-V1 calls the tower where that is not the tower's own name.
    """
    inner = fields["inner_group_num"]
    fields = {"twice_hidden_size": 2 * fields["hidden_size"], **fields}
    blocks = fields["num_hidden_groups"] * inner
    same_width = fields["embedding_size"] == fields["hidden_size"]
    return [
        tensor._replace(axes=tuple(axis if isinstance(axis, int) else fields[axis] for axis in tensor.axes))
        for tensor in templates(ARCHITECTURES[fields["model_type"]], tower, blocks, inner, heads, scope)
        if not (same_width and "/projection/" in tensor.ours)
    ]


def head_tensors(heads: Iterable[str], hidden_size: int, num_labels: int) -> list[Tensor]:
    """Every weight of some heads of an ELECTRA alone; none of them may need the vocabulary's or embeddings' size."""
    sizes = {"hidden_size": hidden_size, "twice_hidden_size": 2 * hidden_size, "num_labels": num_labels}
    rows = [tensor for head in heads for row in ELECTRA.heads[head] for tensor in _tensors(row, ("", "", ""))]
    return [tensor._replace(axes=tuple(sizes.get(axis, axis) for axis in tensor.axes)) for tensor in rows]


def joint_tensors(discriminator: Mapping, generator: Mapping | None, sharing: str) -> list[Tensor]:
    """Every weight of a discriminator and a generator, those that the generator shares with it left out.

    Args:
        discriminator, generator: fields of their configurations; generator None: there is none.
        sharing: `all`, `word` or `none` of the embeddings.
    """
    table = tower_tensors(discriminator, "discriminator")
    if generator is not None:
        shared = {"all": "generator/embeddings/", "word": "generator/embeddings/word/"}.get(sharing)
        tensors = tower_tensors(generator, "generator")
        table += [tensor for tensor in tensors if not (shared and tensor.ours.startswith(shared))]
    return table


def templates(
    architecture: Architecture,
    tower: str,
    blocks: int,
    inner: int = 1,
    heads: Iterable[str] | None = None,
    scope: str | None = None,
) -> Iterator[Tensor]:
    """Every weight a tower of so many blocks can have, `inner` of them a group; axes are field names.

    `heads` are by default those of pre-training; `scope` as in `model_tensors`.
    """
    ours, tf1, torch = architecture.towers[tower]
    prefixes = [name and name + sep for name, sep in zip((ours, scope or tf1, torch), _SEPARATORS, strict=True)]
    for row in architecture.encoder:
        yield from _tensors(row, prefixes)
    for block in range(blocks):
        numbers = {"block": block, "group": block // inner, "inner": block % inner}
        below = zip(prefixes, architecture.block, _SEPARATORS, strict=True)
        below = [prefix and prefix + name.format(**numbers) + sep for prefix, name, sep in below]
        for row in architecture.block_rows:
            yield from _tensors(row, below)
    for head in PRETRAINING_HEADS[tower] if heads is None else heads:
        for row in architecture.heads[head]:
            yield from _tensors(row, ("", "", ""))


def _tensors(row, prefixes):
    kind, axes, *names = row
    axes = tuple(_AXES[axis] for axis in axes)
    for *endings, rank in _KINDS[kind]:
        ours, tf1, torch = (
            None if name is None or prefix is None else prefix + name + ending
            for prefix, name, ending in zip(prefixes, names, endings, strict=True)
        )
        parts = _PARTS if any("{part}" in name for name in names if name) else ("",)
        foreign = (tuple(name.format(part=part) for part in parts) if name else () for name in (tf1, torch))
        yield Tensor(ours, *foreign, axes[-rank:], _TURNED.get(kind, ()) if ours.endswith("/kernel") else ())
