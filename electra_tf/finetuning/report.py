"""What is kept of a comparison of seeds: tables of all runs, and a look at the best one's answers to the dev rows."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from electra_tf.files import write_whole
from electra_tf.finetuning import metrics
from electra_tf.finetuning.answer_metrics import exact_match, exact_match_korean
from electra_tf.finetuning.classification import names_of
from electra_tf.finetuning.predictor import Predictor
from electra_tf.finetuning.tags import scores_by_type
from electra_tf.startup import let_in

FOLDER = "report"
_MISTAKES = 20
_BINS = 10


def write_tables(model_dir: Path, results: dict) -> None:
    """`results.tsv` and `results.md`: a line for every seed."""
    runs = results["runs"]
    names = [name for name in runs[0]["dev"] if all(name in run["dev"] for run in runs)]
    others = [split for split in runs[0] if split == "test" or split.startswith("dev_")]
    columns = [("dev", name) for name in names]
    columns += [(split, name) for split in others for name in runs[0][split] if name in names]
    head = ["seed", "step", "failed", *(name if split == "dev" else f"{split} {name}" for split, name in columns)]
    rows = [
        [run["seed"], run["step"], "yes" if run["failed"] else "no"]
        + [_number(run[split][name]) for split, name in columns]
        for run in runs
    ]
    write_whole(model_dir / "results.tsv", _table(head, rows))
    metric, spread = results["metric"], results.get("deviation")
    said = (
        f"{results['failed']} of {len(runs)} runs failed; the commonest answer alone gets {results['commonest']:.4f}."
    )
    if "median" in results:
        spread = "" if spread is None else f", standard deviation {spread:.4f}"
        best = f"best {results['best']:.4f} (seed {results['best_seed']})"
        middle = f"median {results['median']:.4f}, mean {results['mean']:.4f}"
        said = f"{metric} on the dev rows: {middle}{spread}, {best}; {said}"
        if results["failed"]:
            said += f" With those that failed the mean is {results['mean_of_all']:.4f}."
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    write_whole(model_dir / "results.md", "\n".join([f"# {results['task']}", "", said, "", *lines, ""]))


def write_report(folder: Path, predictor: Predictor, records: Sequence) -> None:
    """A folder with `confusion.tsv`, `classes.tsv`, `reliability.png` and `mistakes.tsv`, those that there are.

    Args:
        folder: is made. predictor: of the best run. records: the dev rows, with what is right.
    """
    folder.mkdir(exist_ok=True, parents=True)
    answers = list(predictor(records))
    judged = list(_JUDGED[predictor.task.kind](records, answers))
    wrong = sorted((one for one in judged if one[2] != one[3]), key=lambda one: -(one[4] or 0.0))[:_MISTAKES]
    head = ["where", "text", "right", "answer", "probability"]
    write_whole(folder / "mistakes.tsv", _table(head, [[*one[:4], _number(one[4] or 0.0)] for one in wrong]))
    if predictor.task.kind in ("classification", "tagging"):
        _write_classes(folder, predictor.task, judged, records, answers)
    if predictor.task.kind == "multilabel":
        _write_labels(folder, predictor.task, records, answers)
    if predictor.task.kind in ("classification", "tagging", "choice"):
        shares = np.array([one[4] for one in judged if one[4] is not None])
        right = np.array([one[2] == one[3] for one in judged if one[4] is not None])
        _draw_reliability(folder / "reliability.png", shares, right)


def _write_classes(folder, task, judged, records, answers):
    labels = list(task.labels)
    number = {label: n for n, label in enumerate(labels)}
    known = [one for one in judged if one[2] in number and one[3] in number]
    counts = metrics.confusion([number[one[2]] for one in known], [number[one[3]] for one in known], len(labels))
    rows = [[label, *map(int, row)] for label, row in zip(labels, counts, strict=True)]
    write_whole(folder / "confusion.tsv", _table(["right", *labels], rows))
    if task.kind == "tagging" and task.scheme.name != "none":
        sides = [record.counted(record.tags) for record in records], []
        for record, said in zip(records, answers, strict=True):
            sides[1].append(record.counted([one.label for one in said]))
        table = scores_by_type(*map(task.entities, sides))
        rows = [[kind, *map(_number, (s["precision"], s["recall"], s["f1"])), s["count"]] for kind, s in table.items()]
    else:
        scores = metrics.precision_recall_f1(counts)
        rows = [
            [label, *map(_number, own), int(counts[n].sum())]
            for n, (label, own) in enumerate(zip(labels, scores, strict=True))
        ]
    write_whole(folder / "classes.tsv", _table(["class", "precision", "recall", "f1", "rows"], rows))


def _write_labels(folder, task, records, answers):
    """Each label by itself, which is there or not."""
    right = np.array([[label in names_of(record) for label in task.labels] for record in records])
    shares = np.array([[answer.all[label] for label in task.labels] for answer in answers])
    rows = []
    for number, label in enumerate(task.labels):
        counts = metrics.confusion(right[:, number].astype(int), (shares[:, number] > 0.5).astype(int), 2)
        rows.append([label, *map(_number, metrics.precision_recall_f1(counts)[1]), int(right[:, number].sum())])
    write_whole(folder / "classes.tsv", _table(["class", "precision", "recall", "f1", "rows"], rows))
    _draw_reliability(folder / "reliability.png", shares.ravel(), right.ravel())


def _draw_reliability(path, shares, right):
    let_in("matplotlib")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    place = np.minimum((shares * _BINS).astype(int), _BINS - 1)
    bins = [n for n in range(_BINS) if (place == n).any()]
    figure, axis = pyplot.subplots(figsize=(4.5, 4.5), constrained_layout=True)
    axis.plot([0, 1], [0, 1], color="gray", linewidth=1)
    axis.plot([shares[place == n].mean() for n in bins], [right[place == n].mean() for n in bins], "o-")
    axis.set(xlabel="probability of the answer", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    axis.set_title(f"{len(shares):,} answers")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=110, format="png", metadata={"Software": None})
    pyplot.close(figure)
    write_whole(path, picture.getvalue())


# (where, text, right, answer, probability) of all that is judged.


def _of_texts(records, answers):
    for record, answer in zip(records, answers, strict=True):
        yield record.where, " | ".join(record.texts), record.label, answer.label, answer.probability


def _of_sets(records, answers):
    for record, answer in zip(records, answers, strict=True):
        right, said = ("|".join(sorted(names_of(one))) for one in (record, answer))
        share = 1 - max(answer.all.values()) if answer.probability is None else answer.probability  # that none is there
        yield record.where, " | ".join(record.texts), right, said, share


def _of_numbers(records, answers):
    """Numbers are never quite right: the farthest are shown, and how far they are stands in the last column."""
    apart = [abs(float(record.label) - float(answer.label)) for record, answer in zip(records, answers, strict=True)]
    for record, answer, distance in zip(records, answers, apart, strict=True):
        yield record.where, " | ".join(record.texts), record.label, answer.label, distance


def _of_words(records, answers):
    for record, said in zip(records, answers, strict=True):
        words = list(record.words)
        for place, tag, answer in record.counted(zip(range(len(words)), record.tags, said, strict=True)):
            around = [*words[max(0, place - 5) : place], f"[{words[place]}]", *words[place + 1 : place + 6]]
            yield record.where, " ".join(around), tag, answer.label, answer.probability


def _of_answers(records, answers):
    """An answer that is right but for its case, articles and punctuation is shown as the right one."""
    for record, answer in zip(records, answers, strict=True):
        golds = record.golds or [""]
        is_right = any(exact_match(gold, answer.label) or exact_match_korean(gold, answer.label) for gold in golds)
        right = answer.label if is_right else golds[0]
        yield record.where, record.question, right, answer.label, answer.probability


def _of_choices(records, answers):
    for record, answer in zip(records, answers, strict=True):
        yield record.where, record.question, record.choices[record.right], answer.label, answer.probability


_JUDGED = {
    "classification": _of_texts,
    "multilabel": _of_sets,
    "regression": _of_numbers,
    "tagging": _of_words,
    "span": _of_answers,
    "choice": _of_choices,
}


def _number(value) -> str:
    return f"{value:.6g}"


def _table(head, rows) -> str:
    return "".join("\t".join(" ".join(str(cell).split()) for cell in row) + "\n" for row in (head, *rows))
