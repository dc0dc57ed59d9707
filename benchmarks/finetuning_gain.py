"""What pre-training is worth: tasks learned by a pre-trained electra_tiny, by the same network anew, by words counted.

    python benchmarks/finetuning_gain.py --shared ../shared --work runs/gain [--tasks rte,wnut17] [--seeds 0,1,2,3,4]

First a vocabulary, data and an electra_tiny for each language (64 rows of 128 tokens an update). Then every task, both
ways at once, one thread each: a share of its training file chooses the checkpoint, and the published dev file (that of
CoNLL-2000: test) is read once, at the end. Words are counted by TF-IDF of words and pairs of words, for pairs of texts
of both and of the words they share, under logistic regression (of numbers ridge regression); tags are each word's most
frequent one. A run that is finished is not done again, and one that was stopped goes on. Writes finetuning_gain.md and
.json of what is finished to docs/results.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from electra_tf.finetuning import metrics
from electra_tf.finetuning.families import read_records
from electra_tf.finetuning.published import PUBLISHED, columns_of
from electra_tf.finetuning.tags import entities, entity_scores


class Data(NamedTuple):
    """Files of a task below `tasks`; epochs where three would be long; updates at least, for the sake of minutes fewer
    than the usual 1,500; and which share of the training rows chooses the checkpoint.
    """

    train: str
    test: str
    epochs: float = 3.0
    language: str = "english"
    updates: int = 600
    held_out: float = 0.1


TASKS = {
    "sst2": Data("glue/SST-2/train.tsv.xz", "glue/SST-2/dev.tsv", 0.25),
    "mrpc": Data("glue/MRPC/train.tsv.xz", "glue/MRPC/dev.tsv", updates=1500),
    "cola": Data("glue/CoLA/train.tsv.xz", "glue/CoLA/dev.tsv"),
    "rte": Data("glue/RTE/train.tsv.xz", "glue/RTE/dev.tsv"),
    "stsb": Data("glue/STS-B/train.tsv.xz", "glue/STS-B/dev.tsv.xz"),
    "chunk": Data("conll2000/train.txt.xz", "conll2000/test.txt.xz"),
    "wnut17": Data("wnut17/train.txt.xz", "wnut17/dev.txt"),
    "nsmc": Data("nsmc/ratings_train.txt.xz", "nsmc/ratings_test.txt.xz", 0.1, "korean", held_out=0.02),
}
CORPORA = {"english": ("english/corpus/*", (), 4000), "korean": ("korean/*", ("--nolower_case",), 2000)}
WAYS = ("pre-trained", "from scratch")


def electra_tf(*arguments) -> str:
    """A command; what it prints."""
    words = [str(word) for word in arguments]
    print("$ electra-tf", *words, file=sys.stderr, flush=True)
    return subprocess.run(
        [sys.executable, "-m", "electra_tf", *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def pretrained(language: str, shared: Path, work: Path) -> tuple[Path, Path]:
    """(run, vocabulary) of a language, made where they are not there."""
    (files, options, steps), folder = CORPORA[language], work / language
    text, vocab, data = shared / "data" / files, folder / "vocab", folder / "data"
    if not vocab.exists():
        electra_tf("vocab", "--input", text, "--size", 8000, "--output", vocab, *options)
    if not data.exists():
        electra_tf("data", "--input", text, "--vocab", vocab, "--length", 128, "--held_out", 0.01, "--output", data)
    params = [f"Recipe.steps = {steps}", "Recipe.eval_every = 1000", "Recipe.checkpoint_every = 500"]
    params = [word for param in params for word in ("--gin_param", param)]
    electra_tf("pretrain", "--gin_file", "electra_tiny", *params, "--data", data, "--model_dir", folder / "run")
    return folder / "run", vocab


def by_counting(task: str, shared: Path) -> float:
    """The score of words counted."""
    data, reading = TASKS[task], columns_of({"task": task})
    train, test = (read_records(reading, shared / "data/tasks" / file).records for file in (data.train, data.test))
    if PUBLISHED[task].kind == "tagging":
        return _most_frequent_tags(train, test)
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV

    counts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    counts.fit([text for record in train for text in record.texts])

    def seen(records):
        parts = [counts.transform([record.texts[place] for record in records]) for place in range(len(train[0].texts))]
        return hstack([*parts, parts[0].minimum(parts[1])]).tocsr() if len(parts) == 2 else parts[0]

    if PUBLISHED[task].kind == "regression":
        model = GridSearchCV(Ridge(solver="sparse_cg"), {"alpha": [0.1, 1, 10]}, cv=3)
        model.fit(seen(train), [float(record.label) for record in train])
        return metrics.spearman([float(record.label) for record in test], model.predict(seen(test)))
    labels = sorted({record.label for record in train})
    number = {label: place for place, label in enumerate(labels)}
    model = GridSearchCV(LogisticRegression(max_iter=500), {"C": [1, 10, 100]}, cv=3)
    model.fit(seen(train), [number[record.label] for record in train])
    right, said = [number[record.label] for record in test], model.predict(seen(test))
    if PUBLISHED[task].metric == "matthews":
        return metrics.matthews(right, said, len(labels))
    return metrics.accuracy(right, said)


def _most_frequent_tags(train, test) -> float:
    """F1 of entities, of each word's most frequent tag, of unknown ones O."""
    counts = {}
    for sentence in train:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts.setdefault(word, Counter())[tag] += 1
    best = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    said = [set(entities([best.get(word, "O") for word in sentence.words], False)) for sentence in test]
    return entity_scores([set(entities(list(sentence.tags), False)) for sentence in test], said)["f1"]


