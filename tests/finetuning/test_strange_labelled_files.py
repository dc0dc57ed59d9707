"""Labelled files, and runs of fine-tuning, that were damaged or made to do harm: see `strange_bytes`.

200 inputs; with EVERY_INPUT=1, 2,000.
"""

import json
import os
import shutil

import pytest
from in_process import run_command
from small_tasks import FAMILIES, words_of
from strange_bytes import SEED, chance_of, everything, peak_memory, strange, typed

COUNT = 2000 if os.environ.get("EVERY_INPUT") else 200


@pytest.fixture(scope="module")
def sources(electra, tmp_path_factory):
    """For each family a folder with its `files` and a `run` that has learned them."""
    root = tmp_path_factory.mktemp("strange")
    for family in FAMILIES:
        words = words_of(family, root / family)
        words += ["--gin_param", "Recipe.compiler = 'graph'"]
        done = run_command("finetune", *words, "--init_checkpoint", electra, "--model_dir", root / family / "run")
        assert done.returncode == 0, done.stderr
    (root / "classification/lines.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": "good"}) + "\n" for text in ("the sea", "his man", "a day"))
    )
    return root


def check(number, sources, electra, home):
    """One strange file through one command."""
    chance = chance_of(f"labelled {number}")
    family = chance.choice(FAMILIES)
    folder, output = home / "given", home / "output"
    shutil.copytree(sources / family, folder)
    output.mkdir()
    files = sorted(path for path in folder.iterdir() if path.is_file())
    of_run = sorted(path for path in (folder / "run").rglob("*") if path.is_file())
    file = chance.choice(files if chance.random() < 0.7 else of_run)
    lines = file.suffix == ".jsonl"
    file.write_bytes(strange(chance, file.read_bytes(), file.suffix == ".json"))
    labelled = file if file in files else chance.choice(files)
    predict = ["predict", "--input", folder / "run", "--file", labelled, "--output", output / "answers.jsonl"]
    evaluate = ["evaluate", "--input", folder / "run", "--file", labelled]
    words = chance.choice([predict, predict, evaluate, ["inspect", folder / "run"]])
    told = f"STRANGE_SEED={SEED}, number {number}: {file.relative_to(home)}, {' '.join(map(str, words[:5]))}"
    before = everything(folder)
    done = typed(words, told)
    assert everything(folder) == before, told
    assert (output / "answers.jsonl").exists() == (words is predict and done.returncode == 0), told
    if words is predict and done.returncode == 0:
        answers = [json.loads(line) for line in (output / "answers.jsonl").read_text("utf-8").splitlines()]
        assert answers, told
        if lines and labelled is file:
            given = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
            assert len(answers) == len(given), told


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_strange_labelled_files(part, sources, electra, tmp_path, monkeypatch):
    before = peak_memory(begin=True)
    monkeypatch.chdir(tmp_path)
    print(f"STRANGE_SEED={SEED}")
    wrong = []
    for number in range(part, COUNT, 2):
        (home := tmp_path / str(number)).mkdir()
        try:
            check(number, sources, electra, home)
        except AssertionError as error:
            wrong.append(str(error))
        shutil.rmtree(home)
    assert not wrong, f"{len(wrong)} of {COUNT // 2}\n" + "\n\n".join(wrong)
    assert not list(tmp_path.iterdir())
    assert peak_memory() - before < 2
