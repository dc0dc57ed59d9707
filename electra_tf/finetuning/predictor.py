"""Answers to new texts by a fine-tuned model, by the code that evaluates."""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.checkpoints.loaded_model import OWN, LoadedModel
from electra_tf.checkpoints.reading import read_model
from electra_tf.checkpoints.run_json import RUN, read_description
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.finetuning.evaluation import judged_by, scores
from electra_tf.finetuning.families import read_records, task_of_model
from electra_tf.finetuning.inference import outputs_of, traced
from electra_tf.finetuning.objective import outputs_of_model
from electra_tf.finetuning.published import columns_of
from electra_tf.finetuning.records import Record
from electra_tf.finetuning.tagged_files import Sentence, words_of
from electra_tf.finetuning.task import probabilities
from electra_tf.text.tokenizer import Tokenizer

_BATCH = 32
_AT_ONCE = 4096  # records that are sorted by length together


class Answer(NamedTuple):
    """To one record: the label, or a number as text, or a text; its probability; and those of all labels or texts; of a
    number none.
    """

    label: str
    probability: float | None
    all: dict[str, float]


class Predictor:
    """A fine-tuned model that answers.

    Args:
        model: with the head of a task. tokenizer: its own, or the folder or file it is in.
        length: tokens of a row at most; None: as it was fine-tuned, or as many as the model has positions, at most 512.

    Attributes:
        settings: fields of the `FineTuning` by which its files are read, of strangers' models the family alone.
    """

    def __init__(self, model: LoadedModel, tokenizer=None, length: int | None = None):
        self._take(model)
        where = tokenizer if tokenizer is not None else model.tokenizer
        if where is None:
            raise CheckpointError(
                "the model has no tokenizer with it",
                where=model.name,
                expected="a vocabulary beside the weights",
                remedy="name it with --vocab",
            )
        self.tokenizer = where if isinstance(where, Tokenizer) else Tokenizer.from_pretrained(where)
        length = length or self.settings.get("length") or 512
        self.length = min(length, model.config.max_position_embeddings)
        self.labels = self.task.labels
        self._model = model.build()
        outputs = partial(outputs_of_model, self._model, self.task)
        self._outputs, self._judge = traced(outputs), traced(judged_by(outputs, self.task))

    def _take(self, model):
        own = model.fields.get(OWN, {})
        self.task = task_of_model(model, own.get("settings", {}), own.get("answers", {}))
        self.settings = {"task": self.task.kind, **own.get("settings", {})}

    @classmethod
    def open(cls, path, vocab=None, length: int | None = None, task: str | None = None) -> "Predictor":
        """Of a run of `finetune` (its best seed), of one seed's, or of any fine-tuned checkpoint.

        `task`: one of those that were learned at once. Raises: `ConfigError` where it is none of them, or not said.
        """
        return cls(_read(path, task), vocab, length)

    def turn_to(self, path, task: str | None = None) -> None:
        """Answers as another run of the same task from now on; its graphs stay."""
        model = _read(path, task)
        self._take(model)
        model.assign(self._model)

    @property
    def in_pairs(self) -> bool | None:
        """Whether it was fine-tuned on pairs of texts; None: a model of strangers does not tell."""
        if "length" not in self.settings and self.task.kind in ("classification", "multilabel", "regression"):
            return None
        return self.task.kind != "tagging" and len(columns_of(self.settings).text) == 2

    def read(
        self,
        path,
        text: tuple[str, ...] | None = None,
        label: str | None = None,
        labelled: bool = True,
        choices: tuple[str, ...] | None = None,
    ):
        """A file, read as its training file was; see `families.read_records`.

        `text`, `label`, `choices`: other columns than the training file's. `labelled`: whether the label is read.
        Raises: `InputError`; `ConfigError` where it was not fine-tuned on as many columns.
        """
        usual = columns_of(self.settings).text
        if choices and self.task.kind != "choice":
            raise ConfigError(
                f"--choices names {', '.join(choices)}", expected="none: this model does not choose among answers"
            )
        own = text and "length" in self.settings and self.task.kind not in ("tagging", "choice")
        if own and len(text) != len(usual):
            raise ConfigError(
                f"--text names {len(text)} column{'s' * (len(text) > 1)}: {', '.join(text)}",
                expected=f"{len(usual)}, as it was fine-tuned on {', '.join(usual)}",
            )
        given = {"text": text, "label": label, "choices": choices}
        given = {name: value for name, value in given.items() if value}
        reading = columns_of(self.settings | given)
        names = [*reading.text, *([reading.label] if labelled and reading.label else [])]
        if len(set(names)) != len(names):
            raise ConfigError(
                f"the columns are {', '.join(names)}",
                where="--text and --label",
                expected="a column for each text, and another one for the label",
            )
        return read_records(reading, path, labelled, joined=self.task.kind == "tagging" and self.task.joined)

    def __call__(self, records: Iterable) -> Iterator:
        """Answers in the order of the records: texts, pairs, or what the family's files hold.

        Of a sentence the answer is a list, an `Answer` for every word. Records are taken a few thousand at a time.
        Raises: `ConfigError` for one text in the place of a list, and for pairs where it learned from single texts.
        """
        if isinstance(records, str):
            raise ConfigError(
                "the records are one text",
                where=records[:60],
                expected="a list of texts, or of pairs",
                remedy="put it into a list: [text]",
            )
        answer, records = _ANSWERS[self.task.kind], map(self._record, records)
        while some := list(islice(records, _AT_ONCE)):
            split = self.task.split(some, self.tokenizer, self.length, learned=False)
            yield from answer(self.task, self.outputs(split), split)

    def outputs(self, split) -> list:
        """What the model gives for every row of a split."""
        return outputs_of(self._outputs, split.rows, _BATCH)

    def score(self, records: Sequence) -> dict[str, float]:
        """Metrics on labelled records. Raises: `InputError` for a label that the model does not know.

        Where some questions have no answer, they count also for a model that was not trained on such: at its threshold
        (0 where none is known), and at the best one.
        """
        task = self.task
        if task.kind == "span" and not task.may_lack and not all(record.golds for record in records):
            task = replace(task, may_lack=True)
        return scores(task, self._judge, task.split(records, self.tokenizer, self.length), _BATCH)

    def _record(self, one):
        """A text or a pair as a record; a record as it is."""
        if not isinstance(one, str) and hasattr(one, "where"):
            return one
        if self.task.kind == "tagging":
            return words_of(one, self.task.joined) if isinstance(one, str) else Sentence(tuple(one), (), "")
        texts = (one,) if isinstance(one, str) else tuple(one)
        usual = columns_of(self.settings).text
        if "length" in self.settings and len(texts) != len(usual):
            raise ConfigError(
                f"{len(texts)} text{'s' * (len(texts) > 1)} at once",
                where=texts[0][:60],
                expected=f"{len(usual)}, as it was fine-tuned on {', '.join(usual)}",
                remedy="give it a tuple of two" if len(usual) > 1 else "give it each text by itself",
            )
        return Record(texts, None, "")


