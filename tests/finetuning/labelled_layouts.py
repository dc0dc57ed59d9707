"""A small file of each layout that labelled data come in, and how another reader than ours finds the rows in it."""

import csv
import gzip
import io
import json
import lzma
import random
from pathlib import Path
from typing import NamedTuple

from telling_words import TAGS, WORDS

from electra_tf.finetuning.multiple_choice_files import Puzzle
from electra_tf.finetuning.question_files import Answer, Question
from electra_tf.finetuning.records import Record
from electra_tf.finetuning.tagged_files import Sentence


class Layout(NamedTuple):
    """How a file of a family looks.

    `suffix` of its name; `write`: a number of rows and a seed to its text, or to texts by their path in a folder;
    `read`: (text, whether what is learned is read) to records, without the places where they stand. `settings`: of a
    `FineTuning` that learns it.
    """

    kind: str
    suffix: str
    write: object
    read: object
    settings: dict


def _texts(count, seed):
    chance = random.Random(seed)
    return [" ".join([*chance.choices(WORDS, k=chance.randint(2, 6)), str(number)]) for number in range(count)]


def _labels(count):
    return [("good", "bad", "worse")[number % 3] for number in range(count)]


def _cells(count, seed, delimiter, labels):
    rows = zip(_texts(count, seed), labels, strict=True)
    return "".join(delimiter.join(row) + "\n" for row in (("text", "label"), *rows))


def _read_csv(text):
    return csv.DictReader(io.StringIO(text, newline=""))


def _read_tsv(text):
    names, *rows = (line.rstrip("\r").split("\t") for line in text.split("\n") if line.rstrip("\r"))
    return [dict(zip([name.strip() for name in names], row, strict=True)) for row in rows]


def _read_lines(text):
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _of_texts(read, *names):
    names = names or ("text",)

    def records(text, labelled):
        return [
            Record(tuple(str(row[n]) for n in names), _label(row["label"]) if labelled else None, "")
            for row in read(text)
        ]

    return records


def _label(value):
    return "|".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def _as_lines(count, seed, of_row):
    return "".join(json.dumps(of_row(n, text)) + "\n" for n, text in enumerate(_texts(count, seed)))


def _sentences(count, seed):
    return [text.split() for text in _texts(count, seed)]


def _tags(words):
    return [TAGS.get(word, "B-SHIP" if word == "ship" else "O") for word in words]


def _write_columns(count, seed, gap="\t"):
    return "\n".join(
        "".join(f"{word}{gap}x{gap}{tag}\n" for word, tag in zip(words, _tags(words), strict=True))
        for words in _sentences(count, seed)
    )


def _read_columns(split):
    def records(text, labelled):
        found, here = [], []
        for line in [*text.split("\n"), ""]:
            if line.strip() and not line.startswith("## "):
                cells = split(line.rstrip("\r"))
                if cells[0] != "-DOCSTART-":
                    here.append((cells[0].strip() or cells[0], cells[-1].strip()))
            elif here:
                words, tags = zip(*here, strict=True)
                joined = any(word.isspace() for word in words)
                found.append(Sentence(words, tags if labelled else (), "", joined))
                here = []
        if any(one.joined for one in found):
            found = [one._replace(joined=True) for one in found]
        return found

    return records


def _write_naver(count, seed):
    return "".join(f"{' '.join(words)}\t{' '.join(_tags(words))}\n" for words in _sentences(count, seed))


def _read_naver(text, labelled):
    rows = [line.rstrip("\r").rpartition("\t") for line in text.split("\n") if line.strip()]
    return [Sentence(tuple(w.split()), tuple(t.split()) if labelled else (), "") for w, _, t in rows]


def _write_klue(count, seed):
    parts = []
    for words in _sentences(count, seed):
        tagged = []
        for word, tag in zip(words, _tags(words), strict=True):
            tagged += [(c, tag if n == 0 or tag == "O" else f"I{tag[1:]}") for n, c in enumerate(word)] + [(" ", "O")]
        parts.append("## of KLUE\n" + "".join(f"{character}\t{tag}\n" for character, tag in tagged[:-1]))
    return "\n".join(parts)


def _read_tagged_json(text, labelled):
    rows = _read_lines(text)
    return [Sentence(tuple(map(str, r["tokens"])), tuple(map(str, r["tags"])) if labelled else (), "") for r in rows]


def _questions(count, seed):
    for number, text in enumerate(_texts(count, seed)):
        words = text.split()
        yield number, text, words[number % len(words)]


