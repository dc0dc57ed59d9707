"""What the two towers share: the whole embeddings, the word table alone, nothing, or values without gradients."""

from electra_tf.errors import ConfigError
from electra_tf.layers.embeddings import DeltaTable
from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import Encoder

SHARING = ("all", "word", "none", "gdes")


def check_sharing(sharing: str, discriminator: EncoderConfig, generator: EncoderConfig) -> None:
    """Raises `ConfigError` when the two towers cannot share what `sharing` says."""
    if sharing not in SHARING:
        raise ConfigError(f"embedding_sharing is {sharing!r}", expected=f"one of {', '.join(SHARING)}")
    for name in _SAME[sharing]:
        ours, theirs = getattr(generator, name), getattr(discriminator, name)
        if ours != theirs:
            raise ConfigError(
                f"the generator's {name} is {ours}, the discriminator's {theirs}",
                expected="the same in both, since they share it",
                remedy=f"set both alike, or embedding_sharing = '{'word' if sharing == 'all' else 'none'}'",
            )


# What must then be the same in both towers.
_SAME = {"none": ("vocab_size",), "word": ("embedding_size", "vocab_size")}
_SAME["gdes"] = (*_SAME["word"], "max_position_embeddings")
_SAME["all"] = (*_SAME["gdes"], "type_vocab_size")


def build_towers(sharing: str, discriminator: EncoderConfig, generator: EncoderConfig, dtype=None):
    """(discriminator, generator) encoders.

    `all` shares the embeddings module as Google's ELECTRA does: word, position and type tables and the layer norm,
    with gradients from both losses; `word` only the word table; `none` nothing. `gdes` is DeBERTaV3's: the
    discriminator's word and position tables are the generator's, which its loss does not train, plus differences of its
    own. Projections are never shared.
    """
    check_sharing(sharing, discriminator, generator)
    if sharing == "gdes":
        gen = Encoder(generator, name="generator", dtype=dtype)
        bases = {"word": gen.embeddings.word, "position": gen.embeddings.position}
        tables = {name: DeltaTable(base, name=name, dtype=gen.dtype_policy) for name, base in bases.items()}
        return Encoder(discriminator, name="discriminator", dtype=dtype, tables=tables), gen
    disc = Encoder(discriminator, name="discriminator", dtype=dtype)
    shared = {
        "all": {"embeddings": disc.embeddings},
        "word": {"tables": {"word": disc.embeddings.word}},
        "none": {},
    }
    return disc, Encoder(generator, name="generator", dtype=dtype, **shared[sharing])
