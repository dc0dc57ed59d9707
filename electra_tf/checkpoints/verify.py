"""Runs a checkpoint and what was made of it on the same input: `electra-tf convert --verify` as a function."""

import numpy as np

from electra_tf.checkpoints.format_detection import recognise
from electra_tf.checkpoints.formats import holds
from electra_tf.checkpoints.hub import located
from electra_tf.checkpoints.reading import lacks_configuration, read_model
from electra_tf.checkpoints.transformers_folder import is_wrapped, read_weights, weights_file
from electra_tf.checkpoints.weight_names import MODEL_CLASSES
from electra_tf.errors import CheckpointError


def verify(source, target, tower: str | None = None, **reading) -> dict:
    """Runs a source and what was made of it on the same input.

    Each is run by our Keras model, but by transformers' own PyTorch class where it is a Hugging Face folder with
    safetensors or `.bin`, of a model that such a class holds, and transformers is installed.

    Args:
        source, tower: as in `convert`. target: what it returned. reading: further arguments of `read_model`.

    Returns: `difference`, the largest between outputs at real tokens, `largest`, the largest of them, `engine`,
    what ran the target (and the source, where that is another), and `model`, the class that was run.

    Raises: `CheckpointError` where one of them cannot be run.
    """
    own = reading.get("settings") if lacks_configuration(source) else None
    model = read_model(source, tower, **reading | {"settings": own})
    joint = holds(recognise(target), "joint")
    again = read_model(
        target,
        tower if joint else None,
        reading.get("settings") if joint and model.config.model_type == "electra" else None,
        model_class=reading.get("model_class"),
        task=reading.get("task"),
    )
    config, choices = model.config, "multiple_choice" in model.heads
    given = _inputs(min(config.vocab_size, again.config.vocab_size), config.max_position_embeddings)
    if min(config.type_vocab_size, again.config.type_vocab_size) < 2:
        given = (*given[:2], np.zeros_like(given[2]))
    rows = [x[None] if choices else x for x in given]
    (ours, ran_source), (theirs, engine) = (_run(*each, rows, given[1]) for each in ((source, model), (target, again)))
    engine += "" if ran_source in (engine, "electra_tf") else f", the source by {ran_source}"
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


def _run(path, model, rows, mask):
    """(outputs, what computed them) of a checkpoint that was read as `model`."""
    path = located(path)
    if recognise(path) == "transformers_folder" and _is_run_by_transformers(path, model):
        return _run_transformers(path, model, rows, mask), "transformers"
    return _outputs(model.build()(*rows), mask, "multiple_choice" in model.heads), "electra_tf"


def _outputs(found, mask, whole=False):
    """Every output that is a number, as an array [N, C] without padding."""
    arrays = [np.asarray(x) for x in (found if isinstance(found, tuple | list) else [found]) if x is not None]
    arrays = [array for array in arrays if array.dtype.kind == "f"]
    kept = [array[mask == 1] if not whole and array.shape[:2] == mask.shape else array for array in arrays]
    return [array.reshape(len(array), -1) for array in kept]


def _is_run_by_transformers(target, model):
    from importlib.util import find_spec

    own = model.heads == MODEL_CLASSES[model.name].heads
    return own and find_spec("transformers") and find_spec("torch") and weights_file(target).suffix != ".h5"


def _run_transformers(folder, model, rows, mask):
    import torch
    import transformers

    state = None
    if is_wrapped(folder):  # transformers' class, and the tensors where it does not find them by itself
        state = {name: torch.from_numpy(array) for name, array in read_weights(weights_file(folder)).items()}
    try:
        peer = getattr(transformers, model.name).from_pretrained(
            folder if state is None else None,
            config=transformers.AutoConfig.from_pretrained(folder),
            state_dict=state,
            dtype=torch.float32,
            attn_implementation="eager",
        )
    except Exception as error:  # whatever transformers raises over a folder that is read here
        raise CheckpointError(
            f"transformers cannot open it: {error}",
            where=folder,
            expected="a folder that both open alike",
            remedy="convert without --verify, and report it with these words",
        ) from error
    peer.eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    with torch.no_grad():
        found = peer(**{n: torch.from_numpy(x.astype("int64")) for n, x in zip(names, rows, strict=True)})
    if "start_logits" in found:
        arrays = [np.stack([found.start_logits.numpy(), found.end_logits.numpy()], -1)]
    else:
        names = ("prediction_logits", "sop_logits", "logits", "last_hidden_state", "pooler_output")
        arrays = [found[name].numpy() for name in names if name in found]
    return _outputs(arrays, mask, "multiple_choice" in model.heads)
