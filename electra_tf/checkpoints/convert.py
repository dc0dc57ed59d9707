"""From any format to any other: `electra-tf convert` as a function."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.containers.output import Output, output_folder
from electra_tf.checkpoints.format_detection import recognise
from electra_tf.checkpoints.formats import FORMATS, TARGETS, holds
from electra_tf.checkpoints.google_albert import is_albert, read_albert, write_albert
from electra_tf.checkpoints.google_checkpoint import check_google_computes, tokenizer_beside
from electra_tf.checkpoints.google_electra import read_tf1, write_tf1
from electra_tf.checkpoints.hub import located
from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.read_write_options import Reading, Writing, settings_of
from electra_tf.checkpoints.reading import as_tower, damage_told, lacks_configuration, read_model, towers_of
from electra_tf.checkpoints.run_directory import read_run
from electra_tf.checkpoints.run_json import read_description
from electra_tf.checkpoints.shared_tables import with_copies
from electra_tf.checkpoints.transformers_folder import FORMS, folder_tensors, other_fields, wrapper_of_weights
from electra_tf.checkpoints.translation import with_tower_called
from electra_tf.checkpoints.weight_names import TOWERS
from electra_tf.errors import CheckpointError, ConfigError


def convert(
    source,
    output,
    to: str = "safetensors",
    *,
    tower: str | None = None,
    generator=None,
    model_class: str | None = None,
    task: str | None = None,
    settings: Mapping | None = None,
    vocab=None,
    tokenization: str | None = None,
    vocab_size: int | None = None,
    dtype: str = "float32",
    shard_bytes: int | None = None,
    keep_tied: str | None = None,
    sharing: str = "all",
    overwrite: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Writes a checkpoint in another format; the output appears whole or not at all.

    Args:
        source: a run directory, a Hugging Face folder, a TF-V1 checkpoint, or a `.keras` file.
        output: the folder to write, or the file for `keras`. It may exist as it was written here.
        to: `safetensors`, `bin` or `h5` for a Hugging Face folder, `keras`, or `tf1`.
        tower: `discriminator`, `generator`, or `both`, which then become folders (files) in `output`. None: all that
            the target holds: both towers for `tf1`, else the discriminator where there is one.
        generator: a second source, whose generator joins the discriminator of `source` in one TF-V1 checkpoint.
        model_class, task, settings, keep_tied: see `read_model`; `task` also names the head of a fine-tuned ELECTRA
            in TF-V1.
        vocab: the tokenizer's folder or file; by default the one beside the source.
        tokenization: of a SentencePiece tokenizer, see `SentencePieceSettings`; by default as its folder has it.
        vocab_size: rows of the vocabulary that stay, where it was padded.
        dtype, shard_bytes: see `write_folder`; the latter by default 5 GB.
        sharing: of the embeddings of two sources: `all`, which must then be equal, or `none`.
        overwrite: whether files in the output folder that were not written here, but have names of a model's, are
            replaced; others, and a README.md, stay. So is a `.keras` file that is another's.
        say: is given a sentence for each thing of the source that the target does not get, or that is guessed.

    Returns: what was written: folders, files, or the prefix of a TF-V1 checkpoint.

    Raises: `CheckpointError` for damaged sources and what the target cannot hold, `ConfigError` for arguments that do
    not fit together, `OutputError` when the target cannot be written.
    """
    if to not in TARGETS:
        raise ConfigError(f"there is no format {to!r}", where="--to", expected=f"one of {', '.join(TARGETS)}")
    writing = Writing(to, dtype, shard_bytes, vocab, tokenization, task=task, settings=settings, say=say)
    _check_writing(writing)
    source, generator = located(source), None if generator is None else located(generator)
    output = Output(Path(output), overwrite)
    kind, target = recognise(source), FORMATS[TARGETS[to]]
    _check_reading(source, generator, kind, writing, keep_tied)
    if generator is not None:
        for name, value in {"tower": tower, "class": model_class, "task": task, "vocab_size": vocab_size}.items():
            if value is not None:
                raise ConfigError(
                    f"a second source, and {name} {value}",
                    where=generator,
                    expected="one of the two",
                    remedy="leave it out, or the second source",
                )
        return [_join(source, generator, output, to, sharing, keep_tied, settings)]
    if sharing != "all":
        raise ConfigError(f"sharing is {sharing!r}, and there is one source", expected="a generator to join it with")
    both = holds(kind, "joint") and "joint" in target.holds and towers_of(source) != ("encoder",)
    if both and tower in (None, "both") and model_class is None and task is None:
        if vocab_size is not None:
            raise ConfigError(
                f"vocab_size {vocab_size} for all that a checkpoint holds",
                where=source,
                expected="one tower, whose vocabulary is cut: --tower",
            )
        return [_whole_as_tf1(source, kind, output, settings, say)]
    reading = Reading(None, settings if lacks_configuration(source) else None, model_class, task, keep_tied)
    models = {}  # all are read before the first is written
    for name in TOWERS if tower == "both" else (tower,):
        model = read_model(source, **vars(reading) | {"tower": name})
        model = as_tower(model, name, source) if name and not model_class else model
        model = model if vocab_size is None else model.with_vocabulary(vocab_size)
        models[name] = model
        _tell(model, kind, writing, say)
        if to in FORMS:  # raises before anything is written
            folder_tensors(model, to, dtype)
    if kind == "transformers_folder" and (wrapper := wrapper_of_weights(source)):
        say(f"the name of every weight begins with {wrapper}, as programs that train a model write it: it is left out")
    with damage_told(source):
        cards = {n: FORMATS[kind].card(Path(source), m.tower, task) if to in FORMS else None for n, m in models.items()}
    if tower != "both":
        return [target.write(output, models[tower], replace(writing, card=cards[tower]))]
    places = {name: f"{name}{target.suffix}" for name in models}
    megabytes = sum(array.nbytes for model in models.values() for array in model.weights.values()) / 1e6
    written = []
    with output_folder(output, set(places.values()).__contains__, megabytes, is_listed=False) as aside:
        for name, place in places.items():
            new = Output(aside / place, overwrite, Path(output) / place)
            path = Path(target.write(new, models[name], replace(writing, card=cards[name])))
            written.append(Path(output) / path.relative_to(aside))
    return written


