"""Files of questions with several answers to choose from: RACE's, and tables and JSON lines."""

from pathlib import Path
from typing import NamedTuple

from electra_tf.errors import InputError
from electra_tf.finetuning.records import check_is_text, flags_of, is_json, json_rows, read_file, read_text, text_of

_LETTERS = "ABCDEFGHIJ"


class Puzzle(NamedTuple):
    """A context, a question on it (perhaps empty), its choices, and the number of the right one, or None."""

    context: str
    question: str
    choices: tuple[str, ...]
    right: int | None
    where: str

    @property
    def texts(self):
        """What tells it from others."""
        return (self.context, self.question, *self.choices)

    @property
    def answer(self):
        """What is learned of it."""
        return self.right

    @property
    def labels(self):
        """What is counted of it."""
        return () if self.right is None else (_LETTERS[self.right],)


class ChoiceFile(NamedTuple):
    """The puzzles of a file, and in words how it was read."""

    records: list[Puzzle]
    read_as: str


def read_choices(
    path, text=("context", "question"), choices=("options",), label="answer", labelled=True, named=False
) -> ChoiceFile:
    """Reads puzzles.

    Args:
        path: a folder of RACE's files; .jsonl of RACE or of rows; .csv or .tsv.
        text: of rows, the column of the context, and perhaps that of the question.
        choices: the columns of the choices, or that of a list of them.
        label: the column of the right one: its text, its number from 0, or its letter (A, B, ...).
        named: whether the columns are a user's own, who wants all of them; else a row may lack the question.

    Raises: `InputError` for what cannot be read, and for a right one that is none of the choices.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.rglob("*.txt"), key=lambda file: (file.parent.name != "middle", file.parent.name, _n(file)))
        if not files:
            raise InputError(
                "the folder has no .txt files",
                where=path,
                expected="RACE's: middle/1.txt, high/2.txt",
                remedy="name the folder that holds RACE's folders, or a file",
            )
        puzzles = [one for file in files for one in _race(json_rows(read_text(file)[0], file), file, labelled)]
        return ChoiceFile(_checked(puzzles, path), f"{len(files):,} files of RACE")
    content, suffix = read_text(path)
    rows = json_rows(content, path) if is_json(suffix) or content.lstrip().startswith("{") else None
    if rows is not None and all("article" in row and "questions" in row for _, row in rows):
        return ChoiceFile(_checked(list(_race(rows, path, labelled)), path), "RACE's JSON lines")
    if rows is None:
        remedy = f"name them with {flags_of('--text, --choices', labelled)}"
        wanted = (*(text if named else text[:1]), *choices)
        file = read_file(path, wanted, label if labelled else None, remedy=remedy)
        rows = [(record.where.rpartition(", ")[2], row) for record, row in zip(file.records, file.rows, strict=True)]
        read_as = file.read_as
    else:
        read_as = "JSON lines"
    return ChoiceFile(_checked(list(_rows(rows, path, text, choices, label, labelled, named)), path), read_as)


def _n(file):
    return (0, int(file.stem), "") if file.stem.isdecimal() else (1, 0, file.stem)


def _race(rows, path, labelled):
    for where, row in rows:
        place = f"{path}, {where}"
        try:
            questions, every = row["questions"], row["options"]
            answers = row["answers"] if labelled else [None] * len(questions)
            for name, value in (("questions", questions), ("answers", answers), *(("options", o) for o in every)):
                if not isinstance(value, list):
                    raise TypeError(f"{name} are {value!r}, and no list")
            for question, options, answer in zip(questions, every, answers, strict=True):
                right = [*_LETTERS[: len(options)]].index(answer) if labelled else None
                yield Puzzle(row["article"], question, tuple(options), right, place)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"this is no passage of RACE: {error}",
                where=place,
                expected="article, questions, options, answers",
                remedy="fetch the file again, or take it out of the folder",
            ) from error


def _rows(rows, path, text, choices, label, labelled, named):
    puzzles, ways = [], []
    for where, row in rows:
        place = f"{path}, {where}"
        for name in (*(text if named else text[:1]), *choices, *((label,) if labelled else ())):
            if name not in row:
                raise InputError(
                    f"there is no {name!r}",
                    where=place,
                    expected=f"one of {', '.join(map(repr, row))}",
                    remedy=f"name them with {flags_of('--text, --choices', labelled)}",
                )
        if len(choices) == 1 and isinstance(row[choices[0]], list):
            given = tuple(text_of({choices[0]: one}, choices[0], place) for one in row[choices[0]])
        else:
            given = tuple(text_of(row, name, place) for name in choices)
        question = text_of(row, text[1], place) if len(text) > 1 and text[1] in row else ""
        puzzles.append(Puzzle(text_of(row, text[0], place), question, given, None, place))
        if labelled:
            ways.append(_ways(text_of(row, label, place).strip(), given, place))
    if not labelled:
        return puzzles
    return [one._replace(right=right) for one, right in zip(puzzles, _rights(ways, puzzles), strict=True)]


def _ways(answer, choices, where) -> dict[str, int]:
    """The number of the right choice, by each way in which it may be written."""
    ways = {"the text of a choice": choices.index(answer)} if answer in choices else {}
    if answer.isdecimal() and len(answer) < 3 and int(answer) < len(choices):
        ways["its number from 0"] = int(answer)
    if answer in [*_LETTERS[: len(choices)]]:
        ways["its letter"] = _LETTERS.index(answer)
    if not ways:
        raise InputError(
            f"the right one is {answer!r}",
            where=where,
            expected=f"the text of a choice, its number from 0 to {len(choices) - 1}, or its letter",
            remedy="correct the line, or name the column of the right one with --label",
        )
    return ways


def _rights(ways, puzzles) -> list[int]:
    """The right choice of every row: what may be meant in two ways, since choices are numbers, is meant as all can be.

    Raises: `InputError` where two ways are left, by which another choice is right.
    """
    common = [way for way in ways[0] if all(way in own for own in ways)] if ways else []
    for own, puzzle in zip(ways, puzzles, strict=True):
        meant = {own[way] for way in common or own}
        if len(meant) > 1:
            raise InputError(
                f"the right one may be choice {' or '.join(str(n + 1) for n in sorted(meant))}",
                where=puzzle.where,
                expected=f"one way in the whole file: here it is {' as well as '.join(common or own)}",
                remedy="write letters: A, B, ...",
            )
        yield meant.pop()


def _checked(puzzles, path):
    if not puzzles:
        raise InputError(
            "the file has no questions",
            where=path,
            expected="a context and choices on every line",
            remedy="see whether this is the file that you mean",
        )
    count = len(puzzles[0].choices)
    for one in puzzles:
        for what, text in (("context", one.context), ("question", one.question), *(("choice", c) for c in one.choices)):
            check_is_text(text, what, one.where)
        if len(one.choices) != count or count < 2 or count > len(_LETTERS):
            raise InputError(
                f"there are {len(one.choices)} choices",
                where=one.where,
                expected=f"as many on every line, here {count}, from 2 to {len(_LETTERS)}",
                remedy="correct the line, or take it out",
            )
    return puzzles
