"""What is pre-trained, as data: the encoders and the method, for each objective. gin fills these classes."""

import dataclasses
from dataclasses import dataclass, field

import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.models.config import EncoderConfig
from electra_tf.models.generator_size import generator_config
from electra_tf.models.presets import preset
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.sharing import EMBEDDINGS, Sharing
from electra_tf.settings import check_numbers

INITIAL_WEIGHTS = ("random", "informed")
GENERATORS = ("masked", "shared", "two_towers", "uniform")
JUDGED = ("replaced", "electric")
_SHOWN_AT_MASKS = ("mask_token_prob", "random_token_prob", "random_special_tokens")


@dataclass(frozen=True)
class Electra:
    """A generator and a discriminator; names and defaults are the paper's.

    Attributes:
        preset: name of a preset; gives both encoders.
        discriminator, generator: fields of `EncoderConfig` that override the preset's, such as
            `{'hidden_size': 192}`. The vocabulary's size always comes from the data.
        generator_width, generator_depth: shares of the discriminator's width and depth, instead of the preset's
            generator. (Half of the depth at full width, as DeBERTaV3: `generator_width = 1.0, generator_depth = 0.5`.)
        generator_kind: `masked`, an encoder that reads the masked text; `shared`, the discriminator itself with another
            head; `two_towers`, which read the text from both ends; `uniform`, any token at random.
        judged: `replaced`, whether a token is the original; `electric`, whether it is noise, by noise-contrastive
            estimation, which needs `two_towers`.
        embedding_sharing: `all` (as the original), `word`, `none` or `gdes`, see `Sharing`. With `none` the
            generator's embeddings are as wide as the generator, as in the original, unless `generator` says otherwise.
            compat: `cloned`, tables that are alike at the beginning only (ALECTRA).
        share_projection: from the embeddings to the layers; both towers are then of one width (ALECTRA offers it).
        share_layers: the generator's are the discriminator's; an ALBERT's may be called less often. Both towers then
            have as many heads. (ALECTRA's `tie_encoder`, where the discriminator got the generator's single head.)
        mlm_weight, disc_weight: of the two losses.
        temperature: of the sampling only. first_temperature: from which it falls, as 1 + (first - 1) exp(-s / (0.1 N))
            in the course of N steps; None: it stays. (For a frozen generator: Fast-ELECTRA, arXiv 2310.07347.)
        disallow_correct: never sample the original token.
        generator_steps: for so many steps at the beginning the generator's own weights alone change, then the others
            warm up in their turn: for one that starts anew beside a discriminator that is already trained.
        freeze_generator: it has no loss, no gradient and no dropout, and keeps its weights: for one that is trained
            already (--init_generator). It shares none that the discriminator trains.
        initial_weights: `random`, as the originals; `informed`, see `pretraining.informed_initialization`.
        vocabulary_multiple: tables get so many rows that their number is a multiple of it; rows beyond the vocabulary
            are never masked or sampled, and `electra-tf convert --vocab_size` cuts them off. (64 suits GPUs.)
        wrap_around: compat: the two towers' states are shifted around the ends, see `TwoTowers`.
    """

    preset: str = "electra_small"
    discriminator: dict = field(default_factory=dict)
    generator: dict = field(default_factory=dict)
    generator_width: float | None = None
    generator_depth: float | None = None
    generator_kind: str = "masked"
    judged: str = "replaced"
    embedding_sharing: str = "all"
    share_projection: bool = False
    share_layers: bool = False
    mlm_weight: float = 1.0
    disc_weight: float = 50.0
    temperature: float = 1.0
    first_temperature: float | None = None
    disallow_correct: bool = False
    generator_steps: int = 0
    freeze_generator: bool = False
    initial_weights: str = "random"
    vocabulary_multiple: int = 1
    wrap_around: bool = False

    def __post_init__(self):
        check_numbers(self)
        _check_choice("Electra", "generator_kind", self.generator_kind, GENERATORS)
        _check_choice("Electra", "judged", self.judged, JUDGED)
        _check_choice("Electra", "initial_weights", self.initial_weights, INITIAL_WEIGHTS)
        _check_choice("Electra", "embedding_sharing", self.embedding_sharing, EMBEDDINGS)
        _check_multiple("Electra", self.vocabulary_multiple)
        for name in ("mlm_weight", "disc_weight", "generator_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}", where="Electra", expected="0 or more")
        for name in ("generator_width", "generator_depth"):
            share = getattr(self, name)
            if share is not None and share <= 0:
                raise ConfigError(f"{name} is {share}", where="Electra", expected="a share of the discriminator's")
        if self.judged == "electric" and self.generator_kind != "two_towers":
            raise ConfigError(
                f"judged is 'electric', with the generator {self.generator_kind!r}",
                where="Electra",
                expected="generator_kind = 'two_towers', which knows how likely every token is",
            )
        if self.generator_kind in ("shared", "uniform"):
            own = ("generator", "generator_width", "generator_depth", "generator_steps", "freeze_generator")
            own += ("share_projection", "share_layers")
            own += ("first_temperature",) if self.generator_kind == "uniform" else ()
            given = [name for name in own if getattr(self, name)]
            given += ["embedding_sharing"] if self.embedding_sharing != "all" else []
            given += ["temperature"] if self.generator_kind == "uniform" and self.temperature != 1.0 else []
            if given:
                raise ConfigError(
                    f"{', '.join(given)} with the generator {self.generator_kind!r}",
                    where="Electra",
                    expected="a generator with weights of its own",
                    remedy=f"leave {'it' if len(given) == 1 else 'them'} out",
                )
        if self.embedding_sharing == "gdes" and self.generator_kind != "masked":
            raise ConfigError(
                f"embedding_sharing is 'gdes', with the generator {self.generator_kind!r}",
                where="Electra",
                expected="generator_kind = 'masked'",
            )
        if self.wrap_around and self.generator_kind != "two_towers":
            raise ConfigError(
                f"wrap_around with the generator {self.generator_kind!r}", where="Electra", expected="'two_towers'"
            )
        if self.temperature <= 0 or (self.first_temperature is not None and self.first_temperature <= 0):
            raise ConfigError(
                f"temperature is {self.temperature}, first_temperature {self.first_temperature}",
                where="Electra",
                expected="positive numbers",
            )
        trained_on = self.embedding_sharing in ("all", "word") or self.share_projection or self.share_layers
        if self.freeze_generator and (trained_on or self.generator_steps):
            raise ConfigError(
                "freeze_generator with generator_steps"
                if self.generator_steps
                else f"freeze_generator with shared weights ({self.sharing}), which the discriminator trains on",
                where="Electra",
                expected="a generator that is trained, and shares none of its weights with the discriminator",
                remedy="leave generator_steps out"
                if self.generator_steps
                else "--gin_param \"Electra.embedding_sharing = 'none'\", or 'gdes', without share_projection and "
                "share_layers",
            )

    def check_new(self, masking: Masking) -> None:
        """Raises `ConfigError` for what no new run should have; one that was begun so goes on."""
        if self.idle:
            usual = {name: getattr(Masking(), name) for name in _SHOWN_AT_MASKS}
            if changed := [name for name, value in usual.items() if getattr(masking, name) != value]:
                raise ConfigError(
                    f"{', '.join(changed)} with the generator {self.generator_kind!r}",
                    where="Masking",
                    expected="the defaults: no encoder sees the masked text",
                    remedy=" ".join(f"--gin_param 'Masking.{name} = {usual[name]}'" for name in changed),
                )
        if self.judged == "electric":
            off = {"temperature": 1.0, "first_temperature": None, "disallow_correct": False, "vocabulary_multiple": 1}
            if changed := [name for name, usual in off.items() if getattr(self, name) != usual]:
                raise ConfigError(
                    f"{', '.join(changed)} with judged = 'electric'",
                    where="Electra",
                    expected="noise that is drawn from the generator as it is: its loss takes the noise's probability "
                    "for the generator's",
                    remedy=f"leave {'it' if len(changed) == 1 else 'them'} out",
                )
        if self.freeze_generator and self.mlm_weight != 1.0:
            raise ConfigError(
                f"mlm_weight is {self.mlm_weight} with freeze_generator",
                where="Electra",
                expected="nothing: a frozen generator has no loss",
                remedy="leave it out",
            )
        learns = self.mlm_weight and not self.freeze_generator and self.generator_kind != "uniform"
        if not learns and not self.disc_weight:
            raise ConfigError("no loss has a weight", where="Electra", expected="a loss to learn from")

    @property
    def follows_steps(self) -> bool:
        """Whether something but the rate depends on how many steps a run has."""
        return self.first_temperature is not None

    @property
    def idle(self) -> tuple[str, ...]:
        """Settings of other classes that make no difference then."""
        if self.generator_kind in ("two_towers", "uniform"):
            return tuple(f"Masking.{name}" for name in _SHOWN_AT_MASKS)
        return ()

    @property
    def sharing(self) -> Sharing:
        """What the towers share."""
        return Sharing(self.embedding_sharing, self.share_projection, self.share_layers)

    def towers(self, vocab_size: int) -> dict[str, EncoderConfig]:
        """The encoders by name, the discriminator first, over a vocabulary of `vocab_size` tokens.

        Raises: `ConfigError` for sizes that do not fit together, or cannot share what they should.
        """
        encoder = _encoder(self.preset, self.discriminator, _rows(vocab_size, self.vocabulary_multiple), "Electra")
        if self.generator_kind in ("shared", "uniform"):
            return {"discriminator": encoder}
        generator = self._generator(encoder)
        self.sharing.check(encoder, generator, self.generator)
        if self.generator_kind == "two_towers":
            return {"discriminator": encoder, "generator_ltr": generator, "generator_rtl": generator}
        return {"discriminator": encoder, "generator": generator}

    def _generator(self, encoder):
        published = preset(self.preset)
        _check_fields(self.generator, "Electra.generator")
        generator = published.generator
        resized = {"hidden_size", "num_hidden_layers"} & self.discriminator.keys()
        if generator is None or resized or self.generator_width or self.generator_depth:
            width, depth = _shares(published)
            generator = generator_config(encoder, self.generator_width or width, self.generator_depth or depth)
        inherited = {name: getattr(encoder, name) for name in _INHERITED}
        if self.embedding_sharing == "none":
            inherited["embedding_size"] = self.generator.get("hidden_size", generator.hidden_size)
        changes = {**inherited, **self.generator}
        if changes.get("model_type", generator.model_type) != generator.model_type:
            changes.setdefault("num_hidden_groups", None)  # as many as the other kind has by itself
        generator = generator.replace(**changes)
        _check_segments(generator, "Electra.generator")
        return generator

    def temperature_at(self, step, steps: int):
        """Float32 scalar, where it falls; None where it is constant."""
        if self.first_temperature is None:
            return None
        done = tf.cast(step, tf.float32) / (0.1 * float(steps))
        return self.temperature * (1.0 + (self.first_temperature - 1.0) * tf.exp(-done))

    def advice(self, vocab_size: int) -> str | None:
        """A warning about a generator as large as its discriminator, or None."""
        ours, theirs = (self.towers(vocab_size).get(name) for name in ("generator", "discriminator"))
        if ours is None or ours.hidden_size < theirs.hidden_size or ours.num_hidden_layers < theirs.num_hidden_layers:
            return None
        return (
            f"the generator is as large as the discriminator ({ours.hidden_size} wide, {ours.num_hidden_layers} "
            "layers): it will sample too well, leave the discriminator little to find, and cost as much again. A "
            "quarter to a half of the width is recommended. (The published electra-small-generator has full width; "
            "it is not the paper's.)"
        )


