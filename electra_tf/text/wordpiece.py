"""WordPiece, as Hugging Face's fast tokenizers have it, in Rust: right by definition."""

from collections.abc import Sequence

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors

from electra_tf.text.added_tokens import AddedToken
from electra_tf.text.wordpiece_normalization import normalizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
HIDDEN = "\U0010fffd"  # a private-use character: the normalisation removes them from a text
MAX_WORD_LENGTH = 100  # the reference turns a word of more characters into [UNK]


def reference_tokenizer(vocabulary: Sequence[str], settings, added: Sequence[AddedToken] = ()):
    """The Rust tokenizer. `added` tokens, in the order of their ids, are found in a text; special ones not there are
    split as text."""
    ids = {token: i for i, token in enumerate(hide_repeated(vocabulary))}
    model = models.WordPiece(
        vocab=ids,
        unk_token="[UNK]",
        continuing_subword_prefix=PREFIX,
        max_input_chars_per_word=MAX_WORD_LENGTH,
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizer(settings)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=PREFIX)
    if "[CLS]" in ids and "[SEP]" in ids:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
        )
    for token in added:
        flags = {name: value for name, value in vars(token).items() if name not in ("id", "content", "special")}
        add = tokenizer.add_special_tokens if token.special else tokenizer.add_tokens
        add([tokenizers.AddedToken(token.content, **flags, special=token.special)])
    return tokenizer


def hide_repeated(vocabulary: Sequence[str]) -> list[str]:
    """The last of equal tokens has the id, as in transformers; in place of others stands what no text can hold."""
    last = {token: i for i, token in enumerate(vocabulary)}
    return [token if last[token] == i else f"{HIDDEN}{i}" for i, token in enumerate(vocabulary)]
