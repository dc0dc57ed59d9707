"""What GLUE's server takes: a zip of a table for every task, with an answer to every row of its test file."""

import zipfile
from collections.abc import Sequence
from typing import NamedTuple

from electra_tf.checkpoints.containers.output import output_file
from electra_tf.errors import ConfigError
from electra_tf.finetuning.averaging import open_predictor
from electra_tf.finetuning.predictor import tasks_of
from electra_tf.finetuning.published import PUBLISHED, find
from electra_tf.finetuning.records import read_file

_DIAGNOSTIC = ("AX", "diagnostic/diagnostic.tsv")
# Of each task the tables, and the files in GLUE's folder whose rows they answer. AX has no training rows of its own.
TABLES = {
    "cola": (("CoLA", "CoLA/test.tsv"),),
    "sst2": (("SST-2", "SST-2/test.tsv"),),
    "mrpc": (("MRPC", "MRPC/test.tsv"),),
    "stsb": (("STS-B", "STS-B/test.tsv"),),
    "qqp": (("QQP", "QQP/test.tsv"),),
    "mnli": (("MNLI-m", "MNLI/test_matched.tsv"), ("MNLI-mm", "MNLI/test_mismatched.tsv"), _DIAGNOSTIC),
    "qnli": (("QNLI", "QNLI/test.tsv"),),
    "rte": (("RTE", "RTE/test.tsv"),),
    "wnli": (("WNLI", "WNLI/test.tsv"),),
}
_OWN_FILES = "name the folder of GLUE's own files with --data"
_TIME = (1980, 1, 1, 0, 0, 0)  # the same answers are the same bytes


class Submission(NamedTuple):
    """`rows` of each table that was written; `missing`, the tables that the server wants, too."""

    rows: dict[str, int]
    missing: tuple[str, ...]


def write_submission(models: Sequence, data, output) -> Submission:
    """Answers to the test files of the tasks that the models were fine-tuned on.

    Args:
        models: runs of `finetune` on tasks of GLUE, one or several; what answers to the same task is averaged.
        data: GLUE's folder, with a folder for every task. output: the zip, a path or an `Output`.

    Raises: `ConfigError` for a run of another task, `InputError` for a file that is not there, `OutputError`.
    """
    of_task = {}
    for model in models:
        for task in tasks_of(model) or (None,):
            if task not in TABLES:
                raise ConfigError(
                    f"a run of the task {task!r}" if task else "no run of `finetune`",
                    where=model,
                    expected=f"a run of some of {', '.join(TABLES)}",
                    remedy="name the --model_dir of a run of `electra-tf finetune --task` with one of these",
                )
            of_task.setdefault(task, []).append(model)
    files = {task: [(name, find(data, file)) for name, file in TABLES[task]] for task in of_task}
    tables = {}
    with output_file(output, 1) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for task, several in of_task.items():
            predictor = open_predictor(several, task=task)
            for name, path in files[task]:
                records = read_file(path, PUBLISHED[task].text, None, quoted=False, remedy=_OWN_FILES).records
                tables[name] = labels = [_written(answer.label, task) for answer in predictor(records)]
                lines = ["index\tprediction", *(f"{number}\t{label}" for number, label in enumerate(labels))]
                archive.writestr(zipfile.ZipInfo(f"{name}.tsv", _TIME), "".join(f"{line}\n" for line in lines))
    wanted = [name for several in TABLES.values() for name, _ in several]
    return Submission(
        {name: len(labels) for name, labels in tables.items()}, tuple(name for name in wanted if name not in tables)
    )


def _written(label, task) -> str:
    return f"{min(5.0, max(0.0, float(label))):.4f}" if task == "stsb" else label
