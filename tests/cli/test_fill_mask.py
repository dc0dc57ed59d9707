"""`electra-tf fill-mask`: the tokens and scores of transformers' pipeline, and queries without an answer refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from electra_tf.checkpoints.containers.safetensors import read_tensors, write_tensors

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SENTENCE = "The captain looked at the [MASK]."


def test_tokens_and_scores_are_those_of_transformers_pipeline(electra_tf, folders):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    done = electra_tf("fill-mask", "--input", folders / "generator", "--top", 7, "--json", SENTENCE)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    pipeline = transformers.pipeline("fill-mask", model=str(folders / "generator"), framework="pt", top_k=7)
    theirs = pipeline(SENTENCE)
    ours = answer["masks"][0]["predictions"]
    assert [p["id"] for p in ours] == [p["token"] for p in theirs]
    assert [p["token"] for p in ours] == [p["token_str"].replace(" ", "") for p in theirs]
    assert [p["score"] for p in ours] == pytest.approx([p["score"] for p in theirs], rel=1e-4)


def test_a_run_answers_as_its_exported_generator(electra_tf, folders):
    answers = [
        electra_tf("fill-mask", "--input", folders / name, "--json", SENTENCE).stdout for name in ("run", "generator")
    ]
    assert answers[0] and answers[0] == answers[1]


def test_each_sentence_and_each_mask_gets_its_tokens(electra_tf, folders):
    done = electra_tf("fill-mask", "--input", folders / "run", "--top", 3, "[MASK] [MASK] sea", "the [MASK]")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("\n\n")
    assert first.splitlines()[0] == "[MASK] [MASK] sea"
    assert len(first.splitlines()) == 1 + 2 * (1 + 3)
    assert len(second.splitlines()) == 1 + 3
    assert "%" in second.splitlines()[1]


def test_a_tf1_checkpoint_answers_with_a_vocabulary_given(electra_tf, tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(596))]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    checkpoint = GOLDEN / "electra_tied/final.ckpt"
    answers = []
    for heads in (1, 2):
        done = electra_tf(
            "fill-mask",
            *(
                "--input",
                checkpoint,
                "--vocab",
                tmp_path / "vocab.txt",
                "--heads",
                heads,
                "--json",
                "w1 [MASK] w2",
            ),
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert answers[0] != answers[1]
    done = electra_tf("fill-mask", "--input", checkpoint, "w1 [MASK]")
    assert done.returncode == 2
    assert "--vocab" in done.stderr


def test_a_discriminator_refuses_and_says_why(electra_tf, folders):
    for arguments in (
        ["--input", folders / "discriminator"],
        ["--input", folders / "run", "--tower", "discriminator"],
    ):
        done = electra_tf("fill-mask", *arguments, SENTENCE)
        assert done.returncode == 2
        assert "no scores over the vocabulary" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ([], "there is no sentence"),
        (["the sea"], "no [MASK]"),
        (["the [mask]"], "no [MASK]"),
        (["[MASK] " + "sea " * 14], "the sentence has 17 tokens"),
    ],
)
def test_a_query_that_cannot_be_answered_is_a_users_error(electra_tf, folders, sentences, message):
    done = electra_tf("fill-mask", "--input", folders / "generator", *sentences)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_vocabulary_larger_than_the_model_is_refused(electra_tf, folders, tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(20))]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    done = electra_tf("fill-mask", "--input", folders / "run", "--vocab", tmp_path / "vocab.txt", "[MASK]")
    assert done.returncode == 2
    assert "the vocabulary has 25 tokens, the model 13" in done.stderr


def test_a_path_with_nothing_is_a_users_error(electra_tf, tmp_path):
    done = electra_tf("fill-mask", "--input", tmp_path / "nowhere", SENTENCE)
    assert done.returncode == 2
    assert "there is no such file or folder" in done.stderr


@pytest.mark.parametrize("command", ["fill-mask", "detect"])
def test_weights_that_are_no_numbers_give_no_answer(electra_tf, folders, command, tmp_path):
    name = {"fill-mask": "generator", "detect": "discriminator"}[command]
    folder = shutil.copytree(folders / name, tmp_path / "hf")
    tensors = read_tensors(folder / "model.safetensors")
    tensors["electra.embeddings.word_embeddings.weight"][5] = np.nan
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    done = electra_tf(command, "--input", folder, "the [MASK] .")
    assert done.returncode == 2 and done.stdout == ""
    assert "not numbers" in done.stderr


@pytest.mark.parametrize("flag", ["--threshold=nan", "--threshold=2", "--threshold=-1", "--heads=-1"])
def test_a_threshold_that_is_none_is_refused(electra_tf, folders, flag):
    done = electra_tf("detect", "--input", folders / "discriminator", flag, "the sea .")
    assert done.returncode == 2 and flag[2:].split("=")[0] in done.stderr
