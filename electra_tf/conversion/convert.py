"""From any format to any other: `electra-tf convert` as a function."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from electra_tf.conversion.detect import recognise
from electra_tf.conversion.keras_file import write_keras
from electra_tf.conversion.model_card import model_card
from electra_tf.conversion.models import LoadedModel
from electra_tf.conversion.names import MODEL_CLASSES, TOWERS
from electra_tf.conversion.reading import as_tower, read_model, settings_of, tokenizer_beside
from electra_tf.conversion.tf1 import check_epsilon, usual_heads
from electra_tf.conversion.transformers_folder import CARD, CONFIG, FORMS, folder_tensors, write_folder
from electra_tf.errors import CheckpointError, ConfigError

TARGETS = (*FORMS, "keras", "tf1")


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
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Writes a checkpoint in another format; every output appears whole or not at all.

    Args:
        source: a run directory, a Hugging Face folder, a TF-V1 checkpoint, or a `.keras` file.
        output: the folder to write, or the file for `keras`.
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
        say: is given a sentence for each thing of the source that the target does not get.

    Returns: what was written: folders, files, or the prefix of a TF-V1 checkpoint.

    Raises: `CheckpointError` for damaged sources and what the target cannot hold, `ConfigError` for arguments that do
    not fit together, `OutputError` when the target cannot be written.
    """
    if to not in TARGETS:
        raise ConfigError(f"there is no format {to!r}", expected=f"one of {', '.join(TARGETS)}")
    options = {"dtype": dtype, "vocab": vocab, "tokenization": tokenization, "shard_bytes": shard_bytes}
    for name, value in options.items() if to in ("keras", "tf1") else ():
        if value not in (None, "float32"):
            raise ConfigError(f"{name} {value} for {to}", expected="none: it belongs to Hugging Face folders")
    if shard_bytes is not None and to != "safetensors":
        raise ConfigError(f"shard_bytes {shard_bytes:,} for {to}", expected="safetensors: other files are one")
    kind = recognise(source)
    if keep_tied is not None and recognise(generator or source) != "transformers_folder":
        raise ConfigError(f"keep_tied {keep_tied}", where=source, expected="none: the format holds no tied copies")
    if task is not None and "tf1" not in (to, kind):
        raise ConfigError(f"task {task}", where=source, expected="one only for TF-V1, which names the tasks of heads")
    if settings and to != "tf1" and not _lacks_configuration(source):
        raise ConfigError("a configuration is given", where=source, expected="one only where there is none")
    if generator is not None:
        for name, value in {"tower": tower, "class": model_class, "task": task, "vocab_size": vocab_size}.items():
            if value is not None:
                raise ConfigError(f"a second source, and {name} {value}", expected="one of the two")
        return [_join(source, generator, output, to, sharing, keep_tied, settings)]
    if sharing != "all":
        raise ConfigError(f"sharing is {sharing!r}, and there is one source", expected="a generator to join it with")
    own = settings if _lacks_configuration(source) else None
    reading = {"settings": own, "model_class": model_class, "task": task, "keep_tied": keep_tied}
    if to == "tf1" and tower in (None, "both") and model_class is None and task is None:
        if vocab_size is not None and kind in ("run_directory", "tf1"):
            raise ConfigError(
                f"vocab_size {vocab_size} for all that a checkpoint holds",
                where=source,
                expected="one tower, whose vocabulary is cut: --tower",
            )
        whole = _whole_as_tf1(source, output, settings, say)
        if whole is not None:
            return [whole]
    models = {}  # all are read before the first is written
    for name in TOWERS if tower == "both" else (tower,):
        model = read_model(source, name, **reading)
        model = as_tower(model, name, source) if name and not model_class else model
        model = model if vocab_size is None else model.with_vocabulary(vocab_size)
        place = Path(output) if tower != "both" else Path(output) / (f"{name}.keras" if to == "keras" else name)
        models[place] = model
        _tell(model, kind, to, say)
        if to in FORMS and not (vocab or model.tokenizer):
            say("there is no tokenizer beside the source, or more than one, and the folder gets none: name it by vocab")
        if to in FORMS:  # raises before anything is written
            folder_tensors(model, to, dtype)
    if to == "keras":
        return [write_keras(place, model) for place, model in models.items()]
    if to == "tf1":
        return [_model_as_tf1(model, place, task, settings) for place, model in models.items()]
    for place, model in models.items():
        card = _card(source, kind, model.tower)
        tokenizer = _tokenizer(vocab or model.tokenizer, tokenization)
        write_folder(place, model, tokenizer, card, form=to, dtype=dtype, shard_bytes=shard_bytes or 5_000_000_000)
    return list(models)


def _lacks_configuration(source) -> bool:
    """Whether something of a model's configuration is not in the checkpoint."""
    kind = recognise(source)
    return kind == "tf1" or (kind == "transformers_folder" and not (Path(source) / CONFIG).is_file())