def _write_squad(count, seed):
    paragraphs = []
    for number, context, answer in _questions(count, seed):
        lacks = number % 4 == 3
        answers = [] if lacks else [{"text": answer, "answer_start": context.index(answer)}]
        one = {"id": f"q{number}", "question": "the sea", "answers": answers, "is_impossible": lacks}
        paragraphs.append({"context": context, "qas": [one]})
    return json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]})


def _read_squad(text, labelled):
    found = []
    for article in json.loads(text.removeprefix("\ufeff"))["data"]:
        for paragraph in article["paragraphs"]:
            for one in paragraph["qas"]:
                answers = tuple(Answer(a["text"], int(a["answer_start"])) for a in one["answers"]) if labelled else ()
                lacks = labelled and one.get("is_impossible") is True
                found.append(Question(str(one["id"]), one["question"], paragraph["context"], answers, "", lacks))
    return found


def _write_mrqa(count, seed):
    lines = [{"header": {"dataset": "NewsQA"}}]
    for number, context, answer in _questions(count, seed):
        start = context.index(answer)
        found = {"text": answer, "char_spans": [[start, start + len(answer) - 1]], "token_spans": [[0, 0]]}
        asked = {"qid": f"q{number}", "question": "the sea", "answers": [answer], "detected_answers": [found]}
        lines.append({"context": context, "qas": [asked]})
    return "".join(json.dumps(line) + "\n" for line in lines)


def _read_mrqa(text, labelled):
    found = []
    for row in _read_lines(text):
        if "header" in row:
            continue
        for one in row["qas"]:
            answers = []
            for start, end in (span for a in one["detected_answers"] for span in a["char_spans"]) if labelled else ():
                assert 0 <= start <= end < len(row["context"])
                answers.append(Answer(row["context"][start : end + 1], start))
            right = tuple(one["answers"]) if labelled and "answers" in one else ()
            found.append(Question(str(one["qid"]), one["question"], row["context"], tuple(answers), "", right=right))
    return found


def _write_questions(count, seed):
    rows = ((f"q{number}", "the sea", context, answer) for number, context, answer in _questions(count, seed))
    return "".join(",".join(row) + "\n" for row in (("id", "question", "context", "answer"), *rows))


def _read_questions(text, labelled):
    found = []
    for number, row in enumerate(_read_csv(text)):
        answer = (row["answer"] or "").strip() if labelled else ""
        answers = (Answer(answer, row["context"].find(answer)),) if answer else ()
        found.append(Question(row.get("id", str(number)), row["question"], row["context"], answers, ""))
    return found


def _puzzles(count, seed):
    for number, text in enumerate(_texts(count, seed)):
        yield number, text, [f"{word}{number}" for word in ("sea", "was", "man")]


def _race(number, context, choices):
    return {
        "article": context,
        "id": f"{number}.txt",
        "questions": ["It is _ .", "what"],
        "options": [choices, choices[::-1]],
        "answers": ["ABC"[number % 3], "A"],
    }


def _write_race(count, seed):
    return {f"middle/{one[0]}.txt": json.dumps(_race(*one)) for one in _puzzles(count, seed)}


def _read_race(texts, labelled):
    found = []
    for _, text in sorted(texts.items(), key=lambda one: int(Path(one[0]).stem)):
        for row in _read_lines(text):
            both = zip(row["questions"], row["options"], row["answers"], strict=True) if labelled else ()
            both = both or ((q, o, None) for q, o in zip(row["questions"], row["options"], strict=True))
            found += [
                Puzzle(row["article"], q, tuple(o), None if a is None else "ABC".index(a), "") for q, o, a in both
            ]
    return found


def _write_puzzles(count, seed):
    rows = ((context, "what", *choices, choices[n % 3]) for n, context, choices in _puzzles(count, seed))
    return "".join("\t".join(row) + "\n" for row in (("context", "question", "x", "y", "z", "answer"), *rows))


def _read_puzzles(text, labelled):
    found = []
    for row in _read_tsv(text):
        choices = (row["x"], row["y"], row["z"])
        right = choices.index(row["answer"].strip()) if labelled else None
        found.append(Puzzle(row["context"], row["question"], choices, right, ""))
    return found


def _write_options(count, seed):
    puzzles = _puzzles(count, seed)
    rows = ({"context": context, "question": "what", "options": o, "answer": n % 3} for n, context, o in puzzles)
    return "".join(json.dumps(row) + "\n" for row in rows)


