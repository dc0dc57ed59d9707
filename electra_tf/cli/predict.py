"""`electra-tf predict`: labels and probabilities of texts, by a fine-tuned model, or by several averaged."""

import sys
from itertools import chain, tee
from pathlib import Path

from absl import flags

from electra_tf.errors import ConfigError, InputError, as_json, shown
from electra_tf.finetuning.tagged_files import words_of

DESCRIPTION = (
    "Answers to texts with a fine-tuned model: those on the command line, those of a file, or the lines of standard "
    "input (pairs with a tab between), in their order, as columns parted by tabs, or as lines of JSON."
)
EXAMPLE = """
electra-tf predict --input runs/reviews 'Never again.' 'A joy.'
electra-tf predict --input runs/reviews --file new.csv --text review --output predictions.tsv
electra-tf predict --input runs/reviews/seed-1 --input runs/reviews/seed-2 --file new.csv --output predictions.jsonl
"""
POSITIONAL = True


def define_flags() -> None:
    flags.DEFINE_multi_string(
        "input", None, "A run of `finetune`, or a fine-tuned checkpoint of any format; several are averaged."
    )
    flags.DEFINE_string("vocab", None, "Its tokenizer, instead of the one beside it.")
    flags.DEFINE_string("task", None, "One of the tasks, where several were learned at once.")
    flags.DEFINE_string("file", None, "Texts: .csv, .tsv or .jsonl.")
    flags.DEFINE_list("text", None, "The column of the texts, or two columns for pairs; by default as it was trained.")
    flags.DEFINE_list("choices", None, "Of the task choice: the columns of the answers, or that of a list of them.")
    flags.DEFINE_string("output", None, "Where the answers go, whole or not at all; by default standard output.")
    flags.DEFINE_boolean("overwrite", False, "Replace a file at --output that was not written here, or was changed.")
    flags.DEFINE_boolean("all", False, "The probabilities of all labels.")
    flags.DEFINE_boolean("json", False, "Lines of JSON, as also where --output ends in .jsonl.")
    flags.mark_flag_as_required("input")


def run(values, positional) -> int:
    from tqdm import tqdm

    from electra_tf.checkpoints.containers.output import Output, output_file
    from electra_tf.finetuning.averaging import open_predictor

    if positional and values.file:
        raise ConfigError("texts on the command line, and --file", expected="one of them")
    if values.file and values.output and Path(values.output).exists() and Path(values.file).samefile(values.output):
        raise ConfigError("the output is the file that is read", where=values.output, expected="another --output")
    predictor = open_predictor(values.input, values.vocab, values.task)
    if values.file:
        file = predictor.read(values.file, values.text, labelled=False, choices=values.choices)
        print(f"{shown(values.file)}: {file.read_as}", file=sys.stderr)
        records = file.records
    else:
        kind, in_pairs = predictor.task.kind, predictor.in_pairs
        records = (_given(one, kind, in_pairs) for one in positional or _lines_of_input())
    count, records = len(records) if values.file else None, iter(records)
    if (one := next(records, None)) is None:
        raise InputError(
            "there is nothing to answer to",
            where=values.file or "the command line",
            expected="texts, --file, or lines of standard input",
        )
    asked, told = tee(chain([one], records))
    lines = _LINES.get(predictor.task.kind, _of_labels)
    if values.json or Path(values.output or "").suffix.lower() == ".jsonl":
        lines = _of_json
    answered = lines(predictor, zip(told, predictor(asked), strict=True), values.all)
    if not values.output:
        for line in answered:
            print(line if lines is _of_json else shown(line))
        return 0
    output = Output(Path(values.output), values.overwrite)
    with output_file(output, 1) as aside, aside.open("w", encoding="utf-8") as file:
        # A bar, on a terminal alone.
        for line in tqdm(answered, total=count, unit=" lines", disable=None, file=sys.stderr, dynamic_ncols=True):
            file.write(f"{line}\n")
    return 0