def _tell(model, kind, to, say):
    """Says what of a model stays behind."""
    if model.left_out:
        say(f"left out: {', '.join(model.left_out)}, which {model.name} has not")
    if to in FORMS:
        return
    if model.tokenizer is not None:
        say(f"the tokenizer stays behind, since {to} holds none: {model.tokenizer}")
    names = (model.fields.get("id2label") or {}).values() if model.is_labelled else ()
    if any(not str(name).startswith("LABEL_") for name in names):
        say(f"the names of the labels stay behind, since {to} holds none: {', '.join(map(str, names))}")
    if to == "tf1" and kind in ("tf1", "run_directory"):
        say("Adam's moments and the step stay behind: they go with a whole checkpoint only")
    if to == "tf1" and model.config.model_type == "albert" and "pooler" not in model.heads:
        say("there is no pooler, which Google's code makes always: it will start one anew")


def _card(source, kind, tower):
    """The model card of a run; or the one that was beside the model."""
    if kind == "run_directory":
        return model_card(source, tower)
    card = Path(source) / CARD
    return card.read_text("utf-8") if kind == "transformers_folder" and card.is_file() else None


def _tokenizer(path, tokenization):
    from electra_tf.text.tokenizer import Tokenizer

    if tokenization is None:
        return path
    if path is None:
        raise ConfigError(
            f"tokenization {tokenization}, and no tokenizer",
            expected="a SentencePiece model beside the checkpoint, or named: --vocab spiece.model",
        )
    return Tokenizer.from_pretrained(path, tokenization=tokenization)


def _whole_as_tf1(source, output, settings, say) -> Path | None:
    """A run or a TF-V1 checkpoint with all that is in it; None for a source of one model."""
    from electra_tf.conversion.run_directory import read_run
    from electra_tf.conversion.tf1 import read_tf1, write_tf1
    from electra_tf.conversion.tf1_albert import is_albert, read_albert, write_albert

    kind = recognise(source)
    if kind == "run_directory":
        run = read_run(source)
        if run.discriminator.model_type == "albert":
            raise CheckpointError(
                "the run has two ALBERTs, and Google's code names one",
                where=source,
                remedy="write each tower by itself, with --tower",
            )
        _check_google_computes(settings, {tower: getattr(run, tower) for tower in TOWERS})
        say(f"the tokenizer stays behind, since tf1 holds none: {run.tokenizer}")
        return write_tf1(output, run.weights, run.slots_m, run.slots_v, run.step)
    if kind != "tf1":
        return None
    if tokenizer := tokenizer_beside(Path(source)):
        say(f"the tokenizer stays behind, since tf1 holds none: {tokenizer}")
    if is_albert(source):
        found = read_albert(source, settings_of(settings))
        weights = LoadedModel("AlbertForMaskedLM", found.config, found.weights, found.heads, found.num_labels)
        return write_albert(output, weights, found.slots_m, found.slots_v, found.step)
    checkpoint = read_tf1(source, **{tower: settings_of(settings, tower) for tower in TOWERS})
    return write_tf1(output, checkpoint.weights, checkpoint.slots_m, checkpoint.slots_v, checkpoint.step)


def _model_as_tf1(model, folder, task, settings) -> Path:
    from electra_tf.conversion.tf1 import write_tf1
    from electra_tf.conversion.tf1_albert import write_albert
    from electra_tf.conversion.tf1_tasks import to_task

    albert = model.config.model_type == "albert"
    if task is not None and (albert or _is_pretrained(model)):
        raise ConfigError(f"task {task} for {model.name}", expected="a task only for an ELECTRA that was fine-tuned")
    if albert:
        return write_albert(folder, model)
    _check_google_computes(settings, {model.tower: model.config})
    return write_tf1(folder, model.weights if _is_pretrained(model) else to_task(model, task))


def _is_pretrained(model):
    return not set(model.heads) - {"replaced_token", "masked_lm"}


def _check_google_computes(settings, configs):
    """Raises `ConfigError` for what Google's ELECTRA code, given such tensors, would compute otherwise."""
    for tower, config in configs.items():
        given, own = settings_of(settings, tower), dataclasses.asdict(config)
        wrong = [f"{n} is {v!r}, the model's {own.get(n)!r}" for n, v in given.items() if own.get(n) != v]
        if wrong:
            raise ConfigError(
                f"the configuration contradicts the {tower}: " + "; ".join(wrong),
                expected="the model's own, or none",
            )
        if config.hidden_act not in ("gelu", "relu", "tanh"):
            raise ConfigError(
                f"hidden_act is {config.hidden_act!r}",
                expected="gelu, relu or tanh, which Google's ELECTRA can compute",
            )
        check_epsilon(config)
        usual = {"num_attention_heads": usual_heads(config.hidden_size), "hidden_act": "gelu"}
        untold = {n: own[n] for n, value in usual.items() if own[n] not in (value, given.get(n))}
        if untold:
            raise ConfigError(
                f"TF-V1 does not hold {' and '.join(f'{n} of {v!r}' for n, v in untold.items())}: Google's code, and "
                f"this one, would take {', '.join(repr(usual[n]) for n in untold)} for {config.hidden_size} units",
                expected="one head for 64 units, and gelu",
                remedy=f"say that you will tell, with --config and a file of {json.dumps(untold)}, or "
                f"{json.dumps({tower: untold})} for one tower; the same file then reads it",
            )


