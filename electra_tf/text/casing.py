"""What a vocabulary says of the text it was learned from: whether capitals were lowered and accents removed.

A token that the tokenizer's own normalisation would change can never be found in a text. So the settings are those
under which nearly every token stays as it is. A few tokens may have been put in by hand, and decide nothing.
"""

import sys
from collections.abc import Sequence

from tokenizers import normalizers

from electra_tf.errors import InputError

STRAY = 0.01  # a share of tokens that may have been put in by hand
CLEAR = 0.05  # a share that cannot


def settings_of_tokens(vocabulary: Sequence[str], where) -> dict:
    """The fields of `WordPieceSettings` that a vocabulary without a word on them was made with.

    Says on stderr what was chosen where a few tokens speak against it. Raises: `InputError` where it stays open.
    """
    tokens = [token.removeprefix("##") for token in vocabulary if not token.startswith(("[", "<", "@"))]
    with_case = [token for token in tokens if token.lower() != token.upper()]
    capital = [token for token in with_case if _changed(token, lowercase=True)]
    if _is_cased(with_case, capital, where):
        return {"lower_case": False}
    letters = [token for token in tokens if not token.isascii() and any(map(str.isalpha, token))]
    accented = [token for token in letters if _changed(token, strip_accents=True)]
    share = len(accented) / max(1, len(letters))
    if STRAY < share < CLEAR:
        raise _open("accents", accented, letters, where, '{"do_lower_case": true, "strip_accents": false}')
    if share >= CLEAR:
        return {"lower_case": True, "strip_accents": False}
    _tell("accents are removed", accented, where)
    return {"lower_case": True}


def _is_cased(with_case, capital, where):
    share = len(capital) / max(1, len(with_case))
    if share >= CLEAR:
        return True
    # A cased vocabulary has its letters by themselves, too, and so most of those that it has small.
    single = {token for token in capital if len(token) == 1}
    small = {token for token in with_case if len(token) == 1} - single
    if single and 2 * len(single) >= len(small):
        return True
    if share > STRAY:
        raise _open("capitals", capital, with_case, where, '{"do_lower_case": false}')
    _tell("capitals are lowered", capital, where)
    return False


def _changed(token, lowercase=False, strip_accents=False):
    normalizer = normalizers.BertNormalizer(False, False, strip_accents, lowercase)
    return normalizer.normalize_str(token) != token


def _tell(chosen, others, where):
    if others:
        print(f"note: {where}: {chosen}, though {_some(others)} would then never be found", file=sys.stderr)


def _open(what, few, all_, where, settings):
    return InputError(
        f"{len(few):,} of {len(all_):,} tokens have {what} ({_some(few)}): too few and too many to tell its casing",
        where=where,
        expected="a folder with vocab.txt and tokenizer_config.json, which says it",
        remedy=f"write {settings}, or what else is right, into tokenizer_config.json beside vocab.txt; name its folder",
    )


def _some(tokens):
    return ", ".join(map(repr, tokens[:3])) + (", ..." if len(tokens) > 3 else "")