def _check_writing(writing):
    """Raises `ConfigError` for options that the target has no place for."""
    target, to = TARGETS[writing.form], writing.form
    needs = {"dtype": "types", "vocab": "tokenizer", "tokenization": "tokenizer", "shard_bytes": "types"}
    given = {"dtype": writing.dtype, "vocab": writing.tokenizer, "tokenization": writing.tokenization}
    for name, value in (given | {"shard_bytes": writing.shard_bytes}).items():
        if value not in (None, "float32") and not holds(target, needs[name]):
            raise ConfigError(
                f"{name} {value} for {to}", where="--to", expected="none: it belongs to Hugging Face folders"
            )
    if writing.shard_bytes is not None and to != "safetensors":
        raise ConfigError(
            f"shard_bytes {writing.shard_bytes:,} for {to}", where="--to", expected="safetensors: other files are one"
        )


def _check_reading(source, generator, kind, writing, keep_tied):
    """Raises `ConfigError` for options that neither the source nor the target has a place for."""
    target = TARGETS[writing.form]
    if keep_tied is not None and not holds(recognise(generator or source), "copies"):
        raise ConfigError(
            f"keep_tied {keep_tied}",
            where=source,
            expected="none: the format holds no tied copies",
            remedy="leave --keep_tied out",
        )
    several = kind == "run_directory" and "tasks" in read_description(source).get("answers", {})
    if writing.task is not None and not (holds(target, "tasks") or holds(kind, "tasks") or several):
        raise ConfigError(
            f"task {writing.task}",
            where=source,
            expected="one only for TF-V1 and runs of several tasks, whose heads have names",
            remedy="leave --task out",
        )
    if writing.settings and holds(target, "configuration") and not lacks_configuration(source):
        raise ConfigError(
            "a configuration is given",
            where=source,
            expected="one only where there is none",
            remedy="leave --config out",
        )


def _tell(model, kind, writing, say):
    """Says what of a model stays behind."""
    to, target = writing.form, TARGETS[writing.form]
    if model.left_out:
        say(f"left out: {', '.join(model.left_out)}, which {model.name} has not")
    if not holds(target, "tokenizer") and model.tokenizer is not None:
        say(f"the tokenizer stays behind, since {to} holds none: {model.tokenizer}")
    names = (model.fields.get("id2label") or {}).values() if model.is_labelled else ()
    if not holds(target, "labels") and any(not str(name).startswith("LABEL_") for name in names):
        say(f"the names of the labels stay behind, since {to} holds none: {', '.join(map(str, names))}")
    if to not in FORMS and (others := _told_by_configuration(model)):
        say(f"of config.json stays behind, since {to} has no place for it: {', '.join(others)}")
    if holds(target, "slots") and holds(kind, "slots"):
        say("Adam's moments and the step stay behind: they go with a whole checkpoint only")
    if target == "tf1" and model.config.model_type == "albert" and "pooler" not in model.heads:
        say("there is no pooler, which Google's code makes always: it will start one anew")
    if to in FORMS and model.lacks_pooler:
        say(f"there is no pooler, which {model.name} has: it gets an untrained one, drawn alike for every opening")
    if holds(target, "tokenizer") and not (writing.tokenizer or model.tokenizer):
        say("there is no tokenizer beside the source, or more than one, and the folder gets none: name it by vocab")


