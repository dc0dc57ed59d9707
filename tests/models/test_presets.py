"""Parameter counts of the published family, counted from the built models.

The expected counts were taken from transformers' PyTorch classes; those of the joint models in Google's own graphs were
also read from the variables those graphs make.
"""

from functools import cache

import keras
import pytest

from electra_tf.errors import ConfigError
from electra_tf.models import Encoder, MaskedLanguageModel, ReplacedTokenDetector
from electra_tf.models.encoder import count_parameters
from electra_tf.models.generator_size import generator_config
from electra_tf.models.presets import PRESETS, preset
from electra_tf.models.task_models import masked_lm_head, replaced_token_head
from electra_tf.pretraining.joint_model import Parts
from electra_tf.pretraining.settings import Electra
from electra_tf.pretraining.sharing import Sharing, build_towers


@pytest.fixture(scope="module", autouse=True)
def nothing_is_allocated():
    """Variables get a shape and no value: ALBERT-xxlarge is counted in milliseconds."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    keras.utils.clear_session()


SMALL, BASE, LARGE = PRESETS["electra_small"], PRESETS["electra_base"], PRESETS["electra_large"]

TOWERS = {  # name: configuration, encoder, with the replaced-token head, with the masked-LM head
    "small": (SMALL.encoder, 13_483_008, 13_549_057, 13_546_682),
    "small++": (PRESETS["electra_small_plus_plus"].encoder, 13_483_008, 13_549_057, 13_546_682),
    "base": (BASE.encoder, 108_891_648, 109_483_009, 109_514_298),
    "large": (LARGE.encoder, 334_092_288, 335_142_913, 335_174_458),
    "small, generator": (SMALL.generator, 4_580_928, None, 4_620_026),
    "small++, generator": (PRESETS["electra_small_plus_plus"].generator, 13_483_008, 13_549_057, 13_546_682),
    "base, generator": (BASE.generator, 33_511_168, None, 33_740_602),
    "large, generator": (LARGE.generator, 50_999_552, None, 51_295_290),
    "small, half as deep": (generator_config(SMALL.encoder, 1, 0.5), 8_744_448, None, 8_808_122),
    "base, half as deep": (generator_config(BASE.encoder, 1, 0.5), 66_364_416, None, 66_987_066),
    "KoELECTRA base v1": (PRESETS["koelectra_base_v1"].encoder, 110_180_352, 110_771_713, 110_804_680),
    "KoELECTRA base v2": (PRESETS["koelectra_base_v2"].encoder, 110_180_352, 110_771_713, 110_804_680),
    "KoELECTRA base v3": (PRESETS["koelectra_base_v3"].encoder, 112_330_752, 112_922_113, 112_957_880),
    "KoELECTRA small v1": (PRESETS["koelectra_small_v1"].encoder, 13_697_792, 13_763_841, 13_763_144),
    "KoELECTRA small v2": (PRESETS["koelectra_small_v2"].encoder, 13_697_792, 13_763_841, 13_763_144),
    "KoELECTRA small v3": (PRESETS["koelectra_small_v3"].encoder, 14_056_192, 14_122_241, 14_124_344),
    "KoELECTRA base v1, generator": (PRESETS["koelectra_base_v1"].generator, 34_799_872, None, 35_030_984),
    "KoELECTRA base v3, generator": (PRESETS["koelectra_base_v3"].generator, 36_950_272, None, 37_184_184),
    **{
        f"ALBERT {size} {version}": (PRESETS[f"albert_{size}_{version}"].encoder, encoder, None, masked_lm)
        for version in ("v1", "v2")
        for size, encoder, masked_lm in (
            ("base", 11_092_992, 11_221_680),
            ("large", 16_634_368, 16_795_824),
            ("xlarge", 54_528_512, 54_821_040),
            ("xxlarge", 205_814_272, 206_368_944),
        )
    },
    "ALECTRA small": (PRESETS["alectra_small_owt"].encoder, 4_812_288 - 65_792, None, None),  # without its pooler
    "ALECTRA small, generator": (PRESETS["alectra_small_owt"].generator, None, None, 4_810_170),
}


encoder_of = cache(Encoder)


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_has_the_published_number_of_parameters(name):
    config, *expected = TOWERS[name]
    encoder = encoder_of(config)
    made = (encoder, ReplacedTokenDetector(config, encoder), MaskedLanguageModel(config, encoder))
    counted = [count and count_parameters(model) for model, count in zip(made, expected, strict=True)]
    assert counted == expected


JOINT = {  # preset: sharing everything, the word table, nothing
    "electra_small": (14_196_219, 14_262_267, 18_169_083),
    "electra_small_plus_plus": (23_122_875, 23_188_923, 27_095_739),
    "electra_base": (119_386_427, 119_782_715, 143_223_611),
    "electra_large": (354_655_291, 355_183_675, 386_438_203),
    "koelectra_base_v1": (120_676_809, 121_073_097, 145_802_697),
    "koelectra_base_v2": (120_676_809, 121_073_097, 145_802_697),
    "koelectra_base_v3": (122_830_009, 123_226_297, 150_106_297),
    "koelectra_small_v1": (23_339_337, 23_405_385, 27_526_985),
    "koelectra_small_v2": (23_339_337, 23_405_385, 27_526_985),
    "koelectra_small_v3": (23_700_537, 23_766_585, 28_246_585),
}


def _slow_but_for(*names):
    """Building two towers of a base model takes a second or two, most of it Keras' bookkeeping of layers."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in JOINT]


