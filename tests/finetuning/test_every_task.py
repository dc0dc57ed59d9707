"""Published tasks from their files to their reports, for an ELECTRA and an ALBERT.

Files of those whose data are not at hand are made. A few of the others are among the slow tests; all of them, about a
quarter of an hour on two cores:

    EVERY_TASK=1 .venv/bin/python -m pytest tests/finetuning/test_every_task.py -n 2
"""

import io
import json
import lzma
import os
import tarfile

import pytest
from small_tasks import made_files

from electra_tf.errors import TrainingError
from electra_tf.finetuning.published import PUBLISHED
from electra_tf.finetuning.run import finetune
from electra_tf.finetuning.settings import FineTuning
from electra_tf.models.presets import PRESETS, Preset
from electra_tf.text.wordpiece_normalization import WordPieceSettings
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer
from electra_tf.text.wordpiece_vocabulary import train_vocabulary
from electra_tf.training.recipe import Recipe

# By task: its folder, and files that are not where they are published.
AT_HAND = {
    "cola": ("glue/CoLA", {}),
    "sst2": ("glue/SST-2", {}),
    "mrpc": ("glue/MRPC", {}),
    "stsb": ("glue/STS-B", {}),
    "rte": ("glue/RTE", {}),
    "chunk": ("conll2000", {"test": "test.txt.xz"}),
    "wnut17": ("wnut17", {"test": "test.txt.xz"}),
    "squad1": ("squad-v1", {}),
    "squad2": ("squad-v2", {}),
    "race": ("race", {}),
    "nsmc": ("nsmc", {"test": "ratings_test.txt.xz"}),
    "paws_ko": ("paws", {"train": "test_2k.tsv.xz"}),
    "kornli": ("kornli", {"train": "xnli.test.ko.tsv.xz"}),
    "korsts": ("korsts", {}),
    "question_pair": ("question-pair", {}),
    "hate_speech": ("hate-speech", {"test": "val.tsv"}),
    "naver_ner": ("naver-ner-synthetic", {}),
    "klue_ner": ("klue-ner", {"train": "klue-ner-v1.1_dev.tsv.xz"}),
    "korquad": ("korquad", {"train": "KorQuAD_v1.0_dev.json.xz"}),
}
KOREAN = {"nsmc", "paws_ko", "kornli", "korsts", "question_pair", "hate_speech", "naver_ner", "klue_ner", "korquad"}
ALL = [(task, family) for task in AT_HAND for family in ("electra", "albert")]
FEW = [("cola", "albert"), ("stsb", "electra"), ("chunk", "electra"), ("squad2", "electra"), ("race", "albert")]
FEW += [("naver_ner", "albert"), ("hate_speech", "electra")]
MADE = ("qqp", "mnli", "qnli", "wnli", "conll2003", "newsqa", "naturalqs", "triviaqa", "searchqa")
MADE += ("race_middle", "race_high")
SIZES = {"embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 64, "max_position_embeddings": 160}


@pytest.fixture(scope="session")
def korean_vocab(shared, tmp_path_factory):
    folder, settings = tmp_path_factory.mktemp("korean"), WordPieceSettings(lower_case=False, strip_accents=False)
    text = lzma.decompress((shared / "data/korean/reviews-00.txt.xz").read_bytes()).decode().splitlines()[:20000]
    WordPieceTokenizer(train_vocabulary(text, 6000, settings)[0], settings).save(folder)
    return folder


def small(family, monkeypatch):
    encoder = PRESETS["electra_small" if family == "electra" else "albert_base_v2"].encoder
    monkeypatch.setitem(PRESETS, "small", Preset(encoder.replace(**SIZES)))


def tuned(settings, folder, vocab):
    """(results, log), where all runs may have failed after so few steps."""
    recipe, log = Recipe(batch_size=16, compiler="graph"), io.StringIO()
    try:
        finetune(settings, folder, from_scratch="small", vocab=vocab, recipe=recipe, stream=log)
    except TrainingError as error:
        assert "none is better than the commonest answer" in str(error)
    assert "unknown: " in log.getvalue() and (folder / "report/mistakes.tsv").stat().st_size > 40
    return json.loads((folder / "results.json").read_text()), log.getvalue()


def asked(task):
    """Short windows for questions."""
    short = {"span": {"question_length": 24, "stride": 32}, "choice": {"question_length": 24}}
    return short.get(PUBLISHED[task].kind, {})


@pytest.mark.slow
@pytest.mark.parametrize("number, task", list(enumerate(MADE)))
def test_a_task_without_data_here_runs_on_files_as_it_has_them(number, task, quick_vocab, tmp_path, monkeypatch):
    made_files(task, tmp_path / "data")
    small("albert" if number % 2 else "electra", monkeypatch)
    settings = FineTuning(task, data=str(tmp_path / "data"), length=64, epochs=1.0, least_updates=0, **asked(task))
    results, log = tuned(settings, tmp_path / "run", quick_vocab)
    (run,) = results["runs"]
    assert results["metric"] == PUBLISHED[task].metric
    assert ("dev_mismatched" in run) == (task == "mnli")
    assert ("left out, of another number of columns: 1 lines" in log) == (task in ("qqp", "mnli", "qnli", "wnli"))


@pytest.mark.slow
@pytest.mark.parametrize("task, family", ALL if os.environ.get("EVERY_TASK") else FEW)
def test_a_task_runs_from_its_files_to_its_report(task, family, shared, request, tmp_path, monkeypatch):
    folder, more = AT_HAND[task]
    where = shared / "data/tasks" / folder
    if task == "race":
        with tarfile.open(where / "race-sample.tar.xz") as archive:
            archive.extractall(tmp_path, filter="data")
        where = tmp_path / "RACE"
    vocab = request.getfixturevalue("korean_vocab" if task in KOREAN else "quick_vocab")
    small(family, monkeypatch)
    files = {name: str(where / file) for name, file in more.items()}
    settings = FineTuning(
        task=task,
        data=str(where),
        length=160 if task in ("race", "korquad") else 64,
        epochs=0.02,
        least_updates=0,
        **asked(task),
        **files,
    )
    results, _ = tuned(settings, tmp_path / "run", vocab)
    assert results["metric"] == PUBLISHED[task].metric and len(results["runs"]) == 1
    assert ("test" in results["runs"][0]) == ("test" in more)
