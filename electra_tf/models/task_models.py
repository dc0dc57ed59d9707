"""An encoder with a pre-training head, as Keras models: what `fill-mask` and `detect` run."""

import keras

from electra_tf.layers.heads import MaskedLMHead, ReplacedTokenHead
from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import Encoder


def masked_lm_head(encoder: Encoder, name="masked_lm") -> MaskedLMHead:
    """The masked-LM head over `encoder`, sharing its word table."""
    c = encoder.config
    return MaskedLMHead(
        c.hidden_size,
        c.embedding_size,
        encoder.embeddings.word,
        c.hidden_act,
        c.layer_norm_eps,
        c.initializer_range,
        name=name,
        dtype=encoder.dtype_policy,
    )


def replaced_token_head(encoder: Encoder, name="replaced_token") -> ReplacedTokenHead:
    """The discriminator's head over `encoder`."""
    c = encoder.config
    return ReplacedTokenHead(c.hidden_size, c.hidden_act, c.initializer_range, name=name, dtype=encoder.dtype_policy)


class _EncoderWithHead(keras.Model):
    make_head = None

    def __init__(self, config, encoder: Encoder | None = None, **kwargs):
        super().__init__(**kwargs)
        config = config if isinstance(config, EncoderConfig) else EncoderConfig.from_dict(config)
        self.config = config
        self.encoder = encoder or Encoder(config, dtype=self.dtype_policy)
        self.head = type(self).make_head(self.encoder)
        self.built = True

    def call(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, training=False):
        hidden = self.encoder(input_ids, attention_mask, token_type_ids, position_ids, training=training)
        return self.head(hidden)

    def get_config(self):
        return {"config": self.config.to_dict(), "name": self.name, "dtype": self.dtype_policy.name}


@keras.saving.register_keras_serializable("electra_tf")
class MaskedLanguageModel(_EncoderWithHead):
    """Logits over the vocabulary, float32 [B, T, V]; arguments as `Encoder`."""

    make_head = staticmethod(masked_lm_head)


@keras.saving.register_keras_serializable("electra_tf")
class ReplacedTokenDetector(_EncoderWithHead):
    """One logit a token, float32 [B, T], positive where it looks replaced; arguments as `Encoder`."""

    make_head = staticmethod(replaced_token_head)
