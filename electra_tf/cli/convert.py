"""`electra-tf convert`: a checkpoint in another format."""

import dataclasses
import json
import sys
from difflib import get_close_matches
from math import isfinite
from pathlib import Path

from absl import flags

from electra_tf.errors import CheckpointError, ConfigError, shown

DESCRIPTION = "Writes a checkpoint in another format, each model as one that transformers or Keras opens, or as TF-V1."
EXAMPLE = """
electra-tf convert --input runs/tiny --tower both --to safetensors --output hf --verify
electra-tf convert --input runs/small --to tf1 --output tf1
electra-tf convert --input tf1/model.ckpt --to h5 --output hf-for-transformers-4
electra-tf convert --input hf/discriminator --generator hf/generator --to tf1 --output tf1
electra-tf convert --input finetuned/model.ckpt --task mnli --to keras --output mnli.keras
"""

# Where rounding leaves a model and its copy, relative to the largest logit or 1.
_TOLERANCE = 1e-5


def define_flags() -> None:
    flags.DEFINE_string("input", None, "A run directory, a Hugging Face folder, a TF-V1 checkpoint or a .keras file.")
    flags.DEFINE_string(
        "generator", None, "A second checkpoint, whose generator joins the input's discriminator in TF-V1."
    )
    flags.DEFINE_enum(
        "tower",
        None,
        ["discriminator", "generator", "both"],
        "Which tower; by default all for tf1, else the discriminator where there is one.",
    )
    flags.DEFINE_string("class", None, "transformers' class to take the model for, such as AlbertForMultipleChoice.")
    flags.DEFINE_string("task", None, "The task of a fine-tuned TF-V1 ELECTRA, to read or to write.")
    flags.DEFINE_string(
        "config",
        None,
        "JSON file with what a TF-V1 checkpoint does not tell, such as attention heads; for one tower under its name.",
    )
    flags.DEFINE_enum(
        "to",
        "safetensors",
        ["safetensors", "bin", "h5", "keras", "tf1"],
        "A Hugging Face folder with model.safetensors, pytorch_model.bin or tf_model.h5; a .keras file; or a folder "
        "with TF-V1's model.ckpt, Adam's slots and the step in it if there are any.",
    )
    flags.DEFINE_string("output", None, "The folder or file; with --tower=both, one of each name in that folder.")
    flags.DEFINE_string(
        "vocab", None, "Tokenizer folder, vocab.txt or .model file; by default the one beside the model."
    )
    flags.DEFINE_enum(
        "tokenization",
        None,
        ["transformers_slow", "transformers_fast", "google"],
        "Of SentencePiece: whose ids the folder's tokenizer gives; by default those of the one beside the model.",
    )
    flags.DEFINE_integer("vocab_size", None, "Cut a padded vocabulary back to so many rows.", lower_bound=1)
    flags.DEFINE_enum(
        "dtype", "float32", ["float32", "float16", "bfloat16"], "Of the numbers, in Hugging Face folders."
    )
    flags.DEFINE_float(
        "shard_gigabytes",
        None,
        "Safetensors larger than this come in several files; by default 5.",
        lower_bound=1e-6,
        upper_bound=1e6,
    )
    flags.DEFINE_enum(
        "keep_tied", None, ["embeddings", "head"], "Which to keep where a head's tied copy of the embeddings differs."
    )
    flags.DEFINE_enum("sharing", "all", ["all", "none"], "Of the embeddings of --input and --generator.")
    flags.DEFINE_boolean(
        "overwrite",
        False,
        "Replace files of a model's names in --output that were not written here, or a .keras file; others, and "
        "README.md, stay.",
    )
    flags.DEFINE_boolean("verify", False, "Run input and output on the same tokens, and print the largest difference.")
    flags.mark_flags_as_required(["input", "output"])


