"""What `fill-mask` and `detect` share: the flags that name a model, opening it, and sentences as ids."""

import sys

from absl import flags

from electra_tf.errors import CheckpointError, InputError, shown

flags.disclaim_key_flags()  # they belong to the command that calls for them, and stand in its help


def define_model_flags(tower: str) -> None:
    """The flags of a command that asks a `tower` about sentences."""
    flags.DEFINE_string("input", None, "The model: a run directory, a Hugging Face folder or a TF-V1 checkpoint.")
    flags.DEFINE_enum("tower", tower, ["discriminator", "generator"], f"Only the {tower} can answer.")
    flags.DEFINE_string(
        "vocab", None, "Tokenizer folder, vocab.txt or .model file; by default the one beside the model."
    )
    flags.DEFINE_integer(
        "heads",
        None,
        "Attention heads of the tower, which a TF-V1 checkpoint does not say; by default one for 64 units.",
        lower_bound=1,
    )
    flags.DEFINE_boolean("json", False, "Print JSON.")
    flags.mark_flag_as_required("input")


def open_model(flag_values):
    """(Keras model, tokenizer) that the flags name.

    Raises: errors of `load_tower`; `InputError` where there is no tokenizer, `ConfigError` where it has more
    tokens than the model.
    """
    from electra_tf.checkpoints import load_tower
    from electra_tf.checkpoints.loaded_model import OWN
    from electra_tf.text.tokenizer import Tokenizer

    settings = {"num_attention_heads": flag_values.heads} if flag_values.heads else None
    tower = load_tower(flag_values.input, flag_values.tower, settings)
    if tower.fields.get(OWN, {}).get("judged") == "electric":
        raise CheckpointError(
            "this was trained as Electric: what it gives for a token is an energy, and not whether it was replaced",
            where=flag_values.input,
            expected="a discriminator of replaced tokens",
            remedy="for energies call the model: the lower, the likelier is a token (docs/recipes.md)",
        )
    vocabulary = flag_values.vocab or tower.tokenizer
    if vocabulary is None:
        raise InputError(
            "the checkpoint has no vocabulary with it",
            where=flag_values.input,
            expected="vocab.txt or tokenizer.json beside the model",
            remedy="name the tokenizer's folder or vocab.txt with --vocab",
        )
    tokenizer = Tokenizer.from_pretrained(vocabulary)
    tokenizer.check_fits(tower.config.vocab_size)
    return tower.build(), tokenizer


def encode(tokenizer, sentence: str, max_length: int):
    """The sentence as an `Encoding`, special tokens in it as ids. `InputError` where it is too long."""
    encoding = tokenizer.encode(sentence, special_tokens_in_text=True)
    if len(encoding) > max_length:
        raise InputError(
            f"the sentence has {len(encoding)} tokens",
            where=f"{sentence[:60]}...",
            expected=f"at most {max_length}, the model's number of positions",
            remedy="shorten it, or split it",
        )
    return encoding


def tell_unknown(tokenizer, sentences: list[str]) -> None:
    """Says on standard error which words the vocabulary does not know: an answer does not show that it is of others."""
    unknown = tokenizer.special_tokens[1]
    for sentence in sentences:
        found = tokenizer.encode(sentence, special_tokens_in_text=True)
        places = [place for i, place in zip(found.ids, found.offsets, strict=True) if i == tokenizer.unk_id]
        words = dict.fromkeys(sentence[start:end] for start, end in places)
        words.pop(unknown, None)  # typed so
        if words:
            told = f"the vocabulary does not know {', '.join(words)}: the model sees {unknown} there"
            print(f"note: {shown(told)}", file=sys.stderr)


def logits(model, encoding):
    """The model's answer to one sentence, a float32 array without the batch axis.

    Raises: `CheckpointError` where it is no number.
    """
    import numpy as np
    from keras import ops

    ids, types = np.array([encoding.ids], "int32"), np.array([encoding.type_ids], "int32")
    answer = ops.convert_to_numpy(model(ids, token_type_ids=types))[0]
    if not np.isfinite(answer).all():
        raise CheckpointError(
            "the model's answers are not numbers (NaN, or infinite)",
            where="the model",
            expected="weights that are finite",
            remedy="look at the checkpoint: its training may have diverged, or its file be damaged",
        )
    return answer


def require_sentences(sentences: list[str], example: str) -> None:
    if not sentences:
        raise InputError(
            "there is no sentence", where="the command line", expected=f"sentences after the flags: {example}"
        )