def _join(source, generator, output, to, sharing, keep_tied, settings) -> Path:
    """Two models as one TF-V1 checkpoint."""
    from electra_tf.conversion.tf1 import write_tf1

    if to != "tf1" or sharing not in ("all", "none"):
        raise ConfigError(
            f"two sources, as {to}, sharing {sharing!r}",
            expected="tf1 for a discriminator and a generator, whose embeddings are shared: all or none",
        )
    models = [read_model(source, "discriminator"), read_model(generator, "generator", keep_tied=keep_tied)]
    for model, head in zip(models, ("replaced_token", "masked_lm"), strict=True):
        if model.heads != (head,) or model.config.model_type != "electra":
            raise CheckpointError(
                f"this is a {model.name}",
                where=source if head == "replaced_token" else generator,
                expected="ElectraForPreTraining as the source and ElectraForMaskedLM as the generator",
            )
    _check_google_computes(settings, {model.tower: model.config for model in models})
    weights = models[0].weights | models[1].weights
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


def verify(source, target, tower: str | None = None, **reading) -> dict:
    """Runs a source and what was made of it on the same input.

    The source is run by our Keras model; so is the target, but by transformers' own PyTorch class where it is a
    Hugging Face folder with safetensors or `.bin`, of a model that such a class holds, and transformers is installed.

    Args:
        source, tower: as in `convert`. target: what it returned. reading: further arguments of `read_model`.

    Returns: `difference`, the largest between outputs at real tokens, `largest`, the largest of them, `engine`,
    what ran the target, and `model`, the class that was run.
    """
    own = reading.get("settings") if _lacks_configuration(source) else None
    model = read_model(source, tower, **reading | {"settings": own})
    is_electra = recognise(target) == "tf1" and model.config.model_type == "electra"
    several = tower if recognise(target) == "tf1" else None
    again = read_model(
        target,
        several,
        reading.get("settings") if is_electra else None,
        model_class=reading.get("model_class"),
        task=reading.get("task"),
    )
    config, choices = model.config, "multiple_choice" in model.heads
    given = _inputs(min(config.vocab_size, again.config.vocab_size), config.max_position_embeddings)
    rows = [x[None] if choices else x for x in given]
    ours, engine = _outputs(model.build()(*rows), given[1], choices), "electra_tf"
    if recognise(target) == "transformers_folder" and _is_run_by_transformers(target, again):
        theirs, engine = _run_transformers(target, again, rows, given[1]), "transformers"
    else:
        theirs = _outputs(again.build()(*rows), given[1], choices)
    difference = largest = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        width = min(mine.shape[-1], other.shape[-1])  # a vocabulary may have been cut
        apart = float(np.abs(mine[..., :width] - other[..., :width]).max())
        difference = max(difference, apart if np.isfinite(apart) else np.inf)
        largest = max(largest, float(np.abs(mine).max()))
    return {"difference": difference, "largest": largest, "engine": engine, "model": model.name}


def _inputs(vocabulary, positions):
    """Ids, mask and segments [3, T] of random tokens, with padding and two segments."""
    random, length = np.random.default_rng(0), min(24, positions)
    ids = random.integers(0, vocabulary, (3, length)).astype("int32")
    mask = (np.arange(length) < np.array([[length], [length - 3], [2]])).astype("int32")
    return ids * mask, mask, ((np.arange(length) >= length // 2) * mask).astype("int32")


def _outputs(found, mask, whole=False):
    """Every output that is a number, as an array [N, C] without padding."""
    arrays = [np.asarray(x) for x in (found if isinstance(found, tuple | list) else [found]) if x is not None]
    arrays = [array for array in arrays if array.dtype.kind == "f"]
    kept = [array[mask == 1] if not whole and array.shape[:2] == mask.shape else array for array in arrays]
    return [array.reshape(len(array), -1) for array in kept]


def _is_run_by_transformers(target, model):
    from importlib.util import find_spec

    files = {path.name for path in Path(target).iterdir()}
    own = model.heads == MODEL_CLASSES[model.name].heads
    return own and find_spec("transformers") and find_spec("torch") and "tf_model.h5" not in files


def _run_transformers(folder, model, rows, mask):
    import torch
    import transformers

    cls = getattr(transformers, model.name)
    peer = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    with torch.no_grad():
        found = peer(**{n: torch.from_numpy(x.astype("int64")) for n, x in zip(names, rows, strict=True)})
    if "start_logits" in found:
        arrays = [np.stack([found.start_logits.numpy(), found.end_logits.numpy()], -1)]
    else:
        names = ("prediction_logits", "sop_logits", "logits", "last_hidden_state", "pooler_output")
        arrays = [found[name].numpy() for name in names if name in found]
    return _outputs(arrays, mask, "multiple_choice" in model.heads)
