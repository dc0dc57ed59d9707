"""Tokens that were added to a trained vocabulary: found in a text before it is divided into words.

transformers keeps them beside the vocabulary, in up to four files; the model has rows for them at its end.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from electra_tf.errors import InputError

ADDED = "added_tokens.json"
_NAMED = ("bos_token", "eos_token", "additional_special_tokens", "extra_special_tokens")


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token and how it is found, by transformers' names.

    Attributes:
        id: its row.
        content: its text.
        single_word: only where no letter or digit touches it.
        lstrip, rstrip: blanks before it, behind it, belong to it.
        normalized: looked for in the text as it is normalised.
        special: left out where special tokens are, when ids become text.
    """

    id: int
    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False


def as_special(number: int, content: str) -> AddedToken:
    return AddedToken(number, content, normalized=False, special=True)


def added_tokens(
    vocabulary: Sequence[str], known: Sequence[str], fast: Mapping, config: Mapping, older: Mapping, where: Path
) -> tuple[AddedToken, ...]:
    """The added tokens of a folder by their ids; those in `known`, the special ones, only if they are found otherwise.

    Read as transformers reads them: what `tokenizer_config.json` lists stands for what older versions wrote into files
    of their own.

    Args:
        fast: the content of tokenizer.json. config: see `with_special_tokens`. older: the content of added_tokens.json.

    Raises: `InputError` where ids do not fit those of the vocabulary.
    """
    ids = {token: i for i, token in enumerate(vocabulary)}
    found = {token.content: token for token in _listed(fast.get("added_tokens") or [], where)}
    listed, special = config.get("added_tokens_decoder"), _special(config, where)
    if listed is not None:
        listed = _mapping(listed, "added_tokens_decoder", where)
        entries = [{**_mapping(token, i, where), "id": _number(i)} for i, token in listed.items()]
        found |= {token.content: token for token in _listed(entries, where)}
    else:
        for content, number in older.items():
            entry = {"id": number, "content": content, "special": content in special}
            found |= {t.content: t for t in _listed([entry | {"normalized": content not in special}], where)}
    for content in special:
        if content in found:
            found[content] = dataclasses.replace(found[content], special=True)
        else:
            following = max([len(vocabulary) - 1, *(token.id for token in found.values())]) + 1
            found[content] = as_special(ids.get(content, following), content)
    found = sorted(found.values(), key=lambda token: token.id)
    _check(found, vocabulary, ids, where)
    return tuple(t for t in found if t.content not in known or t != as_special(t.id, t.content))


def _listed(entries, where):
    """The tokens of a list as tokenizer.json has it."""
    fields = {field.name: field for field in dataclasses.fields(AddedToken)}
    for entry in entries if isinstance(entries, list) else [entries]:
        entry = {name: value for name, value in _mapping(entry, "added_tokens", where).items() if name in fields}
        flags = [value for name, value in entry.items() if name not in ("id", "content")]
        number, content = entry.get("id"), entry.get("content")
        if type(number) is not int or not isinstance(content, str) or not content or {*map(type, flags)} - {bool}:
            raise InputError(
                f"an added token is {str(entry)[:200]}",
                where=where,
                expected="a number as id, a text as content, and true or false for all else",
                remedy="fetch the tokenizer's files again",
            )
        yield AddedToken(**entry)


def _special(names, where):
    """Contents of the special tokens that have no name of their own in BERT, in order."""
    found = []
    for name in _NAMED:
        value = names.get(name) or []
        value = list(value.values()) if name == "extra_special_tokens" and isinstance(value, dict) else value
        for token in value if isinstance(value, list) else [value]:
            content = token.get("content") if isinstance(token, dict) else token
            if not isinstance(content, str):
                raise InputError(
                    f"{name} holds {content!r}",
                    where=where,
                    expected="a token's text",
                    remedy="fetch or make the tokenizer's files again",
                )
            found.append(content)
    return list(dict.fromkeys(found))


def _check(found, vocabulary, ids, where):
    outside = [token for token in found if token.content not in ids]
    wrong = [token for token in found if ids.get(token.content, token.id) != token.id]
    wrong += [token for i, token in enumerate(outside, start=len(vocabulary)) if token.id != i]
    if wrong:
        raise InputError(
            f"the added token {wrong[0].content!r} has the id {wrong[0].id}",
            where=where,
            expected=f"ids that follow the vocabulary's, from {len(vocabulary)} on, or that of the same token in it",
            remedy="restore the tokenizer's files, or open it with transformers and save it again",
        )
    if outside and len(ids) < len(vocabulary):
        raise InputError(
            f"tokens were added ({outside[0].content!r}) to a vocabulary that holds a token twice",
            where=where,
            expected="one of the two: transformers gives such tokens the ids of others",
            remedy="give each line of vocab.txt a token of its own, then add the tokens again",
        )


def _mapping(value, name, where):
    if not isinstance(value, dict):
        raise InputError(
            f"{name} holds {str(value)[:200]!r}",
            where=where,
            expected="a JSON object",
            remedy="fetch or make the tokenizer's files again",
        )
    return value


def _number(text):
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
