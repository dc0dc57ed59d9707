"""SentencePiece as ALBERT uses it: one model, and three published ways from a text to its ids.

They differ in how a text is prepared, and in numbers. ALBERT takes a piece such as `▁1802,` apart: it encodes what
stands before the comma again, and adds the comma. The original code removes the blank `▁` that this may begin with
under Python 2 only, as transformers' `AlbertTokenizer` does; `AlbertTokenizerFast` knows no such step, and makes those
pieces unlikely instead. Sources: `tokenization.py` of ALBERT, `tokenization_albert.py` and `convert_slow_tokenizer.py`
of transformers 4.57.
"""

import base64
import hashlib
import json
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import normalizers

from electra_tf.errors import ConfigError, InputError
from electra_tf.files import write_whole
from electra_tf.text.added_tokens import ADDED, added_tokens
from electra_tf.text.casing import STRAY
from electra_tf.text.rows import flatten
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.tokenizer_files import (
    CONFIG,
    FAST,
    OtherTokenizerError,
    check_class,
    check_names,
    part_of,
    read_bytes,
    read_json,
    read_tokenizer_config,
    with_special_tokens,
    write_config,
)

TOKENIZATIONS = ("transformers_slow", "transformers_fast", "google")
MODEL = "spiece.model"
BLANK = "\u2581"  # stands for a space
_LONGEST = 100  # bytes that take the place of a character; Unicode's longest are 33
_CONTROL, _USER_DEFINED = 3, 4  # kinds of pieces
_UNLIKELY = -100  # what transformers adds to the score of a piece that ends in a digit and a comma


@dataclass(frozen=True)
class SentencePieceSettings:
    """How a text becomes pieces.

    Attributes:
        tokenization: `transformers_slow`, `AlbertTokenizer` of transformers 4, whose ids are those of the original
            code under Python 2 but for quotes written `` and ''; `google`, the original code under Python 3;
            `transformers_fast`, `AlbertTokenizerFast`, which `AutoTokenizer` takes.
        lower_case: capitals are lowered.
        strip_accents: texts are decomposed (NFKD), and accents removed.
    """

    tokenization: str = "transformers_slow"
    lower_case: bool = True
    strip_accents: bool = True


@dataclass(frozen=True)
class Pieces:
    """Ids of a text and their places in it, in characters."""

    ids: list[int]
    offsets: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.ids)


def holds_sentencepiece(path: Path) -> bool:
    """Whether what is at `path` is a SentencePiece tokenizer: a `.model` file, or a folder with one or its JSON."""
    if not path.is_dir():
        return path.suffix.lower() == ".model"
    if (path / "vocab.txt").is_file():
        return False
    if model_file(path) is not None:
        return True
    if not (path / FAST).is_file():
        return False
    model = part_of(read_json(path / FAST), "model", path / FAST)  # tokenizers' first versions wrote no type
    return model.get("type", "Unigram" if isinstance(model.get("vocab"), list) else None) == "Unigram"


def model_file(folder: Path) -> Path | None:
    """`spiece.model`, or the one `.model` of a folder as Google published them."""
    if (folder / MODEL).is_file():
        return folder / MODEL
    found = list(folder.glob("*.model"))
    return found[0] if len(found) == 1 else None


def _told(config, path) -> dict:
    """Fields of the settings, as `tokenizer_config.json` says them."""
    return {
        "tokenization": config.get("tokenization", "transformers_slow"),
        "lower_case": _flag(config, "do_lower_case", True, path),
        "strip_accents": not _flag(config, "keep_accents", False, path),
    }


def _told_beside(folder) -> dict:
    """What the other files of a model's folder say of it, opened by itself; the way from a text to its ids is then the
    model's own unless `tokenizer_config.json` names it.
    """
    if (folder / CONFIG).is_file():
        return _told(read_tokenizer_config(folder), folder)
    if (folder / FAST).is_file():
        held = _settings_of(read_json(folder / FAST), folder)
        return {"lower_case": held.lower_case, "strip_accents": held.strip_accents}
    return {}


