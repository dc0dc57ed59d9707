"""`electra-tf detect`: which tokens of a sentence a discriminator takes for replaced."""

import sys

from absl import flags

from electra_tf.cli.fill_mask_and_detect import (
    define_model_flags,
    encode,
    logits,
    open_model,
    require_sentences,
    tell_unknown,
)
from electra_tf.errors import CheckpointError, as_json, shown

DESCRIPTION = "Marks the tokens of sentences that look replaced, with their probabilities, by a discriminator."
EXAMPLE = "electra-tf detect --input runs/tiny 'The captain looked at the banana.'"
POSITIONAL = "sentences"

_RED, _PLAIN = "\033[1;31m", "\033[0m"


def define_flags() -> None:
    define_model_flags("discriminator")
    flags.DEFINE_float("threshold", 0.5, "Mark tokens of at least this probability.", lower_bound=0, upper_bound=1)
    flags.register_validator("threshold", lambda value: value == value, "--threshold is no number")
    flags.DEFINE_boolean("color", None, "Colour marked tokens; by default where the output is a terminal.")


def run(flag_values, sentences: list[str]) -> None:
    require_sentences(sentences, EXAMPLE)
    if flag_values.tower == "generator":
        raise CheckpointError(
            "a generator cannot detect replaced tokens: it only has scores over the vocabulary",
            where="--tower=generator",
            remedy="leave --tower out to ask the discriminator, or use `electra-tf fill-mask`",
        )
    model, tokenizer = open_model(flag_values)
    tell_unknown(tokenizer, sentences)
    answers = [detect(model, tokenizer, sentence) for sentence in sentences]
    if flag_values.json:
        marked = [_with_marks(answer, flag_values.threshold) for answer in answers]
        print(as_json(marked))
        return
    color = sys.stdout.isatty() if flag_values.color is None else flag_values.color
    print("\n".join(in_words(answer, flag_values.threshold, color) for answer in answers))


def detect(model, tokenizer, sentence: str) -> dict:
    """How likely each token of a sentence is to be replaced.

    Args:
        model: a `ReplacedTokenDetector`.
        tokenizer: a `Tokenizer`.
        sentence: any text.

    Returns: the `sentence`, and `tokens`: each with `token`, `start` and `end` in the sentence (characters),
    and `probability`.

    Raises: `InputError` for a sentence too long for the model.
    """
    import numpy as np

    encoding = encode(tokenizer, sentence, model.config.max_position_embeddings)
    probabilities = 1 / (1 + np.exp(-logits(model, encoding).astype("float64")))
    tokens = zip(encoding.tokens, encoding.offsets, probabilities, strict=True)
    found = [
        {"token": token, "start": start, "end": end, "probability": float(probability)}
        for token, (start, end), probability in tokens
    ]
    return {"sentence": sentence, "tokens": found[1:-1]}  # without [CLS] and [SEP]


def in_words(answer: dict, threshold: float = 0.5, color: bool = False) -> str:
    """The sentence with tokens at or above `threshold` as `[token 97%]`, in red where `color` is set."""
    sentence, parts, done = answer["sentence"], [], 0
    for token in answer["tokens"]:
        if token["probability"] >= threshold and token["end"] > done:  # several tokens may be of one character
            text = f"[{shown(sentence[token['start'] : token['end']])} {token['probability']:.0%}]"
            parts += [shown(sentence[done : token["start"]]), f"{_RED}{text}{_PLAIN}" if color else text]
            done = token["end"]
    return "".join([*parts, shown(sentence[done:])])


def _with_marks(answer, threshold):
    tokens = [token | {"replaced": token["probability"] >= threshold} for token in answer["tokens"]]
    return answer | {"tokens": tokens}
