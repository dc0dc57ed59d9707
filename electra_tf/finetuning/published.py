"""The published tasks, as data: files, columns, labels, and the metric that is reported.

Sources: the readers of google-research/electra, google-research/albert and monologg/KoELECTRA. Their files have
tabs between cells, and a quotation mark is a character as any other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from electra_tf.errors import ConfigError, InputError

_PACKED = ("", ".xz", ".gz")
_CHOICES = ("options",)
# The columns of each family's files, where nothing else is said.
COLUMNS = {
    "classification": (("text",), "label"),
    "multilabel": (("text",), "label"),
    "regression": (("text",), "label"),
    "tagging": ((), None),
    "span": (("question", "context"), "answer"),
    "choice": (("context", "question"), "answer"),
}


class Published(NamedTuple):
    """A task.

    Attributes:
        text, label: its columns. dev: its file of dev rows, if there is one. train: that of training rows.
        names: of the columns, where the files have no first line of names.
        kind, metric: see `FineTuning`. others: further dev files, which choose nothing.
        folder: what the folder is usually called.
    """

    folder: str
    text: tuple[str, ...] | None
    label: str | None
    dev: str | None = "dev.tsv"
    train: str = "train.tsv"
    names: tuple[str, ...] | None = None
    kind: str = "classification"
    metric: str = "accuracy"
    others: tuple[str, ...] = ()


_PAIR = ("sentence1", "sentence2")
PUBLISHED = {
    "cola": Published(
        "CoLA", ("sentence",), "label", names=("source", "label", "judged", "sentence"), metric="matthews"
    ),
    "sst2": Published("SST-2", ("sentence",), "label"),
    "mrpc": Published("MRPC", ("#1 String", "#2 String"), "Quality"),
    "stsb": Published("STS-B", _PAIR, "score", kind="regression", metric="spearman"),
    "qqp": Published("QQP", ("question1", "question2"), "is_duplicate"),
    "mnli": Published("MNLI", _PAIR, "gold_label", "dev_matched.tsv", others=("dev_mismatched",)),
    "qnli": Published("QNLI", ("question", "sentence"), "label"),
    "rte": Published("RTE", _PAIR, "label"),
    "wnli": Published("WNLI", _PAIR, "label"),
    "nsmc": Published("nsmc", ("document",), "label", None, "ratings_train.txt"),
    "paws_ko": Published("paws", _PAIR, "label", "dev_2k.tsv", "translated_train.tsv"),
    "kornli": Published("kornli", _PAIR, "gold_label", "xnli.dev.ko.tsv", "multinli.train.ko.tsv"),
    "korsts": Published("korsts", _PAIR, "score", "sts-dev.tsv", "sts-train.tsv", kind="regression", metric="spearman"),
    "question_pair": Published("question-pair", ("question1", "question2"), "is_duplicate"),
    "chunk": Published("conll2000", None, None, None, "train.txt", kind="tagging", metric="f1"),
    "conll2003": Published("conll2003", None, None, "valid.txt", "train.txt", kind="tagging", metric="f1"),
    "wnut17": Published("wnut17", None, None, "dev.txt", "train.txt", kind="tagging", metric="f1"),
    "naver_ner": Published("naver-ner", None, None, None, kind="tagging", metric="f1"),
    "klue_ner": Published(
        "klue-ner", None, None, "klue-ner-v1.1_dev.tsv", "klue-ner-v1.1_train.tsv", kind="tagging", metric="f1"
    ),
    "squad1": Published("SQuAD", None, None, "dev-v1.1.json", "train-v1.1.json", kind="span", metric="f1"),
    "squad2": Published("SQuAD", None, None, "dev-v2.0.json", "train-v2.0.json", kind="span", metric="best_f1"),
    "korquad": Published(
        "KorQuAD", None, None, "KorQuAD_v1.0_dev.json", "KorQuAD_v1.0_train.json", kind="span", metric="f1"
    ),
    **{
        task: Published("MRQA", None, None, f"dev/{name}.jsonl", f"train/{name}.jsonl", kind="span", metric="f1")
        for task, name in (
            ("newsqa", "NewsQA"),
            ("naturalqs", "NaturalQuestionsShort"),
            ("triviaqa", "TriviaQA-web"),
            ("searchqa", "SearchQA"),
        )
    },
    "race": Published("RACE", None, None, "dev", "train", kind="choice"),
    "race_middle": Published("RACE", None, None, "dev/middle", "train/middle", kind="choice"),
    "race_high": Published("RACE", None, None, "dev/high", "train/high", kind="choice"),
    "hate_speech": Published("hate-speech", ("comment",), "hate", None, metric="macro_f1"),
}


def _there(folder, name):
    paths = (Path(folder) / f"{name}{ending}" for ending in _PACKED)
    return next((path for path in paths if path.exists()), None)


def find(folder, name: str) -> Path:
    """A file of a task's folder, perhaps packed. Raises: `InputError` naming what is there."""
    folder = Path(folder)
    if path := _there(folder, name):
        return path
    here = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise InputError(
        f"there is no {name}",
        where=folder,
        expected=f"{name}, perhaps with .gz or .xz behind it, beside {', '.join(here) or 'nothing'}",
        remedy="name the folder that the task's own archive unpacks to, with --data",
    )