def has_capitals(pieces: Sequence[str]) -> bool:
    """Whether so many pieces have capitals that no text with small letters alone has made them."""
    letters = [piece for piece in pieces if piece.lower() != piece.upper() and not piece.startswith(("[", "<"))]
    return sum(piece != piece.lower() for piece in letters) > STRAY * len(letters)


def _check_agree(model, fast, folder):
    """Raises `InputError` where a model and a tokenizer.json are not of one vocabulary."""
    pieces = [piece.piece for piece in _parse(model, folder).pieces]
    theirs = part_of(fast, "model", folder / FAST).get("vocab")
    theirs = [one[0] if isinstance(one, list) and one else one for one in theirs] if isinstance(theirs, list) else None
    if theirs != pieces:
        raise InputError(
            f"the SentencePiece model and {FAST} hold different vocabularies",
            where=folder,
            expected="the same pieces in the same order",
            remedy="remove the file that does not belong to the model",
        )


_BASIC_PLANE = "\n".join(chr(c) for c in range(0x10000) if not 0xD800 <= c < 0xE000)
_SPECIAL_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
_NAMES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), _SPECIAL_TOKENS, strict=True))


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece tokenizer whose ids are those of the published engine that its settings name.

    Args:
        model: the content of a `.model` file, or None where `fast` says all.
        settings: see `SentencePieceSettings`.
        fast: the content of a `tokenizer.json`; `transformers_fast` takes it as it is, or makes it of the model.
        source: the file or folder it was read from, if any.

    Raises: `InputError` as `Tokenizer`, and for what is not SentencePiece; `ConfigError` for settings that need
    the model where only `fast` is there.
    """

    Settings = SentencePieceSettings
    special_tokens = _SPECIAL_TOKENS

    def __init__(
        self,
        model: bytes | None,
        settings: SentencePieceSettings | None = None,
        *,
        fast: dict | None = None,
        source: Path | None = None,
    ):
        settings = settings or SentencePieceSettings()
        if settings.tokenization not in TOKENIZATIONS:
            raise ConfigError(
                f"there is no tokenization {settings.tokenization!r}",
                where=source,
                expected=", ".join(TOKENIZATIONS),
                remedy="name one of these as the tokenization",
            )
        held = None if fast is None else _settings_of(fast, source)
        if held != settings:
            fast = None  # it does otherwise
        if fast is None and model is None:
            raise ConfigError(
                f"{settings} needs SentencePiece's model",
                where=source,
                expected=f"{MODEL}; {FAST} alone holds {held}",
                remedy=f"copy {MODEL} beside it, or take those settings",
            )
        self.model, self._proto = model, None if model is None else _parse(model, source)
        if fast is None and settings.tokenization == "transformers_fast":
            fast = fast_form(self._proto, settings, source)
        self.fast = fast
        if fast is None:
            vocabulary = [piece.piece for piece in self._proto.pieces]
        else:
            vocabulary = [piece for piece, _ in fast["model"]["vocab"]]
            outside = {token["content"] for token in fast.get("added_tokens") or []} - set(vocabulary)
            if outside:
                raise _added(outside, source)
        super().__init__(vocabulary, settings, source)
        _ = self._fast_query if fast is not None else self._engine  # raises for a damaged one

    @classmethod
    def open(cls, path: Path, settings: dict) -> "SentencePieceTokenizer":
        """See `load.open_tokenizer`."""
        if path.is_file():
            if model_file(path.parent) == path:
                settings = _told_beside(path.parent) | settings
            tokenizer = cls(read_bytes(path), SentencePieceSettings(**settings), source=path)
            if "lower_case" in settings or not has_capitals(tokenizer.vocabulary):
                return tokenizer
            print(f"note: {path}: capitals stay as they are, since its pieces have some", file=sys.stderr)
            return cls(read_bytes(path), SentencePieceSettings(**{**settings, "lower_case": False}), source=path)
        file, fast = model_file(path), None
        model = None if file is None else read_bytes(file)
        config = with_special_tokens(read_tokenizer_config(path), path)
        check_class(config, ("Albert",), path)
        check_names(config, _NAMES, path)
        if model and (path / FAST).is_file():
            _check_agree(model, read_json(path / FAST), path)
        if (path / FAST).is_file() and not (model and config.get("tokenization")):
            fast = read_json(path / FAST)
            found = asdict(_settings_of(fast, path))
        else:
            found = _told(config, path)
        tokenizer = cls(model, SentencePieceSettings(**(found | settings)), fast=fast, source=path)
        older = read_json(path / ADDED) if (path / ADDED).is_file() else {}
        added = added_tokens(tokenizer.vocabulary, tokenizer.special_tokens, {}, config, older, path)
        known = {token["content"] for token in tokenizer.fast.get("added_tokens") or []} if tokenizer.fast else set()
        if lost := {token.content for token in added} - known - set(tokenizer.special_tokens):
            raise _added(lost, path)
        return tokenizer

    def save(self, folder: str | Path, *, max_length: int | None = None) -> None:
        """Writes spiece.model, tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        transformers' `AutoTokenizer`, of versions 4 and 5, takes tokenizer.json: its ids are those of
        `transformers_fast`, and for the others differ in a few numbers with commas (see `fast_form`).
        `AlbertTokenizer` of version 4 takes spiece.model, and has the ids of `transformers_slow`.
        """
        folder = Path(folder)
        settings = self.settings
        config = {
            # Version 5 makes an AlbertTokenizer anew, with ids of its own, and takes this one as it is written.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "do_lower_case": settings.lower_case,
            "keep_accents": not settings.strip_accents,
            "remove_space": True,
        }
        if settings.tokenization != "transformers_fast":
            config["tokenization"] = settings.tokenization
        if self.model is not None:
            write_whole(folder / MODEL, self.model)
        fast = self.fast or fast_form(self._proto, settings, self.source)
        write_whole(folder / FAST, json.dumps(fast, ensure_ascii=False, indent=2))
        mask = {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
        names = dict(zip(("pad", "unk", "cls", "sep"), self.special_tokens, strict=False)) | {"mask": mask}
        write_config(folder, config, {f"{name}_token": token for name, token in names.items()}, max_length)

    def line_tokenizer(self, engine: str = "fast") -> Callable:
        """One engine for all lines: see `Tokenizer.line_tokenizer`."""
        if engine not in ("fast", "reference"):
            raise ConfigError(f"engine is {engine!r}", expected="'fast' or 'reference'")
        return self._lines

    @cached_property
    def fingerprint(self) -> str:
        if self.fast is not None:
            shaped = self.fast
        else:
            pieces = [(piece.piece, piece.score, piece.type) for piece in self._proto.pieces]
            normalizer = self._proto.normalizer_spec
            charsmap = hashlib.sha256(normalizer.precompiled_charsmap).hexdigest()
            flags = [normalizer.add_dummy_prefix, normalizer.remove_extra_whitespaces, normalizer.escape_whitespaces]
            shaped = [pieces, charsmap, flags, asdict(self.settings)]
        return hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()

    def normalized(self, text: str) -> str:
        """A text as its characters are compared with pieces, blanks as `BLANK`."""
        if self.fast is not None:
            return self._fast_text.normalizer.normalize_str(text)
        return self._engine.normalize(prepare(text, self.settings))

    def _encode(self, texts, special_tokens_in_text):
        if self.fast is None:
            return [self._pieces(text, special_tokens_in_text) for text in texts]
        engine = self._fast_query if special_tokens_in_text else self._fast_text
        found = engine.encode_batch(texts, add_special_tokens=False)
        return [
            Pieces(encoding.ids, [_trimmed(text, *place) for place in encoding.offsets])
            for text, encoding in zip(texts, found, strict=True)
        ]

    def _decode(self, ids):
        if self.fast is not None:
            return self._fast_query.decode(ids, skip_special_tokens=False)
        texts, special = [[]], set(self.special_ids) - {self.unk_id}
        for i in ids:
            texts += [self.vocabulary[i], []] if i in special else []
            texts[-1] += [] if i in special else [i]
        texts = [text if isinstance(text, str) else self._engine.decode(text) for text in texts]
        return " ".join(text for text in texts if text)

    def _lines(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.fast is not None:
            return flatten([e.ids for e in self._fast_text.encode_batch_fast(list(lines), add_special_tokens=False)])
        prepared = [prepare(line, self.settings) for line in lines]
        rows = self._engine.encode(prepared, out_type=int, num_threads=1) if prepared else []
        for number, row in enumerate(rows):
            if self.unk_id in row and "," in prepared[number]:
                # Unknown characters side by side are one piece, and the id does not tell how it ends.
                pieces = self._engine.encode(prepared[number], out_type=str)
                rows[number] = [self._id(part) for piece in pieces for part in self._take_apart(piece)]
            elif not self._apart.keys().isdisjoint(row):
                rows[number] = [i for each in row for i in self._apart.get(each, (each,))]
        return flatten(rows)

    def _pieces(self, text, special_tokens_in_text) -> Pieces:
        """The ids of a text as the slow engines make them: each part between special tokens for itself."""
        result, start = Pieces([], []), 0
        for part in self._special.split(text) if special_tokens_in_text else [text]:
            if special_tokens_in_text and part in self.special_tokens:
                result.ids.append(self._ids[part])
                result.offsets.append((start, start + len(part)))
            elif part:
                found = self._between(part)
                result.ids.extend(found.ids)
                result.offsets.extend((start + begin, start + end) for begin, end in found.offsets)
            start += len(part)
        return result

    def _between(self, text) -> Pieces:
        from sentencepiece import sentencepiece_pb2

        prepared, places = prepare(text, self.settings), self._places(text)
        encoded = self._engine.encode(prepared, out_type="serialized_proto")
        characters = np.zeros(len(prepared.encode()) + 1, int)  # of each byte
        np.cumsum([byte & 0xC0 != 0x80 for byte in prepared.encode()], out=characters[1:])
        places.append((len(text), len(text)))
        result = Pieces([], [])
        for piece in sentencepiece_pb2.SentencePieceText.FromString(encoded).pieces:
            begin, end = characters[piece.begin], characters[piece.end]
            while begin < end and prepared[begin] == " ":
                begin += 1
            parts = self._take_apart(piece.piece)
            for number, part in enumerate(parts, start=1):
                # All but the last part, a comma, are as long as they look.
                stop = end if number == len(parts) else min(begin + len(part.removeprefix(BLANK)), max(begin, end - 1))
                result.ids.append(self._id(part))
                result.offsets.append((places[begin][0], places[stop - 1][1] if stop > begin else places[begin][0]))
                begin = stop
        return result

    def _places(self, text: str) -> list[tuple[int, int]]:
        """Where in the text each character of what `prepare` makes of it stands."""
        places, slow, lower = [], self.settings.tokenization == "transformers_slow", self.settings.lower_case
        position = None
        for word in re.finditer(r"\S+", text):
            if position is not None:
                places.append((position, word.start()))
            position = word.start()
            while position < word.end():
                width = 2 if slow and text[position : position + 2] in ("``", "''") else 1
                character = text[position]
                if slow and lower:
                    character = character.lower()
                if self.settings.strip_accents:
                    character = unicodedata.normalize("NFKD", character)
                    character = "".join(c for c in character if not unicodedata.combining(c))
                character = character.lower() if lower else character
                places += [(position, position + width)] * (1 if width == 2 else len(character))
                position += width
        return places

    def _take_apart(self, piece: str) -> list[str]:
        """ALBERT's rule: a piece that ends in a digit and a comma is encoded again without the comma."""
        if not _ends_a_number(piece):
            return [piece]
        parts = self._engine.encode(piece[:-1].replace(BLANK, ""), out_type=str)
        removes_blank = self.settings.tokenization == "transformers_slow" and not piece.startswith(BLANK)
        if removes_blank and parts[0].startswith(BLANK):
            parts = parts[1:] if parts[0] == BLANK else [parts[0].removeprefix(BLANK), *parts[1:]]
        return [*parts, ","]

    def _id(self, piece: str) -> int:
        """The id of a piece of text. One that reads `[MASK]` is of characters that are unknown."""
        return self.unk_id if piece in self.special_tokens else self._ids.get(piece, self.unk_id)

    @cached_property
    def _apart(self) -> dict[int, list[int]]:
        """Ids of the pieces that are taken apart, and what they become."""
        pieces = filter(_ends_a_number, self.vocabulary)
        return {self._ids[piece]: [self._id(part) for part in self._take_apart(piece)] for piece in pieces}

    @cached_property
    def _special(self):
        """Finds special tokens in a text, as its groups; spaces before [MASK] are dropped in any case."""
        return re.compile(f"({'|'.join(map(re.escape, self.special_tokens))})")

    @cached_property
    def _engine(self):
        import sentencepiece

        try:
            return sentencepiece.SentencePieceProcessor(model_proto=self.model)
        except RuntimeError as error:
            raise InputError(
                f"SentencePiece cannot use the model: {error}", where=self.source, remedy="copy it again"
            ) from error

    @cached_property
    def _fast_query(self):
        return _rust(self.fast, self.source)

    @cached_property
    def _fast_text(self):
        """The engine without special tokens. It would find their pieces in a text, so they are given other names."""
        special = self.special_tokens
        vocabulary = [
            [f"\U0010fffd{i}", score] if piece in special else [piece, score]
            for i, (piece, score) in enumerate(self.fast["model"]["vocab"])
        ]
        added = [token for token in self.fast.get("added_tokens") or [] if token["content"] not in special]
        form = self.fast | {"model": self.fast["model"] | {"vocab": vocabulary}, "added_tokens": added}
        return _rust(form | {"post_processor": None}, self.source)

    def __reduce__(self):
        return _again, (self.model, self.settings, self.fast, self.source)