@dataclass(frozen=True)
class MaskedLM:
    """An encoder that fills in masked tokens, and tells whether two segments stand in their order (ALBERT).

    Attributes:
        preset: name of a preset. encoder: fields of `EncoderConfig` that override the preset's.
        order_weight: of the loss of sentence order; 0: it is not learned. It needs an ALBERT, and data of pairs.
        initial_weights, vocabulary_multiple: as in `Electra`.
    """

    preset: str = "electra_small"
    encoder: dict = field(default_factory=dict)
    order_weight: float = 0.0
    initial_weights: str = "random"
    vocabulary_multiple: int = 1

    def __post_init__(self):
        check_numbers(self)
        _check_choice("MaskedLM", "initial_weights", self.initial_weights, INITIAL_WEIGHTS)
        _check_multiple("MaskedLM", self.vocabulary_multiple)
        if self.order_weight < 0:
            raise ConfigError(f"order_weight is {self.order_weight}", where="MaskedLM", expected="0 or more")
        kind = self.encoder.get("model_type", preset(self.preset).encoder.model_type)
        if self.order_weight and kind != "albert":
            raise ConfigError(
                f"sentence order is to be learned by {self.preset}, an ELECTRA encoder"
                if "model_type" not in self.encoder
                else f"sentence order is to be learned by an encoder whose model_type is {kind!r}",
                where="MaskedLM.order_weight",
                expected="an ALBERT preset, which has the pooler and the head for it, or order_weight = 0",
            )

    def towers(self, vocab_size: int) -> dict[str, EncoderConfig]:
        """The encoder, called `generator` as every one with a masked-LM head is, over `vocab_size` tokens."""
        rows = _rows(vocab_size, self.vocabulary_multiple)
        return {"generator": _encoder(self.preset, self.encoder, rows, "MaskedLM")}

    def check_new(self, masking) -> None:
        """Whatever is masked, it has an effect."""

    def advice(self, vocab_size: int) -> str | None:
        """There is nothing to warn of."""
        return None


