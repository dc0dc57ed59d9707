"""Files of sentences whose words have tags: columns, a sentence a line, or JSON lines."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from electra_tf.errors import InputError
from electra_tf.finetuning.records import flags_of, is_json, json_rows, read_text, text_of
from electra_tf.finetuning.tags import Scheme, normalised, scheme_of

_NO_SENTENCE = "-DOCSTART-"
_COMMENT = "## "  # of KLUE's files
_TAG = re.compile(r"O|[BIESLUM]-.+|.+-[BIESLUM]")
_MOSTLY = 0.8  # of lines
_NEARLY_ALL = 0.99  # of words


class Sentence(NamedTuple):
    """Words and their tags (none where they are not asked for), and where it stands.

    `joined`: the words are the characters of a text, blanks among them, whose tags do not count (KLUE).
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    where: str
    joined: bool = False

    def counted(self, values):
        """Of values of all words, those of the words that count."""
        pairs = zip(self.words, values, strict=True)
        return [value for word, value in pairs if not (self.joined and word.isspace())]

    @property
    def texts(self):
        """What tells it from others."""
        return self.words

    @property
    def answer(self):
        """What is learned of it."""
        return self.tags

    @property
    def labels(self):
        """What is counted of it."""
        return self.tags


class TaggedFile(NamedTuple):
    """The sentences of a file, how their tags were written (they are BIO or BIOES now), and how it was read."""

    records: list[Sentence]
    read_as: str
    scheme: Scheme


def read_tagged(
    path,
    text: str | None = None,
    label: str | None = None,
    labelled: bool = True,
    scheme: Scheme | None = None,
    joined: bool = False,
) -> TaggedFile:
    """Reads sentences of tagged words.

    Three layouts are told apart: `word ... tag` in columns parted by tabs or blanks, a blank line behind each sentence
    (CoNLL, WNUT; of several columns the first and the last); `word word<tab>tag tag` (Naver); and JSON lines of lists.
    Where some words of columns are blanks and nearly all are single characters, they are those of a text (KLUE).

    Args:
        path: .gz or .xz may stand behind its name.
        text, label: of JSON lines, the fields (`tokens` and `tags` by default); of columns, their numbers from 0.
        labelled: whether there are tags.
        scheme: how its tags are written; None: as it seems.
        joined: whether a model is to read it that learned tags of characters: columns of single ones are those of a
            text even without blanks, and a plain sentence is its characters.

    Raises: `InputError` for a file that is not there, empty or not UTF-8, and for words and tags of unlike numbers.
    """
    path = Path(path)
    content, suffix = read_text(path)
    told, comments = _told(content)
    has_tabs = any("\t" in line for line in told)
    if is_json(suffix):
        sentences, layout = _json(content, path, text or "tokens", label or "tags", labelled), "JSON lines"
    elif any("\t" in line and " " in line.rpartition("\t")[2].strip() for line in told):
        sentences, layout = _lines(content, path), "a sentence a line, its tags behind a tab"
    elif not labelled and not has_tabs and not _is_columns(told):
        sentences, layout = _plain(content, path, joined), "a sentence a line"
    else:
        parted = "tabs" if has_tabs else "blanks"
        sentences = _columns(content, path, parted, text, label, labelled, comments)
        layout = f"columns parted by {parted}, blank lines between sentences"
        if _is_characters([word for sentence in sentences for word in sentence.words], joined):
            sentences = [sentence._replace(joined=True) for sentence in sentences]
            layout += "; a character a line"
    if not sentences:
        raise InputError(
            "the file has no sentences",
            where=path,
            expected="a word and its tag on every line",
            remedy="check how the file was made",
        )
    scheme = scheme or scheme_of(sentence.tags for sentence in sentences)
    if labelled:
        _check_tags(sentences)
        written = sentences
        sentences = [sentence._replace(tags=tuple(normalised(sentence.tags, scheme))) for sentence in sentences]
        layout = f"{layout}; tags: {scheme}"
        if any(one.tags != other.tags for one, other in zip(written, sentences, strict=True)):
            layout += ", read as BIO" if scheme.name == "IOB1" else ", written as BILOU and read as BIOES"
    return TaggedFile(sentences, layout, scheme)


def _told(content):
    """(lines without comments, the comments). `##` is also a word: where blanks part columns, it is one in a line of as
    many columns as the others, whose last is a tag that another line has.
    """
    lines = content.split("\n")
    told = [line for line in lines if not line.startswith(_COMMENT)]
    comments = {line for line in lines if line.startswith(_COMMENT)}
    cells = [line.split() for line in told if line.strip()]
    if comments and cells and not any("\t" in line for line in told):
        count, tags = Counter(map(len, cells)).most_common(1)[0][0], {row[-1] for row in cells}
        comments = {line for line in comments if len(row := line.split()) != count or row[-1] not in tags}
        told = [line for line in lines if line not in comments]
    return told, comments


def _is_characters(words, surely=False) -> bool:
    single = sum(len(word) == 1 for word in words) >= _NEARLY_ALL * len(words)
    return single and (surely or any(map(str.isspace, words)))


