"""A small file of each family, and the command's words for it."""

import json

from telling_words import sentences, squad, tagged

from electra_tf.finetuning.published import PUBLISHED

FAMILIES = ("classification", "tagging", "span")
SMALL = {
    "FineTuning.least_updates": 0,
    "FineTuning.epochs": 8.0,
    "FineTuning.peak": 0.005,
    "FineTuning.length": 32,
    "Recipe.batch_size": 16,
    "Recipe.log_every": 5,
}


def words_of(family, folder) -> list[str]:
    """Writes train and dev files to a folder; the words are without checkpoint and run."""
    folder.mkdir(exist_ok=True)
    files = {}
    for seed, (part, count) in enumerate({"train": 240, "dev": 60}.items()):
        files[part] = folder / f"{part}.{'json' if family == 'span' else 'txt' if family == 'tagging' else 'csv'}"
        if family == "classification":
            text = "text,label\n" + "".join(f"{text},{label}\n" for text, label in sentences(count, seed))
        elif family == "tagging":
            rows = (zip(*both, strict=True) for both in tagged(count, seed, 40))
            text = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in row) for row in rows)
        else:
            text = json.dumps(squad(count, seed, 0.2, 40))
        files[part].write_text(text)
    words = ["--task", family, "--train", str(files["train"]), "--dev", str(files["dev"])]
    settings = SMALL | ({"FineTuning.stride": 8, "FineTuning.question_length": 8} if family == "span" else {})
    return words + [word for name, value in settings.items() for word in ("--gin_param", f"{name} = {value}")]


def made_files(task, folder, train=48, dev=16):
    """Files of a published task in their documented layout, below `folder`."""
    if task.startswith("race"):
        level = task.removeprefix("race_")
        for split, count in (("train", train), ("dev", dev)):
            (folder / split / level).mkdir(parents=True)
            for number, (text, label) in enumerate(sentences(count, len(split))):
                passage = {"article": text, "id": f"{level}{number}.txt", "questions": ["It is _ ."]}
                passage |= {"options": [["good", "bad", "his", "man"]], "answers": ["AB"[label == "bad"]]}
                (folder / split / level / f"{number}.txt").write_text(json.dumps(passage))
        return
    spec = PUBLISHED[task]
    for seed, (name, count) in enumerate({spec.train: train, spec.dev: dev}.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if spec.kind == "span":
            path.write_text(_mrqa(count, seed))
        elif spec.kind == "tagging":
            rows = (zip(*both, strict=True) for both in tagged(count, seed))
            path.write_text("\n".join("".join(f"{word} NN B-NP {tag}\n" for word, tag in row) for row in rows))
        else:
            path.write_text(_glue(task, count, seed, "train" in name))
    for name in spec.others:
        (folder / f"{name}.tsv").write_text(_glue(task, dev, 3, False))


def _mrqa(count, seed):
    lines = [json.dumps({"header": {"dataset": "NewsQA", "split": "train"}})]
    for article in squad(count, seed)["data"]:
        for number, paragraph in enumerate(article["paragraphs"]):
            ((question,), (answer,)) = paragraph["qas"], paragraph["qas"][0]["answers"]
            start, text = answer["answer_start"], answer["text"]
            found = {"text": text, "char_spans": [[start, start + len(text) - 1]], "token_spans": [[0, 0]]}
            asked = {"qid": f"{seed}-{number}", "question": question["question"], "answers": [text]}
            lines.append(json.dumps({"context": paragraph["context"], "qas": [asked | {"detected_answers": [found]}]}))
    return "\n".join(lines) + "\n"


_COLUMNS = {
    "qqp": "id qid1 qid2 question1 question2 is_duplicate",
    "mnli": "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse "
    "sentence1 sentence2 label1 gold_label",
    "qnli": "index question sentence label",
    "wnli": "index sentence1 sentence2 label",
}
_CLASSES = {"mnli": ("entailment", "contradiction"), "qnli": ("entailment", "not_entailment")}


def _glue(task, count, seed, is_train):
    names = _COLUMNS[task].split()
    if task == "mnli" and not is_train:
        names[11:11] = [f"label{number}" for number in range(2, 6)]
    spec, lines = PUBLISHED[task], ["\t".join(names)]
    for number, (text, label) in enumerate(sentences(count, seed)):
        row = dict.fromkeys(names, str(number))
        row |= dict(zip(spec.text, (text, 'the "sea'), strict=True))
        row[spec.label] = _CLASSES.get(task, ("1", "0"))[label == "bad"]
        lines.append("\t".join(row.values()))
    lines.insert(2, "half a line")
    return "\n".join(lines) + "\n"
