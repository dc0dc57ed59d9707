"""`electra-tf detect`: marked tokens, the probabilities of transformers, and models that cannot answer refused."""

import json

import numpy as np
import pytest

from electra_tf.cli.detect import in_words

SENTENCE = "The  captain looked at the sea."
ANSWER = {
    "sentence": "The  Captain.",
    "tokens": [
        {"token": "the", "start": 0, "end": 3, "probability": 0.1},
        {"token": "cap", "start": 5, "end": 8, "probability": 0.97},
        {"token": "##tain", "start": 8, "end": 12, "probability": 0.5},
        {"token": ".", "start": 12, "end": 13, "probability": 0.49},
    ],
}


def test_marked_tokens_stand_in_the_sentence_as_it_was_written():
    assert in_words(ANSWER) == "The  [Cap 97%][tain 50%]."
    assert in_words(ANSWER, threshold=0.9) == "The  [Cap 97%]tain."
    assert in_words(ANSWER, threshold=1) == ANSWER["sentence"]


def test_colour_surrounds_the_marks_only():
    text = in_words(ANSWER, color=True)
    assert text == "The  \033[1;31m[Cap 97%]\033[0m\033[1;31m[tain 50%]\033[0m."


def test_probabilities_are_those_of_transformers(electra_tf, folders):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    done = electra_tf("detect", "--input", folders / "discriminator", "--json", SENTENCE)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / "discriminator")
    model = transformers.ElectraForPreTraining.from_pretrained(folders / "discriminator").eval()
    with torch.no_grad():
        theirs = torch.sigmoid(model(**tokenizer(SENTENCE, return_tensors="pt")).logits)[0].numpy()
    found = [token["probability"] for token in answer["tokens"]]
    np.testing.assert_allclose(found, theirs[1:-1], rtol=1e-4)
    assert [t["token"] for t in answer["tokens"]] == tokenizer.tokenize(SENTENCE)
    assert [t["replaced"] for t in answer["tokens"]] == [p >= 0.5 for p in found]


def test_a_run_answers_as_its_exported_discriminator(electra_tf, folders):
    answers = [
        electra_tf("detect", "--input", folders / name, "--threshold", 0, SENTENCE).stdout
        for name in ("run", "discriminator")
    ]
    assert answers[0] == answers[1]
    assert answers[0].count("%") == 8
    assert "\033" not in answers[0]


def test_colour_can_be_forced(electra_tf, folders):
    done = electra_tf("detect", "--input", folders / "run", "--threshold", 0, "--color", SENTENCE)
    assert done.stdout.count("\033[1;31m") == 8


def test_a_generator_refuses_and_says_why(electra_tf, folders):
    for arguments in (
        ["--input", folders / "generator"],
        ["--input", folders / "run", "--tower", "generator"],
    ):
        done = electra_tf("detect", *arguments, SENTENCE)
        assert done.returncode == 2
        assert "generator" in done.stderr and "replaced" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_threshold_that_is_no_probability_is_refused(electra_tf, folders):
    done = electra_tf("detect", "--input", folders / "run", "--threshold", 1.5, SENTENCE)
    assert done.returncode == 2
    assert "threshold" in done.stderr


def test_a_character_of_several_tokens_is_shown_once():
    tokens = [{"token": part, "start": 0, "end": 1, "probability": 0.9} for part in "abc"]
    assert in_words({"sentence": "한!", "tokens": tokens}) == "[한 90%]!"
