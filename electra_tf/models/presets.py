"""The published family as data: encoder, generator and tokenizer settings.

Sources: the original repositories of ELECTRA, ALBERT and KoELECTRA, and ALECTRA's training script. `hidden_act` is
what the original code computed with, which for Google's ALBERT is the tanh form whatever its JSON says.
"""

from dataclasses import dataclass, field

from electra_tf.errors import ConfigError
from electra_tf.models.config import EncoderConfig
from electra_tf.models.generator_size import generator_config


@dataclass(frozen=True)
class Preset:
    """A published model.

    Attributes:
        encoder: the discriminator's configuration (for ALBERT: the encoder's).
        generator: the generator's configuration, or None where there is no generator.
        tokenizer: `kind` and the settings of its tokenizer.
    """

    encoder: EncoderConfig
    generator: EncoderConfig | None = None
    tokenizer: dict = field(default_factory=dict)


_ENGLISH = {"kind": "wordpiece", "lower_case": True}
_KOREAN = {"kind": "wordpiece", "lower_case": False, "strip_accents": False}
_SENTENCEPIECE = {"kind": "sentencepiece", "lower_case": True}


def _electra(hidden, layers, embedding, width, tokenizer=_ENGLISH, vocab=30522):
    encoder = EncoderConfig(
        vocab_size=vocab,
        embedding_size=embedding,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
    )
    return Preset(encoder, generator_config(encoder, width), tokenizer)


def _albert(hidden, layers, heads, dropout):
    encoder = EncoderConfig(
        model_type="albert",
        vocab_size=30000,
        embedding_size=128,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        hidden_act="gelu_new",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return Preset(encoder, None, _SENTENCEPIECE)


def _alectra(
    hidden,
    heads,
    intermediate,
    layers,
    generator_layers,
    generator_heads,
    positions,
    vocab,
    initializer_range=0.02,
):
    encoder = EncoderConfig(
        model_type="albert",
        vocab_size=vocab,
        embedding_size=min(128, hidden),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        hidden_act="gelu_new",
        max_position_embeddings=positions,
        initializer_range=initializer_range,
    )
    generator = encoder.replace(num_hidden_layers=generator_layers, num_attention_heads=generator_heads)
    return Preset(encoder, generator, _ENGLISH)


_TINY_RANGE = 0.06  # near 1 / sqrt(hidden_size); the family's 0.02 is small for so narrow a network

_TINY = EncoderConfig(
    vocab_size=8000,
    embedding_size=128,
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=512,
    max_position_embeddings=128,
    initializer_range=_TINY_RANGE,
)

_TINY_GENERATOR = generator_config(_TINY, 0.5, 0.5).replace(num_attention_heads=2)

_TINY_ALBERT = _TINY.replace(
    model_type="albert",
    num_hidden_layers=4,
    num_hidden_groups=1,
    hidden_act="gelu_new",
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)

PRESETS = {
    "electra_tiny": Preset(_TINY, _TINY_GENERATOR, _ENGLISH),
    "koelectra_tiny": Preset(_TINY, _TINY_GENERATOR, _KOREAN),
    "electra_small": _electra(256, 12, 128, 0.25),
    "electra_small_plus_plus": _electra(256, 12, 128, 1.0),
    "electra_base": _electra(768, 12, 768, 0.33333),
    "electra_large": _electra(1024, 24, 1024, 0.25),
    "koelectra_base_v1": _electra(768, 12, 768, 0.33333, _KOREAN, 32200),
    "koelectra_base_v2": _electra(768, 12, 768, 0.33333, _KOREAN, 32200),
    "koelectra_base_v3": _electra(768, 12, 768, 0.33333, _KOREAN, 35000),
    "koelectra_small_v1": _electra(256, 12, 128, 1.0, _KOREAN, 32200),
    "koelectra_small_v2": _electra(256, 12, 128, 1.0, _KOREAN, 32200),
    "koelectra_small_v3": _electra(256, 12, 128, 1.0, _KOREAN, 35000),
    "albert_tiny": Preset(_TINY_ALBERT, None, _SENTENCEPIECE),
    "albert_base_v1": _albert(768, 12, 12, 0.1),
    "albert_large_v1": _albert(1024, 24, 16, 0.1),
    "albert_xlarge_v1": _albert(2048, 24, 16, 0.1),
    "albert_xxlarge_v1": _albert(4096, 12, 64, 0.0),
    "albert_base_v2": _albert(768, 12, 12, 0.0),
    "albert_large_v2": _albert(1024, 24, 16, 0.0),
    "albert_xlarge_v2": _albert(2048, 24, 16, 0.0),
    "albert_xxlarge_v2": _albert(4096, 12, 64, 0.0),
    "alectra_small_owt": _alectra(256, 4, 1024, 12, 3, 1, 128, 30522),
    "alectra_tiny": _alectra(128, 4, 512, 4, 2, 4, 128, 8000, _TINY_RANGE),
}


def preset(name: str) -> Preset:
    """The preset called `name`; `ConfigError` lists all names where there is none."""
    if name not in PRESETS:
        raise ConfigError(
            f"there is no preset {name!r}",
            where="Electra.preset, MaskedLM.preset or --from_scratch",
            expected=f"one of {', '.join(PRESETS)}",
        )
    return PRESETS[name]
