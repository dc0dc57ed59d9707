"""Scores are those of scikit-learn and scipy."""

import numpy as np
import pytest

from electra_tf.finetuning import metrics
from electra_tf.finetuning.classification import Multilabel

sklearn_metrics = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")
CASES = 1000


@pytest.mark.slow
def test_scores_of_classes_are_scikit_learns():
    random = np.random.default_rng(0)
    for _ in range(CASES):
        classes, rows = random.integers(2, 6), random.integers(1, 30)
        labels, answers = random.integers(0, classes, (2, rows))
        assert metrics.accuracy(labels, answers) == pytest.approx(sklearn_metrics.accuracy_score(labels, answers))
        theirs = sklearn_metrics.f1_score(labels, answers, average="macro", zero_division=0)
        assert metrics.macro_f1(labels, answers, classes) == pytest.approx(theirs)
        theirs = sklearn_metrics.matthews_corrcoef(labels, answers)
        assert metrics.matthews(labels, answers, classes) == pytest.approx(theirs, abs=1e-12)
        counts = metrics.confusion(labels, answers, classes)
        theirs = sklearn_metrics.confusion_matrix(labels, answers, labels=range(classes))
        np.testing.assert_array_equal(counts, theirs)
        parts = sklearn_metrics.precision_recall_fscore_support(labels, answers, labels=range(classes), zero_division=0)
        np.testing.assert_allclose(metrics.precision_recall_f1(counts), np.stack(parts[:3], 1))


def test_correlations_are_scipys():
    random = np.random.default_rng(0)
    for _ in range(CASES):
        labels, answers = np.round(random.normal(size=(2, random.integers(3, 30))), 1)
        if labels.std() and answers.std():
            assert metrics.pearson(labels, answers) == pytest.approx(stats.pearsonr(labels, answers)[0])
            assert metrics.spearman(labels, answers) == pytest.approx(stats.spearmanr(labels, answers)[0])


def test_a_correlation_with_what_does_not_vary_is_none():
    assert metrics.pearson([1, 2, 3], [2, 2, 2]) == 0.0
    assert metrics.matthews([0, 1, 1], [1, 1, 1], 2) == 0.0


def test_the_calibration_error_by_hand():
    """Two bins: confidence .9 with half right, confidence .6 with all right."""
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    assert metrics.calibration_error(shares, [0, 1, 0]) == pytest.approx(2 / 3 * 0.4 + 1 / 3 * 0.4)


def test_scores_of_sets_of_labels_are_scikit_learns():
    random = np.random.default_rng(0)
    for _ in range(CASES):
        labels = random.integers(1, 6)
        said, there = random.random((2, random.integers(1, 20), labels)) < random.choice([0.05, 0.4])
        task = Multilabel(tuple(map(str, range(labels))), (1.0,) * labels)
        found = task._score(said, there)
        for name, average in (("micro_f1", "micro"), ("macro_f1", "macro")):
            theirs = sklearn_metrics.f1_score(there.astype(int), said.astype(int), average=average, zero_division=0)
            if labels > 1:  # scikit-learn takes one column for two classes
                assert found[name] == pytest.approx(theirs), name
        assert found["exact"] == pytest.approx(sklearn_metrics.accuracy_score(there, said))