def run(values) -> int:
    from electra_tf.checkpoints.convert import convert

    if values.shard_gigabytes is not None and not isfinite(values.shard_gigabytes):
        raise ConfigError(f"--shard_gigabytes is {values.shard_gigabytes}", expected="a number")
    reading = {
        "settings": _settings(values.config),
        "model_class": values["class"].value,
        "task": values.task,
        "keep_tied": values.keep_tied,
    }
    written = convert(
        values.input,
        values.output,
        values.to,
        tower=values.tower,
        generator=values.generator,
        vocab=values.vocab,
        tokenization=values.tokenization,
        vocab_size=values.vocab_size,
        dtype=values.dtype,
        shard_bytes=values.shard_gigabytes and int(values.shard_gigabytes * 1e9),
        sharing=values.sharing,
        overwrite=values.overwrite,
        say=lambda text: print(f"note: {shown(text)}", file=sys.stderr),
        **reading,
    )
    for path in written:
        print(path)
    return 0 if not values.verify or _verified(values, written, reading) else 1


# Of Google's ALBERT, beside those that encoders have here.
_GOOGLES = {"down_scale_factor", "net_structure_type", "gap_size", "num_memory_blocks", "layers_to_keep"}


# Of transformers' and Google's files, near to other names; what else they write is no concern of the encoder.
_OTHERS = {"classifier_dropout", "num_attention_layers", "hidden_dropout", "embedding_dropout_prob"}


def _settings(path):
    from electra_tf.checkpoints.weight_names import TOWERS
    from electra_tf.models.config import EncoderConfig

    if path is None:
        return None
    try:
        settings = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"the configuration cannot be read: {error}",
            where=path,
            expected="a JSON file",
            remedy="correct the file, or leave --config out",
        ) from error
    if not isinstance(settings, dict):
        raise ConfigError(
            "the configuration is no JSON object",
            where=path,
            expected="fields of a configuration",
            remedy="correct the file, or leave --config out",
        )
    known = {f.name for f in dataclasses.fields(EncoderConfig)} | _GOOGLES
    of_towers = {tower: settings[tower] for tower in TOWERS if isinstance(settings.get(tower), dict)}
    given = (settings.keys() - of_towers.keys()).union(*of_towers.values())
    for name in sorted(given - known - _OTHERS):
        if meant := get_close_matches(name, known, 1, 0.85):
            raise ConfigError(
                f"there is no field {name}",
                where=path,
                expected="fields of a configuration",
                remedy=f"write {meant[0]}, or remove it",
            )
    of_towers = {tower: {n: v for n, v in own.items() if n in known} for tower, own in of_towers.items()}
    return {name: value for name, value in settings.items() if name in known} | of_towers


def _verified(values, written, reading) -> bool:
    """Prints how far each output is from its source; true when all are within rounding of the type they are kept in."""
    from electra_tf.checkpoints.formats import TARGETS, holds
    from electra_tf.checkpoints.reading import towers_of
    from electra_tf.checkpoints.verify import verify
    from electra_tf.checkpoints.weight_names import TOWERS

    pairs = [(values.input, "discriminator"), (values.generator, "generator")] if values.generator else []
    there = towers_of(values.input) if holds(TARGETS[values.to], "joint") and values.tower is None else ()
    if not pairs and (set(TOWERS) <= set(there) or values.tower == "both"):
        pairs = [(values.input, tower) for tower in ("discriminator", "generator")]
    good, tolerance = True, {"float32": _TOLERANCE, "float16": 1e-2, "bfloat16": 5e-2}[values.dtype]
    for (source, tower), path in zip(
        pairs or [(values.input, values.tower)], written * max(1, len(pairs)), strict=False
    ):
        try:
            found = verify(source, path, tower, **reading)
        except CheckpointError as error:
            print(f"not verified, since one side cannot be run here: {error}")
            return False
        within = found["difference"] <= tolerance * max(1.0, found["largest"])
        good &= within
        print(
            f"verified by {found['engine']}, as {found['model']}: {path} differs by at most {found['difference']:.2e}, "
            f"where the largest output is {found['largest']:.3g}{'' if within else ', which is too much'}"
        )
    if unrun := set(there) - set(TOWERS):
        print(f"copied and not run, since nothing here computes them: {', '.join(sorted(unrun))}")
    return good