def _again(model, settings, fast, source):
    return SentencePieceTokenizer(model, settings, fast=fast, source=source)


def prepare(text: str, settings: SentencePieceSettings) -> str:
    """What is given to SentencePiece, whose own normalisation follows: it puts Hangul syllables together again."""
    slow = settings.tokenization == "transformers_slow"
    plain = text.isascii()
    if slow and settings.lower_case and not plain:
        text = "".join(map(str.lower, text))  # a final sigma is not told from another
    text = " ".join(text.split())
    if slow:
        text = text.replace("``", '"').replace("''", '"')
    if settings.strip_accents and not plain:
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return text.lower() if settings.lower_case else text


def fast_form(proto, settings: SentencePieceSettings, source=None) -> dict:
    """A `tokenizer.json` for a `.model` file, as a dictionary.

    For `transformers_fast` the one that transformers 4 makes, in which symbols that the model's trainer was given are
    tokens apart from the text, so that what follows one begins with a blank. For the others the nearest: those symbols
    are pieces like others, and a text is prepared as they do; but the library cannot take a piece apart, and finds
    pieces that end in a digit and a comma unlikely instead (nor does it know a final sigma, as `google` does).

    Args:
        proto: the parsed model.

    Raises: `InputError` for a model that is not of the unigram kind.
    """
    from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors
    from tokenizers import Tokenizer as Rust

    theirs = settings.tokenization == "transformers_fast"
    if proto.trainer_spec.model_type != 1:
        raise InputError(
            "the model is not of the unigram kind",
            where=source,
            expected="a unigram model, as ALBERT's",
            remedy="train one, or use transformers' own tokenizer",
        )
    scores = [(piece.piece, piece.score + (_UNLIKELY if _ends_a_number(piece.piece) else 0)) for piece in proto.pieces]
    engine = Rust(models.Unigram(scores, unk_id=proto.trainer_spec.unk_id, byte_fallback=False))
    engine.add_tokens(
        [
            AddedToken(
                piece.piece, lstrip=piece.piece == "[MASK]", normalized=False, special=piece.type != _USER_DEFINED
            )
            for piece in proto.pieces
            if piece.type == _CONTROL or piece.piece == "<unk>" or (theirs and piece.type == _USER_DEFINED)
        ]
    )
    steps = [] if theirs else [normalizers.Replace(Regex(f"[{_characters(str.isspace)}]+"), " "), normalizers.Strip()]
    if settings.tokenization != "google":
        steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if settings.strip_accents:
        accents = Regex(f"[{_characters(unicodedata.combining)}]")
        steps += [normalizers.NFKD(), normalizers.StripAccents() if theirs else normalizers.Replace(accents, "")]
        # SentencePiece composes what is left, such as Hangul syllables, which the library's Precompiled does not.
        steps += [] if theirs else [normalizers.NFC()]
    if settings.lower_case:
        steps.append(normalizers.Lowercase())
    if proto.normalizer_spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap))
    steps += [normalizers.Replace(Regex(" {2,}"), " ")] + ([] if theirs else [normalizers.Strip()])
    engine.normalizer = normalizers.Sequence(steps)
    engine.pre_tokenizer = pre_tokenizers.Metaspace(replacement=BLANK, prepend_scheme="always")
    engine.decoder = decoders.Metaspace(replacement=BLANK, prepend_scheme="always")
    ids = {piece.piece: i for i, piece in enumerate(proto.pieces)}
    if "[CLS]" in ids and "[SEP]" in ids:
        engine.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[(name, ids[name]) for name in ("[CLS]", "[SEP]")],
        )
    return json.loads(engine.to_str())