def _read_options(text, labelled):
    found = []
    for row in _read_lines(text):
        options, right = tuple(map(str, row["options"])), None
        if labelled:
            answer = str(row["answer"]).strip()
            right = int(answer) if type(row["answer"]) is int else options.index(answer)
            assert 0 <= right < len(options)
        found.append(Puzzle(str(row["context"]), str(row.get("question", "")), options, right, ""))
    return found


_SETS = ("good|new", "", "bad", "new|bad", "good")
_PAIR = {"text": ("first", "second")}
LAYOUTS = {
    "csv": Layout("classification", ".csv", lambda n, s: _cells(n, s, ",", _labels(n)), _of_texts(_read_csv), {}),
    "packed tsv": Layout(
        "classification", ".tsv.gz", lambda n, s: _cells(n, s, "\t", _labels(n)), _of_texts(_read_tsv), {}
    ),
    "pairs": Layout(
        "classification",
        ".jsonl.xz",
        lambda n, s: _as_lines(n, s, lambda i, text: {"first": text, "second": "sea", "label": i % 3}),
        _of_texts(_read_lines, "first", "second"),
        _PAIR,
    ),
    "sets": Layout(
        "multilabel",
        ".jsonl",
        lambda n, s: _as_lines(n, s, lambda i, t: {"text": t, "label": [x for x in _SETS[i % 5].split("|") if x]}),
        _of_texts(_read_lines),
        {},
    ),
    "table of sets": Layout(
        "multilabel",
        ".tsv",
        lambda n, s: _cells(n, s, "\t", [_SETS[i % 5] for i in range(n)]),
        _of_texts(_read_tsv),
        {},
    ),
    "numbers": Layout(
        "regression",
        ".csv",
        lambda n, s: _cells(n, s, ",", [f"{(i * 37) % 11 / 4}" for i in range(n)]),
        _of_texts(_read_csv),
        {},
    ),
    "columns": Layout("tagging", ".conll", _write_columns, _read_columns(lambda line: line.split("\t")), {}),
    "columns of blanks": Layout(
        "tagging", ".txt", lambda n, s: _write_columns(n, s, " "), _read_columns(str.split), {}
    ),
    "characters": Layout("tagging", ".tsv", _write_klue, _read_columns(lambda line: line.split("\t")), {}),
    "lines": Layout("tagging", ".txt.xz", _write_naver, _read_naver, {}),
    "lists": Layout(
        "tagging",
        ".jsonl",
        lambda n, s: _as_lines(n, s, lambda i, text: {"tokens": text.split(), "tags": _tags(text.split())}),
        _read_tagged_json,
        {},
    ),
    "squad": Layout("span", ".json", _write_squad, _read_squad, {}),
    "mrqa": Layout("span", ".jsonl.gz", _write_mrqa, _read_mrqa, {}),
    "questions": Layout("span", ".csv", _write_questions, _read_questions, {}),
    "race": Layout("choice", "", _write_race, _read_race, {}),
    "puzzles": Layout("choice", ".tsv", _write_puzzles, _read_puzzles, {"choices": ("x", "y", "z")}),
    "options": Layout("choice", ".jsonl", _write_options, _read_options, {}),
}
_PACKED = {".gz": gzip, ".xz": lzma}


def write_layout(name: str, path: Path, count: int, seed: int) -> Path:
    """A file, or a folder, at `path` with the layout's suffix behind it."""
    layout = LAYOUTS[name]
    path, text = path.with_name(path.name + layout.suffix), layout.write(count, seed)
    for place, content in text.items() if isinstance(text, dict) else [("", text)]:
        (path / place).parent.mkdir(parents=True, exist_ok=True)
        module, data = _PACKED.get(path.suffix), content.encode()
        (path / place).write_bytes(module.compress(data) if module else data)
    return path


def rows_of(name: str, path: Path, labelled: bool) -> list:
    """The records of a file as another reader finds them."""
    if path.is_dir():
        texts = {str(one.relative_to(path)): one.read_text("utf-8-sig") for one in path.rglob("*.txt")}
        return LAYOUTS[name].read(texts, labelled)
    return LAYOUTS[name].read(_text(path), labelled)


def _text(path):
    module, data = _PACKED.get(path.suffix), path.read_bytes()
    return (module.decompress(data) if module else data).decode("utf-8-sig")


def may_be_sentences(name: str, path: Path) -> bool:
    """Whether what is left of a file of words with tags is so little that nobody can tell it from sentences."""
    return name in ("columns of blanks", "lines") and _text(path).count("\n") < 5