def _is_columns(lines) -> bool:
    """Whether lines without a tab are words with their columns, and not sentences: as many on each line, and more than
    one line between blank ones, or what looks like a tag at the end of all; or one on each. Where nearly all lines have
    as many, and a tag, the others are told.
    """
    cells = [line.split() for line in lines if line.strip() and not line.startswith(_NO_SENTENCE)]
    counts = Counter(map(len, cells))
    if len(counts) != 1:
        count, often = counts.most_common(1)[0] if counts else (0, 0)
        tagged = sum(len(row) == count and bool(_TAG.fullmatch(row[-1])) for row in cells)
        return count > 1 and tagged == often >= _MOSTLY * len(cells)
    groups = [group for group in "\n".join(line.strip() for line in lines).strip().split("\n\n") if group]
    together = len(groups) > 1 and any("\n" in group for group in groups)
    return len(cells[0]) == 1 or together or all(_TAG.fullmatch(row[-1]) for row in cells)


def _columns(content, path, parted, text, label, labelled, comments):
    sentences, words, tags, first = [], [], [], 1
    word_at, tag_at, count = _number(text, 0), _number(label, -1), None
    for number, line in enumerate([*content.split("\n"), ""], 1):
        is_comment, line = line in comments, line.rstrip("\r")
        if not line.strip() or is_comment:
            if words:
                sentences.append(Sentence(tuple(words), tuple(tags), f"{path}, line {first}"))
            words, tags = [], []
            continue
        cells = line.split("\t") if parted == "tabs" else line.split()
        if cells[0] == _NO_SENTENCE:
            continue
        first = first if words else number
        wanted = [word_at, tag_at] if labelled else [word_at]
        if (len(cells) < 2 and labelled) or any(at >= len(cells) or -at > len(cells) for at in wanted):
            raise InputError(
                f"the line has {len(cells)} column{'s' * (len(cells) > 1)}: {line[:60]!r}",
                where=f"{path}, line {number}",
                expected="a word and its tag, and a blank line behind each sentence",
                remedy="correct the line; words and tags in other columns are numbered by --text and --label",
            )
        count = count or len(cells)
        if len(cells) != count:
            raise InputError(
                f"the line has {len(cells)} column{'s' * (len(cells) > 1)}: {line[:60]!r}",
                where=f"{path}, line {number}",
                expected=f"{count}, as the lines above",
                remedy="write them all, with a dash where there is nothing to say",
            )
        words.append(cells[word_at].strip() or cells[word_at])
        if labelled:
            tags.append(cells[tag_at].strip())
            if not tags[-1]:
                raise InputError(
                    "the tag is empty", where=f"{path}, line {number}", expected="O, or another tag", remedy="write O"
                )
    return sentences


def _lines(content, path):
    sentences = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        words, _, tags = line.rstrip("\r").rpartition("\t")
        sentences.append(_sentence(words.split(), tags.split(), f"{path}, line {number}"))
    return sentences


def _plain(content, path, joined):
    lines = ((number, line.strip()) for number, line in enumerate(content.split("\n"), 1))
    return [words_of(line, joined)._replace(where=f"{path}, line {number}") for number, line in lines if line]


def words_of(text: str, joined: bool) -> Sentence:
    """A text as what gets a tag each: its words, or, `joined`, its characters."""
    return Sentence(tuple(text if joined else text.split()), (), "", joined)


def _json(content, path, text, label, labelled):
    sentences = []
    for where, row in json_rows(content, path):
        wanted = (text, label) if labelled else (text,)
        for name in wanted:
            if not isinstance(row.get(name), list):
                raise InputError(
                    f"there is no list {name!r}",
                    where=f"{path}, {where}",
                    expected=f"lists of words and of tags; there are {', '.join(map(repr, row)) or 'no fields'}",
                    remedy=f"name them with {flags_of('--text', labelled)}",
                )
        place = f"{path}, {where}"
        words, *tags = ([text_of({name: one}, name, place) for one in row[name]] for name in wanted)
        sentences.append(_sentence(words, tags[0] if labelled else [], place, labelled))
    return sentences


def _sentence(words, tags, where, labelled=True):
    if labelled and len(words) != len(tags):
        raise InputError(
            f"there are {len(words)} words and {len(tags)} tags",
            where=where,
            expected="a tag for every word",
            remedy="correct the line, or leave it out",
        )
    if "" in tags:
        raise InputError("a tag is empty", where=where, expected="O, or another tag", remedy="write O")
    return Sentence(tuple(words), tuple(tags), where)


def _check_tags(sentences):
    """Raises `InputError` for a tag that is none of an entity among many that are, whose scheme it would change."""
    tags = Counter(tag for sentence in sentences for tag in sentence.tags if tag != "O")
    parts = [tag for tag in tags if _TAG.fullmatch(tag)]
    begun = any(tag.startswith("B-") or tag.endswith("-B") for tag in parts)
    if not begun or len(parts) == len(tags) or 2 * len(parts) < len(tags):
        return
    odd = next(tag for tag in tags if tag not in parts)
    raise InputError(
        f"the tag {odd!r} stands beside {', '.join(parts[:3])}",
        where=next(sentence.where for sentence in sentences if odd in sentence.tags),
        expected="tags of one kind: O, and the others with B- or I- and the like",
        remedy="write O in its place, or correct it",
    )


def _number(column, usual):
    try:
        return usual if column is None else int(column)
    except ValueError as error:
        raise InputError(
            f"the column is {column!r}",
            where="--text and --label",
            expected="its number, counted from 0, or -1 for the last",
        ) from error