def joint(sharing, towers):
    """A discriminator and a generator with their heads."""
    built = build_towers(sharing, towers)
    heads = {"replaced_token": replaced_token_head(built["discriminator"])}
    heads["masked_lm"] = masked_lm_head(built["generator"])
    return Parts({**built, **heads})


@pytest.mark.parametrize("sharing, place", [("all", 0), ("word", 1), ("none", 2)])
@pytest.mark.parametrize("name", _slow_but_for("electra_small", "electra_base"))
def test_both_towers_together_count_once_what_they_share(name, sharing, place):
    published = PRESETS[name]
    towers = {"discriminator": published.encoder, "generator": published.generator}
    assert count_parameters(joint(Sharing(sharing), towers)) == JOINT[name][place]


@pytest.mark.parametrize(
    "settings, vocabulary, expected",
    [
        (Electra("electra_small", embedding_sharing="none"), 30522, 16_170_107),
        (Electra("electra_base", embedding_sharing="none"), 30522, 127_002_683),
        (Electra("electra_base"), 30528, 119_391_041),
        (Electra("electra_base", embedding_sharing="word"), 30528, 119_787_329),
        (Electra("electra_small", generator_width=1.0, generator_depth=0.5), 30522, 18_384_315),
        (Electra("koelectra_small_v3", generator_width=0.25), 35000, 14_773_881),
    ],
    ids=["small, nothing shared as the original", "base, nothing shared as the original", "base, padded vocabulary",
         "base, padded, word table shared", "small, generator half as deep", "KoELECTRA small v3, quarter generator"],
)  # fmt: skip
def test_a_models_settings_give_the_published_number_of_parameters(settings, vocabulary, expected):
    assert count_parameters(joint(settings.sharing, settings.towers(vocabulary))) == expected


def test_koelectras_file_sizes_are_those_published():
    configs = [PRESETS[f"koelectra_{name}"].encoder for name in ("base_v1", "base_v3", "small_v1", "small_v3")]
    counts = [count_parameters(ReplacedTokenDetector(config, encoder_of(config))) for config in configs]
    assert [round(4 * count / 2**20, 1) for count in counts] == [422.6, 430.8, 52.5, 53.9]


@pytest.mark.parametrize(
    "name, hidden, heads, intermediate, layers",
    [
        ("electra_small", 64, 1, 256, 12),
        ("electra_small_plus_plus", 256, 4, 1024, 12),
        ("electra_base", 256, 4, 1024, 12),
        ("electra_large", 256, 4, 1024, 24),
        ("koelectra_base_v3", 256, 4, 1024, 12),
        ("alectra_small_owt", 256, 1, 1024, 3),
    ],
)
def test_generators_have_the_published_sizes(name, hidden, heads, intermediate, layers):
    g = PRESETS[name].generator
    found = (g.hidden_size, g.num_attention_heads, g.intermediate_size, g.num_hidden_layers)
    assert found == (hidden, heads, intermediate, layers)


def test_every_electra_computes_the_exact_gelu_and_every_albert_the_tanh_form():
    kinds = {(p.encoder.model_type, p.encoder.hidden_act) for p in PRESETS.values()}
    assert kinds == {("electra", "gelu"), ("albert", "gelu_new")}


def test_an_unknown_preset_is_answered_with_all_names():
    with pytest.raises(ConfigError, match="koelectra_small_v3"):
        preset("electra_huge")


@pytest.mark.parametrize("shares", [(0.001, 1), (0.25, 0.01)])
def test_a_generator_without_units_or_layers_is_refused(shares):
    with pytest.raises(ConfigError, match="no units or no layers"):
        generator_config(PRESETS["electra_small"].encoder, *shares)


def test_a_width_that_its_heads_do_not_divide_is_refused():
    with pytest.raises(ConfigError, match="num_attention_heads"):
        generator_config(PRESETS["electra_base"].encoder, 200 / 768)