def _characters(test: Callable) -> str:
    """All characters for which Python says so: for spaces and for accents, the library has other sets."""
    return "".join(filter(test, map(chr, range(sys.maxunicode))))


def _settings_of(fast: dict, source) -> SentencePieceSettings:
    """The settings under which a `tokenizer.json` is what it is. Raises: `InputError` for a damaged one."""
    _check_fast(fast, source)
    normalizer = fast.get("normalizer") or {}
    kinds = {step.get("type") for step in normalizer.get("normalizers", [normalizer])}
    return SentencePieceSettings("transformers_fast", "Lowercase" in kinds, "StripAccents" in kinds)


def _ends_a_number(piece: str) -> bool:
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def _added(tokens, where):
    return OtherTokenizerError(
        f"tokens were added beside the vocabulary: {', '.join(sorted(tokens))}",
        where=where,
        expected="all tokens in SentencePiece's model",
        remedy="train a model that has them: electra-tf vocab --kind sentencepiece --symbols",
    )


def _flag(config, name, usual, folder):
    value = config.get(name, usual)
    if not isinstance(value, bool):
        raise InputError(
            f"{name} is {json.dumps(value)}",
            where=folder / CONFIG,
            expected="true or false",
            remedy="write the one that the model was trained with",
        )
    return value


