"""Every command and program of the guides, typed from the first line to the last, on small files of their names."""

import json
import random
import re
import subprocess
from pathlib import Path

import pytest
from in_process import run_command
from telling_words import TELLING, WORDS, sentences

from electra_tf.checkpoints.convert import convert

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
SHORT = ["FineTuning.least_updates = 0", "FineTuning.epochs = 5.0", "FineTuning.peak = 0.005"]
SHORT += ["Recipe.batch_size = 16", "Recipe.compiler = 'graph'"]

pytestmark = pytest.mark.slow


def lines(name, rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def table(name, head, rows):
    Path(name).write_text("".join(",".join(row) + "\n" for row in [head, *rows]), encoding="utf-8")


def of_sentiment():
    for name, count in (("reviews", 160), ("test", 30), ("new", 10)):
        table(f"{name}.csv", ("review", "stars"), sentences(count, seed=count))


def of_entities():
    chance = random.Random(1)
    for name in ("train.conll", "dev.conll", "new.conll"):
        words = ((word, "B-SEA" if word == TELLING["good"] else "O") for word in [*WORDS, *TELLING.values()])
        tags = dict(words)
        texts = [chance.choices(sorted(tags), k=8) for _ in range(80)]
        Path(name).write_text("".join("".join(f"{w} {tags[w]}\n" for w in text) + "\n" for text in texts))


def of_intents():
    for name, count in (("intents", 160), ("new", 10)):
        table(f"{name}.csv", ("text", "label"), sentences(count, seed=count))


def of_reranking():
    rows = [
        {"query": "the sea", "passage": text, "relevance": int(label == "good")} for text, label in sentences(160, 3)
    ]
    lines("pairs.jsonl", rows)
    lines("candidates.jsonl", [{"query": row["query"], "passage": row["passage"]} for row in rows[:8]])


def of_summaries():
    several = [[text.capitalize() + "." for text, _ in sentences(6, seed)] for seed in range(20)]
    texts = [{"text": " ".join(parts), "summary": parts[0]} for parts in several]
    Path("texts.json").write_text(json.dumps(texts), encoding="utf-8")


def of_answers():
    chance, places = random.Random(2), ["the island", "his house", "the sea"]

    def rows(count, part):
        for number in range(count):
            place = chance.choice(places)
            context = f"{part} {number} the captain said {' '.join(chance.choices(WORDS, k=6))} went to {place} ."
            yield {"question": "where", "context": context, "answer": place if chance.random() < 0.8 else ""}

    for name, count in (("questions", 120), ("dev", 20), ("new", 6)):
        lines(f"{name}.jsonl", rows(count, name))
    Path("SQuAD").mkdir()
    for split, count in (("train", 60), ("dev", 12)):
        paragraphs = []
        for number, row in enumerate(rows(count, split)):
            start = row["context"].rindex(row["answer"]) if row["answer"] else 0
            answers = [{"text": row["answer"], "answer_start": start}] if row["answer"] else []
            question = {"id": f"{split}{number}", "question": row["question"], "answers": answers}
            question["is_impossible"] = not answers
            paragraphs.append({"context": row["context"], "qas": [question]})
        content = {"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}
        Path(f"SQuAD/{split}-v2.0.json").write_text(json.dumps(content))


FILES = {name.removeprefix("of_"): make for name, make in globals().copy().items() if name.startswith("of_")}


def commands(block):
    """Of a block, each as a shell takes it apart."""
    for line in block.replace("\\\n", " ").splitlines():
        if line.startswith("electra-tf "):
            taken = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True)
            yield taken.stdout.split("\0")[1:-1]


def test_every_guide_is_followed():
    assert {path.stem for path in GUIDES.glob("*.md")} == FILES.keys()


@pytest.mark.parametrize("guide", FILES)
def test_a_guide_can_be_followed_to_its_last_line(guide, electra, tmp_path, monkeypatch, capsys):
    pytest.importorskip("transformers")
    if guide == "reranking":
        pytest.importorskip("sentence_transformers")
    monkeypatch.chdir(tmp_path)
    convert(electra, "hf/discriminator")
    FILES[guide]()
    blocks, done = re.findall(r"```(\w*)\n(.*?)```", (GUIDES / f"{guide}.md").read_text(), re.DOTALL), 0
    for language, block in blocks:
        if language == "python":
            exec(compile(block, f"{guide}.md", "exec"), {})
            done += 1
        for words in commands(block):
            more = [word for param in SHORT for word in ("--gin_param", param)] if words[0] == "finetune" else []
            result = run_command(*words, *more)
            assert result.returncode == 0, f"{words}\n{result.stderr}"
            done += 1
    assert done > 2