def _lines_of_input():
    """Lines of standard input, which is UTF-8 whatever the terminal is."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(
                f"byte {line[error.start]:#04x} is not UTF-8",
                where=f"standard input, line {number}",
                expected="text in UTF-8",
                remedy="pass it through `iconv -f LATIN1 -t UTF-8`, or from what it is",
            ) from error


def _given(line, kind, in_pairs):
    """What is asked by a text on the command line, or a line."""
    from electra_tf.finetuning.question_files import Question

    if kind == "choice":
        raise ConfigError(
            "a text, for a model that chooses among answers",
            where=line[:60],
            expected="--file: contexts, questions and choices",
        )
    if in_pairs is None and line.count("\t") == 1:  # as pairs are written; a model of strangers takes both
        return tuple(line.split("\t"))
    if not in_pairs:
        return line
    if line.count("\t") != 1:
        raise InputError("the model answers to pairs", where=line[:60], expected="two texts with a tab between them")
    first, second = line.split("\t")
    return Question("", first, second, (), line[:60]) if kind == "span" else (first, second)


def _of_labels(predictor, answered, every):
    """A line a record: label, probability, and those of all labels."""
    numbers = predictor.task.kind == "regression"
    names = map(_cell, predictor.labels) if every else ()
    yield "\t".join(["label", *([] if numbers else ["probability"]), *names])
    for _, answer in answered:
        cells = [_cell(answer.label), *([] if numbers else [_share(answer.probability)])]
        yield "\t".join([*cells, *(_share(share) for share in answer.all.values() if every)])


def _of_choices(predictor, answered, every):
    """A line a question: the choice, its probability, and those of all its choices in their order."""
    heading = ["label", "probability"]
    for number, (record, answer) in enumerate(answered):
        if not number:
            more = range(1, len(record.choices) + 1) if every else ()
            yield "\t".join([*heading, *(f"choice {place}" for place in more)])
        more = [_share(answer.all[choice]) for choice in record.choices] if every else []
        yield "\t".join([_cell(answer.label), _share(answer.probability), *more])


def _of_words(predictor, answered, every):
    """A line a word: word, label, probability; a blank line behind each sentence."""
    names = map(_cell, predictor.labels) if every else ()
    yield "\t".join(["word", "label", "probability", *names])
    for record, answers in answered:
        for word, answer in zip(_words(predictor, record), answers, strict=True):
            more = [_share(answer.all.get(name)) for name in predictor.labels] if every else []
            yield "\t".join([_cell(word), answer.label, _share(answer.probability), *more])
        yield ""


def _of_answers(predictor, answered, every):
    """A line a question: its id, the answer (empty where there is none) and its probability; or every likely one."""
    yield "\t".join(["id", "label", "probability"])
    for record, answer in answered:
        pairs = [(answer.label, answer.probability)]
        if every:  # "" is none of the texts
            pairs = [*(pairs if answer.label not in answer.all else []), *answer.all.items()]
        for text, share in pairs:
            yield "\t".join([_cell(record.id), _cell(text), _share(share)])


_LINES = {"tagging": _of_words, "span": _of_answers, "choice": _of_choices}


def _of_json(predictor, answered, every):
    """A line a record: what the columns above hold, by their names; of a sentence the list of its words."""
    kind = predictor.task.kind
    for record, answer in answered:
        if kind == "tagging":
            words = zip(_words(predictor, record), answer, strict=True)
            found = {"words": [{"word": word, **_fields(one, kind, every)} for word, one in words]}
        else:
            found = ({"id": record.id} if kind == "span" else {}) | _fields(answer, kind, every)
        yield as_json(found)


def _fields(answer, kind, every):
    if kind == "regression":
        return {"label": float(answer.label)}
    share = None if answer.probability is None else round(answer.probability, 6)
    shares = {"all": {name: round(one, 6) for name, one in answer.all.items()}} if every else {}
    label = [name for name in answer.label.split("|") if name] if kind == "multilabel" else answer.label
    return {"label": label, "probability": share, **shares}


def _words(predictor, record):
    return words_of(record, predictor.task.joined).words if isinstance(record, str) else record.words


def _share(probability) -> str:
    return "" if probability is None else f"{probability:.6f}"


def _cell(text) -> str:
    return " ".join(text.replace("\t", " ").splitlines())