def _check_fast(fast, source):
    """Raises: `InputError` for what the library takes for granted in a `tokenizer.json`, or ends the process at."""
    model, steps = part_of(fast, "model", source), part_of(fast, "normalizer", source)
    vocabulary, unknown = model.get("vocab"), model.get("unk_id")
    steps = steps.get("normalizers", [steps])
    added, damaged = fast.get("added_tokens") or [], None
    if not isinstance(vocabulary, list) or not all(map(_is_piece, vocabulary)):
        damaged = "model.vocab is not a list of pieces and numbers"
    elif type(unknown) is not int or not 0 <= unknown < len(vocabulary):
        damaged = f"model.unk_id is {unknown!r}"
    elif not _all_have(steps, "type") and steps != [{}]:
        damaged = "normalizer.normalizers is not a list of steps"
    elif odd := [step["type"] for step in steps if step and not _is_bounded(step)]:
        damaged = f"a step of the normalizer, {odd[0]}, makes a text longer, or is not known"
    elif sum("Regex" in step.get("pattern", ()) for step in steps) > _EXPRESSIONS:
        damaged = "the normalizer has too many steps with an expression"
    elif not _all_have(added, "content"):
        damaged = "added_tokens is not a list of tokens"
    elif not all(_is_charsmap(step["precompiled_charsmap"]) for step in steps if "precompiled_charsmap" in step):
        damaged = "precompiled_charsmap is damaged"
    if damaged is not None:
        raise InputError(damaged, where=source, expected=f"a {FAST} as transformers writes it", remedy="fetch it again")