def _of_classes(task, outputs, split):
    for logits in task.of_records(outputs, split):
        shares = probabilities(logits)
        best = int(shares.argmax())
        shares = dict(zip(task.labels, map(float, shares), strict=True))
        yield Answer(task.labels[best], shares[task.labels[best]], shares)


def _of_sets(task, outputs, split):
    for logits in task.of_records(outputs, split):
        shares = dict(zip(task.labels, (1 / (1 + np.exp(-np.float64(logits)))).tolist(), strict=True))
        given = [label for label, share in shares.items() if share > 0.5]
        yield Answer("|".join(given), min((shares[label] for label in given), default=None), shares)


def _of_numbers(task, outputs, split):
    for logits in task.of_records(outputs, split):
        yield Answer(as_written(logits[0]), None, {})


def _of_words(task, outputs, split):
    for units, logits in zip(split.units, task.of_units(outputs, split), strict=True):
        shares = probabilities(logits) if len(logits) else logits
        tags = task.tags_of(units, logits.argmax(-1))
        answers = []
        for tag, unit in zip(tags, units.of_words, strict=True):
            of_all = {} if unit < 0 else dict(zip(task.labels, map(float, shares[unit]), strict=True))
            answers.append(Answer(tag, max(of_all.values(), default=None), of_all))
        yield answers


def _of_texts(task, outputs, split):
    for found in task.found(outputs, split):
        texts = dict(zip(found.texts, found.probabilities, strict=True))
        lacks = task.may_lack and found.no_answer > task.threshold
        yield Answer("" if lacks else found.texts[0], None if lacks else found.probabilities[0], texts)


def _of_choices(task, outputs, split):
    for logits, record in zip(outputs, split.records, strict=True):
        shares = probabilities(logits)
        best = int(shares.argmax())
        of_all = dict(zip(record.choices, map(float, shares), strict=True))  # two that are alike have one share
        yield Answer(record.choices[best], float(shares[best]), of_all)


def as_written(number) -> str:
    """A number with all digits that a float32 has."""
    number = np.float32(number)
    return np.format_float_positional(number, trim="-") if 1e-4 <= abs(number) < 1e16 else str(number)


_ANSWERS = {
    "classification": _of_classes,
    "multilabel": _of_sets,
    "regression": _of_numbers,
    "tagging": _of_words,
    "span": _of_texts,
    "choice": _of_choices,
}


def chosen_run(path: Path) -> Path:
    """The run of the best seed in a folder of `finetune`; other paths as they are."""
    results = path / "results.json"
    if results.is_file():
        try:
            best = path / f"seed-{int(json.loads(results.read_text('utf-8'))['best_seed'])}"
            best.stat()  # it may have been removed
            return best
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise CheckpointError(
                f"it does not tell which run is the best: {error}",
                where=results,
                expected="results.json as finetune wrote it, with best_seed",
                remedy=f"name a run of one seed: --input {shlex.quote(str(path / 'seed-0'))}",
            ) from error
    seeds = sorted(path.glob("seed-*/run.json"))
    if len(seeds) > 1:
        raise CheckpointError(
            f"{results.name} is not there, which tells the best of {len(seeds)} runs",
            where=path,
            expected="a comparison of seeds that has ended",
            remedy=f"let the command that began it end; or name a run of one seed: --input "
            f"{shlex.quote(str(seeds[0].parent))}",
        )
    return seeds[0].parent if seeds else path


def _read(path, task) -> LoadedModel:
    several = tasks_of(path)
    if (task or len(several) > 1) and several and task not in several:
        raise ConfigError(
            f"there is no task {task!r}" if task else "the run is of several tasks",
            where=path,
            expected=f"one of {', '.join(several)}",
            remedy=f"name it: --task {several[0]}",
        )
    if task and not several:
        raise ConfigError(
            f"--task {task}",
            where=path,
            expected="none: the model is no run of several tasks",
            remedy="leave --task out",
        )
    return read_model(chosen_run(Path(path)), task=task if len(several) > 1 else None)


def tasks_of(model) -> tuple[str, ...]:
    """What a run of `finetune` was trained on; of other checkpoints nothing."""
    run = chosen_run(Path(model))
    settings = read_description(run).get("settings", {}) if (run / RUN).is_file() else {}
    task = settings.get("FineTuning", {}).get("task")
    return tuple(task.split(",")) if task else ()
