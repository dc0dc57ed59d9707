"""Files of questions whose answers stand in a text: SQuAD's JSON (and KorQuAD's), MRQA's, JSON lines, and tables."""

from pathlib import Path
from typing import NamedTuple

from electra_tf.errors import InputError
from electra_tf.finetuning.records import (
    check_is_text,
    flags_of,
    is_json,
    json_of,
    json_rows,
    read_file,
    read_text,
    text_of,
)


class Answer(NamedTuple):
    """A text and its first character in the context."""

    text: str
    start: int


class Question(NamedTuple):
    """A question on a context; no answers where it has none, or where they are not asked for.

    `impossible`: it is learned as one without an answer, though the file may list some, which are scored (SQuAD 2.0).
    `right`: the texts that are right, where more are than stand in the context (MRQA).
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    where: str
    impossible: bool = False
    right: tuple[str, ...] = ()

    @property
    def golds(self) -> list[str]:
        """What an answer is scored against."""
        return [*self.right] or [answer.text for answer in self.answers]

    @property
    def texts(self):
        """What tells it from others."""
        return (self.question, self.context)

    @property
    def answer(self):
        """What is learned of it."""
        return () if self.impossible else self.answers[:1]

    @property
    def labels(self):
        """What is counted of it."""
        return ("answer" if self.answer else "no answer",)


class QuestionFile(NamedTuple):
    """The questions of a file, and in words how it was read."""

    records: list[Question]
    read_as: str


def read_questions(path, text=("question", "context"), label: str | None = "answer", labelled=True) -> QuestionFile:
    """Reads questions.

    Args:
        path: SQuAD's or KorQuAD's .json; .jsonl of MRQA or of rows; .csv or .tsv; .gz or .xz may stand behind it.
        text: of rows, the columns of the question and of the context. label: that of the answer, empty where there is
            none; it is looked for in the context, from the character in `<label>_start` on where there is such a
            column. labelled: whether answers are read.

    Raises: `InputError` for what cannot be read, and for an answer that is not in its context.
    """
    path = Path(path)
    content, suffix = read_text(path)
    if is_json(suffix):
        whole = _whole_json(content, path) if suffix == ".json" else None
        if whole is not None:
            return QuestionFile(_checked(_squad(whole, path, labelled), path), "SQuAD's JSON")
        rows = json_rows(content, path)
        if any("qas" in row for _, row in rows):
            return QuestionFile(_checked(_mrqa(rows, path, labelled), path), "MRQA's JSON lines")
        return QuestionFile(_checked(_rows(rows, path, text, label, labelled), path), "JSON lines")
    file = read_file(path, text, label if labelled else None)
    rows = [(record.where.rpartition(", ")[2], row) for record, row in zip(file.records, file.rows, strict=True)]
    return QuestionFile(_checked(_rows(rows, path, text, label, labelled), path), file.read_as)


def _whole_json(content, path):
    try:
        whole = json_of(content, str(path))
    except (ValueError, RecursionError):
        return None
    return whole if isinstance(whole, dict) and "data" in whole else None


def _squad(whole, path, labelled):
    if not isinstance(whole["data"], list):
        raise TypeError(f"`data` is a {type(whole['data']).__name__}, not a list")
    for article in whole["data"]:
        for paragraph in article["paragraphs"]:
            for one in paragraph["qas"]:
                where = f"{path}, question {one.get('id')!r}"
                given, lacks = (one["answers"], one.get("is_impossible", False)) if labelled else ((), False)
                answers = tuple(Answer(answer["text"], int(answer["answer_start"])) for answer in given)
                if not isinstance(lacks, bool):
                    raise TypeError(f"`is_impossible` is {lacks!r}, and neither true nor false")
                yield Question(str(one["id"]), one["question"], paragraph["context"], answers, where, lacks)


def _mrqa(rows, path, labelled):
    for where, row in rows:
        for one in () if "header" in row else row["qas"]:
            given = one["detected_answers"] if labelled else ()
            found = [_of_span(row["context"], *span) for answer in given for span in answer["char_spans"]]
            place = f"{path}, {where}, question {one.get('qid')!r}"
            right = _texts(one["answers"], place) if labelled and "answers" in one else ()
            yield Question(str(one["qid"]), one["question"], row["context"], tuple(found), place, right=right)


def _texts(answers, where):
    """Those that MRQA scores, whether or not they are found in the context."""
    if not isinstance(answers, list):
        raise TypeError(f"`answers` is a {type(answers).__name__}, not a list")
    for one in answers:
        check_is_text(one, "answer", where)
    return tuple(answers)


def _of_span(context, first, last):
    """The answer from its first to its last character."""
    if not 0 <= first <= last < len(context):
        raise ValueError(f"an answer from character {first} to {last} of a context of {len(context)}")
    return Answer(context[first : last + 1], first)


def _rows(rows, path, text, label, labelled):
    for number, (where, row) in enumerate(rows):
        for name in (*text, label) if labelled else text:
            if name not in row:
                raise InputError(
                    f"there is no {name!r}",
                    where=f"{path}, {where}",
                    expected=f"one of {', '.join(map(repr, row))}",
                    remedy=f"name the columns with {flags_of('--text QUESTION,CONTEXT', labelled)}",
                )
        question, context = (text_of(row, name, f"{path}, {where}") for name in text)
        given, start = (row.get(name) if labelled else None for name in (label, f"{label}_start"))
        given, start = (None if one != one else one for one in (given, start))  # NaN: how pandas writes nothing
        answers = ()
        given = "" if given is None else str(given)
        given = given.strip() if start in (None, "") else given
        if given:
            start = context.find(given) if start in (None, "") else _whole(start, label, f"{path}, {where}")
            answers = (Answer(given, start),)
        yield Question(str(row.get("id", number)), question, context, answers, f"{path}, {where}")


def _whole(number, label, where) -> int:
    """Of a column, which pandas writes as 3.0 where some rows have none."""
    try:
        if float(number) == int(float(number)):
            return int(float(number))
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(
        f"{label}_start is {str(number)[:60]!r}",
        where=where,
        expected="the number of the character, from 0, at which the answer begins",
        remedy="correct it, or leave the column out: then the answer is looked for",
    )


def _checked(questions, path):
    try:
        questions = list(questions)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"a question is not as it should be: {type(error).__name__}: {error}",
            where=path,
            expected="a context, and questions with id, question and answers (text, answer_start)",
            remedy="correct the question, or fetch the file again",
        ) from error
    if not questions:
        raise InputError(
            "the file has no questions",
            where=path,
            expected="SQuAD's JSON, MRQA's, or rows",
            remedy="see whether this is the file that you mean",
        )
    for one in questions:
        check_is_text(one.question, "question", one.where)
        check_is_text(one.context, "context", one.where)
        for text, start in one.answers:
            check_is_text(text, "answer", one.where)
            if start < 0 or not text or one.context[start : start + len(text)] != text:
                raise InputError(
                    f"the answer {text[:60]!r} is not in the context"
                    + (f" at character {start}" if start >= 0 and text in one.context else ""),
                    where=one.where,
                    expected="a part of the context, letter by letter, and where it begins",
                    remedy="correct it, or leave the question out",
                )
    return questions