def _all_have(entries, name):
    return isinstance(entries, list) and all(isinstance(e, dict) and isinstance(e.get(name), str) for e in entries)


# Steps of a normalizer that make a text a few times longer at most.
_EXPRESSIONS = 6  # of which each may put a character before each
_STEPS = ("Replace", "Precompiled", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents", "Strip")


def _is_bounded(step):
    """Whether a step is known not to make a long text of a short one, which would take all the memory."""
    pattern, content = step.get("pattern", {}), step.get("content", "")
    found = pattern.get("String") if isinstance(pattern, dict) else None
    shortest = len(found) if isinstance(found, str) else 1  # what an expression finds has a character, or none
    return step["type"] in _STEPS and isinstance(content, str) and len(content) <= shortest


def _is_charsmap(content):
    """Whether SentencePiece's table of characters, in base 64 or not, is one that a text can be looked up in."""
    try:
        content = base64.b64decode(content, validate=True) if isinstance(content, str) else content
        size = 4 + int.from_bytes(content[:4], "little")  # of the tree, behind which are the characters' replacements
        if max(map(len, content[size:].split(b"\0"))) > _LONGEST:
            return False
        normalizers.Precompiled(content).normalize_str(_BASIC_PLANE)
    except BaseException as error:
        _pass_on(error)
        return False
    return True


def _pass_on(error):
    """Raises again what is neither an error nor a panic of the Rust library, which is no `Exception`."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def _is_piece(entry):
    return isinstance(entry, list) and [*map(type, entry)] in ([str, float], [str, int]) and math.isfinite(entry[1])


def _rust(form: dict, source):
    import tokenizers

    form = form | {"padding": None, "truncation": None}  # to some billion tokens, it may say
    try:
        engine = tokenizers.Tokenizer.from_str(json.dumps(form))
        engine.encode("a 1,000 \u00e9\u4e2d")  # what is damaged may show with a text only
    except BaseException as error:  # the library raises nothing narrower
        _pass_on(error)
        raise InputError(f"{FAST} cannot be read: {error}", where=source, remedy="fetch or make it again") from error
    return engine


def _parse(model: bytes, source):
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    try:
        proto = sentencepiece_model_pb2.ModelProto.FromString(model)
        charsmap = proto.normalizer_spec.precompiled_charsmap
    except DecodeError:
        proto = None
    if proto is None or not proto.pieces or (charsmap and not _is_charsmap(charsmap)):
        raise InputError(
            "this is not a SentencePiece model, or it is damaged",
            where=source,
            expected="a .model file as SentencePiece's trainer writes it",
            remedy="copy it again from where it came from",
        )
    return proto


def _trimmed(text, begin, end):
    """The place of a token without the spaces before it."""
    while begin < end and text[begin].isspace():
        begin += 1
    return begin, end