class Reading(NamedTuple):
    """How the files of a run are read: columns, names where the files have none, whether they are quoted, whether they
    are published ones and not a user's own, whether a user named the columns of texts, and which files; `others` are
    further dev files, by name.
    """

    kind: str
    metric: str | None
    text: tuple[str, ...]
    label: str | None
    choices: tuple[str, ...]
    names: tuple[str, ...] | None
    quoted: bool | None
    is_published: bool
    named: bool
    train: Path | None
    dev: Path | None
    others: Mapping[str, Path] = {}


def reading_of(settings) -> Reading:
    """Of a `FineTuning`: of a published task, or of a user's own files. Raises: `InputError`, `ConfigError`."""
    c, spec = settings, PUBLISHED.get(settings.task)
    if spec is None:
        if not c.train:
            raise ConfigError("there is no training file", where="FineTuning.train", expected="--train FILE")
        return columns_of(vars(c))._replace(train=Path(c.train), dev=Path(c.dev) if c.dev else None)
    if not (c.data or c.train):
        raise ConfigError(
            f"there is no data for {c.task}",
            where="FineTuning.data",
            expected=f"--data FOLDER, such as {spec.folder}, with {spec.train} in it",
        )
    train = Path(c.train) if c.train else find(c.data, spec.train)
    dev = Path(c.dev) if c.dev else find(c.data, spec.dev) if spec.dev and c.data else None
    others = {name: _there(c.data, f"{name}.tsv") for name in spec.others if c.data}
    others = {name: path for name, path in others.items() if path}
    return columns_of(vars(c))._replace(train=train, dev=dev, others=others)


def columns_of(settings: Mapping) -> Reading:
    """How files are read for a run with these fields of a `FineTuning`, or those that are there."""
    task, spec = settings.get("task", "classification"), PUBLISHED.get(settings.get("task"))
    kind = spec.kind if spec else task
    (text, label), names, quoted, metric = COLUMNS[kind], None, None, settings.get("select")
    own_text, own_label = settings.get("text"), settings.get("label")
    is_published = spec is not None and not (own_text or own_label)
    if spec:
        text, label, metric = spec.text or text, spec.label or label, metric or spec.metric
        if is_published:  # else the file is the user's own
            names, quoted = spec.names, False
    text, label, choices = own_text or text, own_label or label, settings.get("choices") or _CHOICES
    named = bool(own_text)
    return Reading(kind, metric, tuple(text), label, tuple(choices), names, quoted, is_published, named, None, None)
