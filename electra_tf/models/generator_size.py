"""How large a generator is, from its discriminator."""

from electra_tf.errors import ConfigError
from electra_tf.models.config import EncoderConfig


def generator_config(encoder: EncoderConfig, width: float = 0.25, depth: float = 1.0) -> EncoderConfig:
    """The generator that the original builds beside `encoder`.

    Args:
        encoder: the discriminator's configuration.
        width: share of its hidden size, rounded to a whole number.
        depth: share of its number of layers, rounded.

    Heads are `max(1, hidden // 64)` and the feed-forward size `4 * hidden`, whatever the discriminator has. With
    `width` 1 the discriminator's own heads and feed-forward size are kept, which changes nothing in the published
    sizes.
    """
    hidden, layers = round(encoder.hidden_size * width), round(encoder.num_hidden_layers * depth)
    if hidden < 1 or layers < 1:
        raise ConfigError(
            f"a generator of {width} of the width and {depth} of the depth has no units or no layers",
            where="Electra.generator_width and Electra.generator_depth",
            expected="shares that leave at least one unit and one layer",
        )
    changes = {"hidden_size": hidden, "num_hidden_layers": layers}
    if width != 1:
        changes |= {"num_attention_heads": max(1, hidden // 64), "intermediate_size": 4 * hidden}
    if encoder.model_type == "electra":
        changes["num_hidden_groups"] = None
    return encoder.replace(**changes)