# What a configuration says of every model.
_USUAL = {"position_embedding_type", "summary_activation", "summary_last_dropout", "summary_type", "summary_use_proj"}
_USUAL |= {"use_cache", "tie_word_embeddings", "add_cross_attention", "is_decoder", "bos_token_id", "eos_token_id"}


def _told_by_configuration(model):
    fields = other_fields(model) | {"problem_type": model.fields.get("problem_type")}
    return [name for name, value in fields.items() if value is not None and name not in _USUAL]


def _whole_as_tf1(source, kind, output, settings, say) -> Path:
    """A run or a TF-V1 checkpoint with all that is in it."""
    if kind == "run_directory":
        with damage_told(source):
            run = read_run(source)
        kinds = {tower: config.model_type for tower, config in run.towers.items()}
        albert = "albert" in kinds.values()
        if albert and len(run.towers) == 1:
            slots = (with_tower_called(group, *run.towers, "encoder") for group in (run.slots_m, run.slots_v))
            return write_albert(output, read_model(source), *slots, run.step)
        if albert:
            towers = ", ".join(f"the {tower} is an {kind.upper()}" for tower, kind in kinds.items())
            raise CheckpointError(
                f"{towers}: Google's code has no names for an ALBERT beside another encoder",
                where=source,
                expected="one ALBERT, or ELECTRAs alone",
                remedy="write each tower by itself, with --tower",
            )
        check_google_computes(settings, run.towers)
        say(f"the tokenizer stays behind, since tf1 holds none: {run.tokenizer}")
        return write_tf1(output, *_as_google_shares(run, say), run.step)
    if tokenizer := tokenizer_beside(Path(source)):
        say(f"the tokenizer stays behind, since tf1 holds none: {tokenizer}")
    if is_albert(source):
        found = read_albert(source, settings_of(settings))
        weights = LoadedModel("AlbertForMaskedLM", found.config, found.weights, found.heads, found.num_labels)
        return write_albert(output, weights, found.slots_m, found.slots_v, found.step)
    checkpoint = read_tf1(source, **{tower: settings_of(settings, tower) for tower in TOWERS})
    return write_tf1(output, checkpoint.weights, checkpoint.slots_m, checkpoint.slots_v, checkpoint.step)


def _as_google_shares(run, say):
    """Weights and both moments, in which towers share their embeddings or all they have, as TF-V1 has names for."""
    shared = {own: other for own, other in run.shared.items() if not own.endswith("/embeddings/")}
    groups = run.weights, run.slots_m, run.slots_v
    is_whole = len(run.towers) == 2 and not any(name.startswith("generator/") for name in run.weights)
    if is_whole or not shared or any("/embeddings/" in own for own in shared):
        return groups  # the word table alone is refused, with its reason
    say(f"written twice, since TF-V1 has no names for it when it is shared: {', '.join(shared)}")
    return [with_copies(group, shared) for group in groups]


def _join(source, generator, output, to, sharing, keep_tied, settings) -> Path:
    """Two models as one TF-V1 checkpoint."""
    if to != "tf1" or sharing not in ("all", "none"):
        raise ConfigError(
            f"two sources, as {to}, sharing {sharing!r}",
            where="--to and --sharing",
            expected="tf1 for a discriminator and a generator, whose embeddings are shared: all or none",
        )
    models = [read_model(source, "discriminator"), read_model(generator, "generator", keep_tied=keep_tied)]
    for model, head in zip(models, ("replaced_token", "masked_lm"), strict=True):
        if model.heads != (head,) or model.config.model_type != "electra":
            raise CheckpointError(
                f"this is a {model.name}",
                where=source if head == "replaced_token" else generator,
                expected="ElectraForPreTraining as the source and ElectraForMaskedLM as the generator",
                remedy="exchange the two, or name the two towers of an ELECTRA",
            )
    check_google_computes(settings, {model.tower: model.config for model in models})
    weights = models[0].tower_weights() | models[1].tower_weights()
    if sharing == "all":
        weights = _shared(weights, generator)
    return write_tf1(output, weights)


def _shared(weights, where):
    """Without the generator's embeddings, once they are seen to be the discriminator's."""
    own, differ = "generator/embeddings/", {}
    for name, array in weights.items():
        if name.startswith(own):
            theirs = weights["discriminator/embeddings/" + name.removeprefix(own)]
            if theirs.shape != array.shape:
                differ[name] = f"shapes {list(theirs.shape)} and {list(array.shape)}"
            elif not np.array_equal(theirs, array):
                differ[name] = f"by up to {np.abs(theirs - array).max():.3g}"
    if differ:
        raise CheckpointError(
            "the two models' embeddings differ: " + "; ".join(f"{name} {how}" for name, how in differ.items()),
            where=where,
            expected="the same in both",
            remedy="keep both with --sharing=none, or name the generator that belongs to the discriminator",
        )
    return {name: array for name, array in weights.items() if not name.startswith(own)}