def learned(task: str, shared: Path, work: Path, seeds: str) -> dict:
    """The results of all seeds, by the way."""
    data = TASKS[task]
    run, vocab = pretrained(data.language, shared, work)
    starts = (("--init_checkpoint", run), ("--from_scratch", "electra_tiny", "--vocab", vocab))
    train, test = (shared / "data/tasks" / file for file in (data.train, data.test))
    words = ("--task", task, "--train", train, "--test", test, "--gin_param", f"FineTuning.epochs = {data.epochs}")
    params = (f"FineTuning.least_updates = {data.updates}", f"FineTuning.held_out = {data.held_out}")
    words += tuple(word for param in params for word in ("--gin_param", param))
    words += ("--seeds", seeds, "--threads", 1, "--model_dir")
    folders = {way: work / "runs" / task / way.replace(" ", "_") for way in WAYS}
    lives = []
    for folder, start in zip(folders.values(), starts, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder.with_suffix(".log"), "w") as log:
            command = [sys.executable, "-m", "electra_tf", "finetune", *map(str, (*words, folder, *start))]
            lives.append(subprocess.Popen(command, stdout=log, stderr=log))
    for way, life in zip(WAYS, lives, strict=True):
        if life.wait() and not (folders[way] / "results.json").exists():  # which is there also where all seeds failed
            sys.exit(folders[way].with_suffix(".log").read_text()[-2000:])
    first = folders[WAYS[0]] / f"seed-{seeds.split(',')[0]}" / "run.json"
    updates = json.loads(first.read_text())["settings"]["Recipe"]["steps"]
    return {"updates": updates} | {
        way: json.loads((folder / "results.json").read_text()) for way, folder in folders.items()
    }


def pretraining(run: Path) -> str:
    """How long it took and how far it came, in words."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    recipe = json.loads((run / "run.json").read_text())["settings"]["Recipe"]
    tokens = recipe["batch_size"] * 128
    step = seconds = 0
    for line in lines:
        if line["kind"] == "train":
            seconds += (line["step"] - step) * tokens / line["wall"]["tokens_per_second"]
            step, loss = line["step"], line["mlm_loss"]
    minutes, millions = seconds / 60, step * tokens / 1e6
    return f"{step:,} steps, {millions:.1f} million tokens, {minutes:.0f} minutes, masked-LM loss {loss:.2f}"


def table(found: dict, starts: dict[str, str]) -> str:
    """In Markdown."""
    head = [
        "task",
        "updates",
        "metric",
        *(f"{way}, median" for way in WAYS),
        *(f"{way}, all seeds" for way in WAYS),
        "counted",
    ]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head))]
    for task, row in found.items():
        runs = {way: [run["test"][row["metric"]] for run in row[way]["runs"]] for way in WAYS}
        medians = [f"{100 * statistics.median(runs[way]):.1f}" for way in WAYS]
        every = [", ".join(f"{100 * value:.1f}" for value in runs[way]) for way in WAYS]
        lines.append(
            "| "
            + " | ".join([task, f"{row['updates']:,}", row["metric"], *medians, *every, f"{100 * row['counted']:.1f}"])
            + " |"
        )
    told = [f"- {language}: {one}" for language, one in starts.items()]
    return "\n".join(["# What pre-training is worth at a tiny scale", "", "Pre-trained:", "", *told, "", *lines, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--work", type=Path, default=Path("runs/gain"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    kept = options.output / "finetuning_gain.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for task in options.tasks.split(","):
        metric = PUBLISHED[task].metric
        row = {"metric": "f1" if PUBLISHED[task].kind == "tagging" else metric}
        row |= learned(task, options.shared, options.work, options.seeds)
        found[task] = row | {"counted": by_counting(task, options.shared)}
        runs = {language: options.work / language / "run" for language in CORPORA}
        starts = {language: pretraining(run) for language, run in runs.items() if (run / "metrics.jsonl").exists()}
        kept.write_text(json.dumps(found, indent=1) + "\n")
        (options.output / "finetuning_gain.md").write_text(table(found, starts))
        print(table(found, starts))


if __name__ == "__main__":
    main()
