"""What the towers share: embeddings in one of five ways; besides, where it is asked for, projections and layers."""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from electra_tf.errors import ConfigError
from electra_tf.layers.embeddings import DeltaTable
from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import Encoder

EMBEDDINGS = ("all", "word", "none", "gdes", "cloned")
_CLONED = ("word", "position", "token_type")


class Sharing(NamedTuple):
    """What the other towers have from the discriminator.

    Attributes:
        embeddings: `all`, the embeddings module as Google's ELECTRA: word, position and type tables and the layer norm,
            with gradients from both losses; `word`, the word table alone; `none`; `gdes`, DeBERTaV3's: the
            discriminator's word and position tables are the generator's, which its loss does not train, plus
            differences of its own; `cloned`, what ALECTRA's code does where it means to share: tables begin alike and
            then part.
        projection: from the embeddings' width to the layers'. layers: of the stack, as many as there are weights for.
    """

    embeddings: str = "all"
    projection: bool = False
    layers: bool = False

    def __str__(self):
        return f"embeddings: {self.embeddings}" + ", projection" * self.projection + ", layers" * self.layers

    def check(self, discriminator: EncoderConfig, other: EncoderConfig, given: Mapping | None = None) -> None:
        """Raises `ConfigError` when two towers cannot share so much. `given`: what the settings say of the other."""
        same = {f"embedding_sharing is {self.embeddings!r}": _SAME[self.embeddings]}
        same |= {"share_projection is set": _PROJECTION} if self.projection else {}
        same |= {"share_layers is set": _LAYERS} if self.layers else {}
        if discriminator.model_type == "electra":  # whose groups are its layers
            same = {why: [n.replace("hidden_groups", "hidden_layers") for n in names] for why, names in same.items()}
        wanted = {name: getattr(discriminator, name) for names in same.values() for name in names}
        differ = {name: value for name, value in wanted.items() if getattr(other, name) != value}
        if differ:
            name = next(iter(differ))
            setting = next(setting for setting, names in same.items() if name in names)
            raise ConfigError(
                f"the generator's {name} is {getattr(other, name)}, the discriminator's {differ[name]}",
                where="Electra.generator",
                expected=f"the same in both, since {setting}",
                remedy=f'--gin_param "Electra.generator = {dict(given or {}) | differ}", or share less',
            )
        if self.projection and discriminator.embedding_size == discriminator.hidden_size:
            raise ConfigError(
                "share_projection is set, and there is no projection",
                where="Electra",
                expected="an embedding_size other than hidden_size",
                remedy="leave share_projection out",
            )

    def prefixes(self, towers: Mapping[str, EncoderConfig]) -> dict[str, str]:
        """What other towers have from the discriminator, prefix by prefix; nothing that differs in anything."""
        part = {"all": ["embeddings/"], "word": ["embeddings/word/"]}.get(self.embeddings, [])
        part = [*part, *["projection/"] * self.projection, *["transformer/"] * self.layers]
        others = [tower for tower in towers if tower != "discriminator"]
        return {f"{tower}/{one}": f"discriminator/{one}" for tower, one in product(others, part)}


# What must then be the same in both towers.
_SAME = {"none": ("vocab_size",), "word": ("embedding_size", "vocab_size")}
_SAME["gdes"] = (*_SAME["word"], "max_position_embeddings")
_SAME["all"] = _SAME["cloned"] = (*_SAME["gdes"], "type_vocab_size")
_PROJECTION = ("embedding_size", "hidden_size")
_LAYERS = ("hidden_size", "num_hidden_groups", "inner_group_num", "intermediate_size", "num_attention_heads")
_LAYERS += ("hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps")


def build_towers(sharing: Sharing, towers: Mapping[str, EncoderConfig], dtype=None) -> dict[str, Encoder]:
    """Encoders by name, the one called `discriminator` first."""
    others = {tower: config for tower, config in towers.items() if tower != "discriminator"}
    for config in others.values():
        sharing.check(towers["discriminator"], config)
    if sharing.embeddings == "gdes":
        # The generator's tables are the discriminator's too, so it is made first.
        (name, config), *_ = others.items()
        generator = Encoder(config, name=name, dtype=dtype)
        bases = {"word": generator.embeddings.word, "position": generator.embeddings.position}
        tables = {table: DeltaTable(base, name=table, dtype=generator.dtype_policy) for table, base in bases.items()}
        whole = {"projection": generator.projection} if sharing.projection else {}
        whole |= {"blocks": generator.transformer.blocks} if sharing.layers else {}
        c = towers["discriminator"]
        return {"discriminator": Encoder(c, tables=tables, name="discriminator", dtype=dtype, **whole), name: generator}
    discriminator = Encoder(towers["discriminator"], name="discriminator", dtype=dtype)
    table = discriminator.embeddings.word
    shared = {"all": {"embeddings": discriminator.embeddings}, "word": {"tables": {"word": table}}}
    shared = shared.get(sharing.embeddings, {})
    shared |= {"projection": discriminator.projection} if sharing.projection else {}
    shared |= {"blocks": discriminator.transformer.blocks} if sharing.layers else {}
    built = {"discriminator": discriminator}
    built |= {tower: Encoder(config, name=tower, dtype=dtype, **shared) for tower, config in others.items()}
    if sharing.embeddings == "cloned":
        for tower, table in product(others, _CLONED):
            clone, source = (getattr(built[name].embeddings, table) for name in (tower, "discriminator"))
            clone.embeddings.assign(source.embeddings)
    return built
