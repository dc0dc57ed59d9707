"""`electra-tf fill-mask`: what a generator expects in the place of [MASK]."""

from absl import flags

from electra_tf.cli.fill_mask_and_detect import (
    define_model_flags,
    encode,
    logits,
    open_model,
    require_sentences,
    tell_unknown,
)
from electra_tf.errors import CheckpointError, InputError, as_json, shown

DESCRIPTION = "Shows the likeliest tokens for each [MASK] in sentences, by a model with a masked-LM head."
EXAMPLE = "electra-tf fill-mask --input runs/tiny 'The captain looked at the [MASK].'"
POSITIONAL = "sentences with [MASK]"


def define_flags() -> None:
    define_model_flags("generator")
    flags.DEFINE_integer("top", 5, "Show so many tokens.", lower_bound=1)


def run(flag_values, sentences: list[str]) -> None:
    require_sentences(sentences, EXAMPLE)
    if flag_values.tower == "discriminator":
        raise CheckpointError(
            "a discriminator cannot fill masks: it has no scores over the vocabulary",
            where="--tower=discriminator",
            remedy="leave --tower out to ask the generator, or use `electra-tf detect`",
        )
    model, tokenizer = open_model(flag_values)
    tell_unknown(tokenizer, sentences)
    answers = [fill_mask(model, tokenizer, sentence, flag_values.top) for sentence in sentences]
    if flag_values.json:
        print(as_json(answers))
    else:
        print(shown("\n\n".join(map(_in_words, answers))))


def fill_mask(model, tokenizer, sentence: str, top: int = 5) -> dict:
    """The likeliest tokens for each [MASK].

    Args:
        model: a `MaskedLanguageModel`.
        tokenizer: a `Tokenizer`.
        sentence: text with at least one [MASK].
        top: how many tokens.

    Returns: the `sentence`, and `masks`: for each the `position` of its token, and `predictions` with
    `token`, `id` and `score`, its probability over the whole vocabulary.

    Raises: `InputError` for a sentence without a mask, or one too long for the model.
    """
    import numpy as np

    encoding = encode(tokenizer, sentence, model.config.max_position_embeddings)
    positions = [i for i, token in enumerate(encoding.ids) if token == tokenizer.mask_id]
    if not positions:
        raise InputError(
            "the sentence has no [MASK]",
            where=sentence,
            expected="[MASK] in the place of what is to be guessed",
        )
    scores = logits(model, encoding)[positions].astype("float64")
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    masks = []
    for position, row in zip(positions, scores, strict=True):
        best = np.argsort(-row[: len(tokenizer)], kind="stable")[:top].tolist()
        predictions = [{"token": tokenizer.id_to_token(i), "id": i, "score": float(row[i])} for i in best]
        masks.append({"position": position, "predictions": predictions})
    return {"sentence": sentence, "masks": masks}


def _in_words(answer):
    lines = [answer["sentence"]]
    for number, mask in enumerate(answer["masks"], start=1):
        if len(answer["masks"]) > 1:
            lines.append(f"  [MASK] {number}")
        for prediction in mask["predictions"]:
            bar = "\u2588" * round(30 * prediction["score"])
            lines.append(f"  {prediction['score']:7.2%}  {prediction['token']}  {bar}".rstrip())
    return "\n".join(lines)
