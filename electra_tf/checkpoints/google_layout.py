"""What a model of Google's ELECTRA code is made of, told from the names and shapes of its tensors."""

from collections.abc import Mapping
from typing import NamedTuple

from electra_tf.checkpoints.config_from_shapes import derive_fields
from electra_tf.checkpoints.google_heads import PREFIX as TASKS
from electra_tf.checkpoints.google_heads import task_tensors
from electra_tf.checkpoints.weight_names import Tensor, model_tensors
from electra_tf.errors import CheckpointError

_TWO_TOWERS = ("generator_ltr", "generator_rtl")
_SHARED = ("vocab_size", "embedding_size", "max_position_embeddings", "type_vocab_size")
# How each world calls what tells the models apart.
_CALLED = {
    "tf1": {
        "encoder": "electra/",
        "replaced_token": "discriminator_predictions/",
        "masked_lm": "generator_predictions/",
    },
    "ours": {"encoder": "discriminator/", "replaced_token": "replaced_token/", "masked_lm": "masked_lm/"},
}


class Layout(NamedTuple):
    """Towers and heads.

    Attributes:
        towers: by tower, the fields of its configuration that tensors tell. Usually `discriminator` and `generator`;
            one of them alone; or the discriminator, `generator_ltr` and `generator_rtl` of a two-tower generator or of
            Electric. A generator alone is what a masked-LM run leaves; TF-V1 calls it `electra`.
        heads: by tower, as in `names.ELECTRA.heads`.
        sharing: of the embeddings: `all`, `word` or `none`; `encoder` where one encoder is both towers, which is then
            the discriminator with both heads.
        tasks: tensors of the heads of a fine-tuned model.
    """

    towers: dict[str, dict]
    heads: dict[str, tuple[str, ...]]
    sharing: str
    tasks: tuple[Tensor, ...] = ()

    def fields(self, tower: str) -> dict | None:
        """Of a tower's configuration; None where there is no such tower."""
        return self.towers.get("discriminator" if self.sharing == "encoder" else tower)

    def shared(self) -> dict[str, str]:
        """What a tower has from the discriminator, prefix by prefix."""
        part = {"all": "embeddings/", "word": "embeddings/word/"}.get(self.sharing)
        others = [tower for tower in self.towers if part and tower != "discriminator"]
        return {f"{tower}/{part}": f"discriminator/{part}" for tower in others}

    def tensors(self) -> list[Tensor]:
        """Every weight, those that a tower shares with the discriminator once."""
        scope = "electra" if "discriminator" not in self.towers else None
        table = [t for tower, f in self.towers.items() for t in model_tensors(f, tower, self.heads[tower], scope)]
        return [tensor for tensor in table if not tensor.ours.startswith(tuple(self.shared()))] + list(self.tasks)


def layout(shapes: Mapping[str, tuple], world: str, where=None) -> Layout:
    """Of a model with tensors of such shapes, by their names in `world`, `tf1` or `ours`.

    Raises: `CheckpointError` where it cannot be told, or is none of Google's.
    """
    called = {name: any(n.startswith(prefix) for n in shapes) for name, prefix in _CALLED[world].items()}
    has = {tower: any(n.startswith(f"{tower}/") for n in shapes) for tower in ("generator", *_TWO_TOWERS)}
    if world == "tf1":
        alone = called["masked_lm"] and not called["replaced_token"] and not has["generator"]
    else:
        alone = has["generator"] and not called["encoder"]
    if alone:
        fields = derive_fields(shapes, "electra", "generator", world, None, where, scope="electra")
        return Layout({"generator": fields}, {"generator": ("masked_lm",)}, "none")

    heads = [name for name in ("replaced_token", "masked_lm") if called[name]]
    if has["generator"] or any(has[tower] for tower in _TWO_TOWERS):
        heads = heads[:1] if called["replaced_token"] else []
    encoder = derive_fields(shapes, "electra", "discriminator", world, None, where, heads)
    towers, all_heads = {"discriminator": encoder}, {"discriminator": tuple(heads)}
    if any(has[tower] for tower in _TWO_TOWERS):
        sharing = _add(towers, _TWO_TOWERS, shapes, world, where)
        all_heads |= {"generator_ltr": ("cloze",), "generator_rtl": ()}
    elif has["generator"]:
        sharing = _add(towers, ("generator",), shapes, world, where)
        all_heads["generator"] = ("masked_lm",)
    else:
        sharing = "encoder" if len(heads) == 2 else "none"
    tasks = task_tensors(
        {n: shape for n, shape in shapes.items() if n.startswith(TASKS)}, encoder["hidden_size"], where
    )
    return Layout(towers, all_heads, sharing, tuple(tasks))


def _add(towers, names, shapes, world, where):
    """Adds the generator's towers; returns what of the embeddings they share with the discriminator."""
    encoder, sharing = towers["discriminator"], "all"
    for tower in names:
        known = {field: encoder[field] for field in _SHARED}
        if any(name.startswith(f"{tower}/embeddings/") for name in shapes):
            known, sharing = {}, "none"
            if world == "ours" and f"{tower}/embeddings/word/embeddings" not in shapes:
                raise CheckpointError(
                    "the towers share the word table alone",
                    where=where,
                    expected="embeddings shared whole or not at all: TF-V1 has no names for the rest",
                    remedy="export each tower as a Hugging Face folder",
                )
        towers[tower] = derive_fields(shapes, "electra", tower, world, known, where)
    return sharing
