"""What is fine-tuned, as data. gin fills this class."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from electra_tf.errors import ConfigError
from electra_tf.finetuning.published import PUBLISHED, columns_of
from electra_tf.optimizers.schedules import KINDS
from electra_tf.settings import check_numbers

# Fields that make a difference to the families named alone.
_OF_QUESTIONS = dict.fromkeys(("stride", "beam", "answer_length"), ("span",)) | {"question_length": ("span", "choice")}
FAMILIES = ("classification", "multilabel", "regression", "tagging", "span", "choice")
TASKS = (*FAMILIES, *PUBLISHED)
HEADS = ("transformers", "google")
LONG = ("truncate", "head_tail", "windows")
_OF_TEXTS = ("classification", "multilabel", "regression")
# What of the originals can be had by its name, although it is wrong or odd.
COMPAT = {
    "sum_loss": "ELECTRA: the loss is a sum over the batch, so that nearly every step is clipped",
    "decay_gap": "ELECTRA: the top layer already has the layer decay squared",
    "answerable_windows": "ELECTRA: windows without the answer are taught as answerable, at their first token",
    "first_keeps_odd": "ELECTRA, ALBERT: of two texts that are both cut the first keeps the odd token",
    "both_orders": "ELECTRA, for MRPC and STS-B: training pairs are seen in the other order, too",
    "whole_words": "ELECTRA, KoELECTRA: answers with unknown or decomposed letters are given with their whole words",
    "cut_sentences": "ELECTRA: of a sentence with too many words and pieces together the first words alone are seen",
    "google_entities": "ELECTRA: entities of tags that fit no scheme, see finetuning/tags.py",
}
# The families in which one makes a difference; those that are not listed do so in all.
_COMPAT_OF = {
    "answerable_windows": ("span",),
    "whole_words": ("span",),
    "first_keeps_odd": _OF_TEXTS,
    "both_orders": _OF_TEXTS,
    "cut_sentences": ("tagging",),
    "google_entities": ("tagging",),
}


@dataclass(frozen=True)
class FineTuning:
    """A task on files of labelled records.

    Attributes:
        task: a family: `classification`, one of several classes; `multilabel`, any of them; `regression`, a number;
            `tagging`, a tag for every word; `span`, an answer in a text; `choice`, one of several texts; or a published
            task (`published`); or several of these, parted by commas, that are learned at once on one encoder.
        data: the folder of a published task's files, which then need no names and columns; of several tasks, the folder
            in which theirs are.
        train, dev, test: files (see `records`, `tagged_files`, `question_files`, `choice_files`). Without `dev` a tenth
            of the training file is held out.
        text: columns of the texts; None: the family's usual ones. label: the column of what is learned.
        choices: of `choice`, the columns of the choices, or one of lists.
        head: `transformers`, whose classes then open the model, or `google`, as its own code has it.
        length: tokens of a text or pair at most; sentences of words and texts with answers are seen in windows of it.
            None: 128; 384 for answers, 512 for choices.
        long: what becomes of longer texts that are classified: `truncate`, they are cut at their end; `head_tail`, a
            quarter of what is seen is their beginning, the rest their end; `windows`, all is seen in windows that
            overlap by half, and answered by their mean.
        beam: of answers, how many of the likeliest starts, and of the ends of each, are looked at.
        stride: of answers, by how many tokens the windows of a text are apart. question_length: tokens of a question at
            most; None: 64, but never half a row; of a question with its choice 128. answer_length: of an answer.
        epochs: how often each training row is seen at least; `least_updates` may make it more, `most_epochs` bounds it.
            None: 3; 2 for answers.
        schedule: see `Schedule.kind`. warmup: share of the steps.
        peak: the highest learning rate. layer_decay: what the rate of a layer is of that above it. None: by the
            size of the model.
        dropout: in the encoder; None: 0.1 in an ELECTRA, whatever it was pre-trained with, in an ALBERT what its
            checkpoint says.
        label_scale: what numbers are divided by to be learned, as the originals have it; None: they are learned as
            distances from their mean, in standard deviations.
        class_weights: `none`; `balanced`: the rarer a class, the more a row of it counts; or a table by name. A row of
            several labels counts as that of its labels which counts most.
        select: the metric by which the best checkpoint is kept; None: the task's usual one.
        average: of how many of the best checkpoints the weights are averaged, which is used where it is not worse than
            the best one on the dev rows.
        held_out: share of the training file that is held out, drawn by `held_out_seed`, of each class alike.
        compat: names of `COMPAT`, for published numbers that depend on a fault of the original.
    """

    task: str = "classification"
    data: str | None = None
    train: str | None = None
    dev: str | None = None
    test: str | None = None
    text: tuple[str, ...] | None = None
    label: str | None = None
    choices: tuple[str, ...] | None = None
    head: str = "transformers"
    length: int | None = None
    long: str = "truncate"
    stride: int = 128
    question_length: int | None = None
    answer_length: int = 30
    beam: int = 20
    epochs: float | None = None
    least_updates: int = 1500
    most_epochs: float = 20.0
    schedule: str = "linear"
    warmup: float = 0.1
    peak: float | None = None
    layer_decay: float | None = None
    dropout: float | None = None
    label_scale: float | None = None
    class_weights: str | Mapping[str, float] = "none"
    select: str | None = None
    average: int = 1
    held_out: float = 0.1
    held_out_seed: int = 0
    compat: tuple[str, ...] = ()

    def __post_init__(self):
        check_numbers(self)
        object.__setattr__(self, "task", ",".join(name.strip() for name in self.task.split(",")))
        for name in ("data", "train", "dev", "test"):
            if isinstance(getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(getattr(self, name)))
        for name in ("text", "choices", "compat"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        if len(self.tasks) > 1:
            self._check_several()
            return
        for name, allowed in (("task", TASKS), ("head", HEADS), ("long", LONG), ("schedule", KINDS)):
            if getattr(self, name) not in allowed:
                self._reject(name, f"one of {', '.join(allowed)}")
        self._check_compat({self.kind})
        if isinstance(self.class_weights, str) and self.class_weights not in ("none", "balanced"):
            self._reject("class_weights", "'none', 'balanced', or a table such as {'bad': 2.0}")
        if isinstance(self.class_weights, Mapping) and not all(
            isinstance(weight, int | float) and 1e-6 <= weight <= 1e6 for weight in self.class_weights.values()
        ):
            self._reject("class_weights", "weights from 1e-6 to 1e6 by the names of labels")
        kind = self.kind
        if self.head != "transformers" and kind == "choice":
            self._reject("head", "'transformers' for choices: ELECTRA's code has no head, that of ALBERT's is the same")
        if self.data is not None and self.task not in PUBLISHED:
            self._reject("data", "None but for a published task; own files are named by train, dev and test")
        if self.class_weights != "none" and kind in ("regression", "span", "choice"):
            self._reject("class_weights", f"'none' for a {kind}, which has no classes")
        if self.long != "truncate" and (kind not in _OF_TEXTS or len(columns_of(vars(self)).text) > 1):
            self._reject("long", "'truncate' but for single texts that are classified")
        if self.choices is not None and kind != "choice":
            self._reject("choices", "None but for the task 'choice'")
        self._check_columns(kind)
        for name in ("most_epochs", "stride", "answer_length", "beam", "average"):
            if getattr(self, name) <= 0:
                self._reject(name, "more than 0")
        for name in ("least_updates", "held_out_seed"):
            if getattr(self, name) < 0:
                self._reject(name, "0 or more")
        if self.label_scale is not None and kind != "regression":
            self._reject("label_scale", "None but for regression")
        for name in ("peak", "layer_decay", "question_length", "epochs", "label_scale"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                self._reject(name, "more than 0, or None")
        self._check_questions({kind})
        if self.dropout is not None and not 0 <= self.dropout < 1:
            self._reject("dropout", "a share below 1, or None")
        if not 0 <= self.warmup < 1:
            self._reject("warmup", "a share of the steps, below 1")
        if not 0 < self.held_out < 1:
            self._reject("held_out", "a share between 0 and 1")
        if self.length is not None and self.length < 3:
            self._reject("length", "at least 3: [CLS], a token, [SEP]")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, mostly one."""
        return tuple(self.task.split(","))

    def of_task(self, name: str) -> "FineTuning":
        """The same for one of several tasks, with what of the originals makes a difference to it."""
        kind, folder = PUBLISHED[name].kind, str(Path(self.data) / PUBLISHED[name].folder)
        compat = tuple(one for one in self.compat if kind in _COMPAT_OF.get(one, FAMILIES))
        others = {field: getattr(type(self), field) for field, kinds in _OF_QUESTIONS.items() if kind not in kinds}
        return dataclasses.replace(self, task=name, data=folder, compat=compat, **others)

    @property
    def kind(self) -> str:
        """The family."""
        return PUBLISHED[self.task].kind if self.task in PUBLISHED else self.task

    @property
    def tokens(self) -> int:
        """`length`, or the family's usual one."""
        return self.length or {"span": 384, "choice": 512}.get(self.kind, 128)

    @property
    def passes(self) -> float:
        """`epochs`, or the family's usual ones."""
        return self.epochs or (2.0 if self.kind == "span" else 3.0)

    def _check_several(self):
        """Raises `ConfigError` where not each of several tasks by itself could be learned so."""
        together = [name for name in PUBLISHED if PUBLISHED[name].kind != "choice"]
        if len(set(self.tasks)) != len(self.tasks) or not {*self.tasks} <= {*together}:
            self._reject("task", f"different tasks that are learned together: {', '.join(together)}")
        if self.data is None:
            self._reject("data", "--data FOLDER, the folder in which the tasks' folders are")
        for name in ("train", "dev", "test", "text", "label", "select"):
            if getattr(self, name) is not None:
                self._reject(name, "None for several tasks, whose files and columns are the published ones")
        kinds = {PUBLISHED[name].kind for name in self.tasks}
        self._check_compat(kinds)
        self._check_questions(kinds)
        for name in self.tasks:
            self.of_task(name)

    def _check_compat(self, kinds):
        """Raises `ConfigError` for a name that is none of `COMPAT`, or makes no difference to any of some families."""
        if unknown := set(self.compat) - set(COMPAT):
            self._reject("compat", f"some of {', '.join(COMPAT)}; there is no {', '.join(sorted(unknown))}")
        for name in self.compat:
            families = _COMPAT_OF.get(name, FAMILIES)
            if not kinds & {*families}:
                self._reject("compat", f"{name} for {', '.join(families)} alone; learned is {', '.join(sorted(kinds))}")

    def _check_questions(self, kinds):
        for name, own in _OF_QUESTIONS.items():
            usual = getattr(type(self), name)
            if getattr(self, name) != usual and not kinds & {*own}:
                self._reject(name, f"{usual}: it does nothing but for {' and '.join(own)}")

    def _check_columns(self, kind):
        most = {"tagging": (1,), "span": (2,)}.get(kind, (1, 2))
        if self.text is not None and len(self.text) not in most:
            counts = {(1,): "one column of words", (2,): "two columns, of questions and of texts"}
            self._reject("text", counts.get(most, "one column of texts, or two for pairs"))
        reading = columns_of(vars(self))
        names = [
            *reading.text,
            *([reading.label] if reading.label else []),
            *(reading.choices if kind == "choice" else ()),
        ]
        if len(set(names)) != len(names):
            self._reject(
                "text", f"columns that differ from each other and from the label's; they are {', '.join(names)}"
            )

    def _reject(self, name, expected):
        raise ConfigError(f"{name} is {getattr(self, name)!r}", where="FineTuning", expected=expected)