# What the generator has as the discriminator has it, unless `Electra.generator` says otherwise.
_INHERITED = ("vocab_size", "embedding_size", "max_position_embeddings", "type_vocab_size", "hidden_act")
_INHERITED += ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps")


def _encoder(name, changes, rows, where):
    _check_fields(changes, f"{where}.{'discriminator' if where == 'Electra' else 'encoder'}")
    encoder = preset(name).encoder.replace(**{"vocab_size": rows, **changes})
    if encoder.vocab_size < rows:
        raise ConfigError(
            f"vocab_size is {encoder.vocab_size}", where=where, expected=f"at least the {rows} of the data, or none"
        )
    _check_segments(encoder, where)
    return encoder


def _check_segments(encoder, where):
    if encoder.type_vocab_size < 2:
        raise ConfigError(
            f"type_vocab_size is {encoder.type_vocab_size}",
            where=where,
            expected="at least 2, for two segments",
        )


def _rows(size, multiple):
    return -(-size // multiple) * multiple


def _shares(published):
    if published.generator is None:
        return 0.25, 1.0
    ours, theirs = published.generator, published.encoder
    return ours.hidden_size / theirs.hidden_size, ours.num_hidden_layers / theirs.num_hidden_layers


def _check_fields(changes, where):
    if unknown := changes.keys() - {f.name for f in dataclasses.fields(EncoderConfig)}:
        raise ConfigError(
            f"there is no encoder field {', '.join(sorted(map(str, unknown)))}",
            where=where,
            expected=f"fields among {', '.join(f.name for f in dataclasses.fields(EncoderConfig))}",
        )


def _check_choice(where, name, value, choices):
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}", where=where, expected=f"one of {', '.join(choices)}")


def _check_multiple(where, multiple):
    if multiple < 1:
        raise ConfigError(f"vocabulary_multiple is {multiple}", where=where, expected="at least 1")
