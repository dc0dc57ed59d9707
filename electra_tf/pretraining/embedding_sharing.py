"""What the two towers share: the whole embeddings, the word table alone, or nothing."""

from electra_tf.errors import ConfigError
from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import Encoder

SHARING = ("all", "word", "none")


def check_sharing(sharing: str, discriminator: EncoderConfig, generator: EncoderConfig) -> None:
    """Raises `ConfigError` when the two towers cannot share what `sharing` says."""
    if sharing not in SHARING:
        raise ConfigError(f"embedding_sharing is {sharing!r}", expected=f"one of {', '.join(SHARING)}")
    fields = {"all": ("embedding_size", "vocab_size", "max_position_embeddings", "type_vocab_size")}
    for name in fields.get(sharing, ("embedding_size", "vocab_size") if sharing == "word" else ("vocab_size",)):
        ours, theirs = getattr(generator, name), getattr(discriminator, name)
        if ours != theirs:
            raise ConfigError(
                f"the generator's {name} is {ours}, the discriminator's {theirs}",
                expected="the same in both, since they share it",
                remedy=f"set both alike, or embedding_sharing = '{'word' if sharing == 'all' else 'none'}'",
            )


def build_towers(sharing: str, discriminator: EncoderConfig, generator: EncoderConfig, dtype=None):
    """(discriminator, generator) encoders.

    `all` shares the embeddings module as Google's ELECTRA does: word, position and type tables and the layer norm,
    with gradients from both losses; `word` only the word table; `none` nothing. Projections are never shared.
    """
    check_sharing(sharing, discriminator, generator)
    disc = Encoder(discriminator, name="discriminator", dtype=dtype)
    shared = {
        "all": {"embeddings": disc.embeddings},
        "word": {"word": disc.embeddings.word},
        "none": {},
    }
    return disc, Encoder(generator, name="generator", dtype=dtype, **shared[sharing])
