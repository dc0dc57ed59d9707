"""Scores of answers against labels, as float64; definitions are scikit-learn's and scipy's."""

import numpy as np


def accuracy(labels, answers) -> float:
    return float(np.mean(np.asarray(labels) == np.asarray(answers)))


def confusion(labels, answers, classes: int) -> np.ndarray:
    """Int64 [classes, classes]: rows are the labels, columns the answers."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (np.asarray(labels), np.asarray(answers)), 1)
    return counts


def precision_recall_f1(counts: np.ndarray) -> np.ndarray:
    """Float64 [classes, 3]; 0 where a class is never answered or never there."""
    right = np.diag(counts).astype(float)
    said, there = counts.sum(0), counts.sum(1)
    precision = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    recall = np.divide(right, there, out=np.zeros_like(right), where=there > 0)
    both = said + there
    f1 = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    return np.stack([precision, recall, f1], 1)


def macro_f1(labels, answers, classes: int) -> float:
    """The mean of the classes' F1; of those that are labelled or answered."""
    counts = confusion(labels, answers, classes)
    present = counts.sum(0) + counts.sum(1) > 0
    return float(precision_recall_f1(counts)[present, 2].mean())


def matthews(labels, answers, classes: int) -> float:
    """Matthews' correlation coefficient, of any number of classes; 0 where labels or answers are all one class."""
    counts = confusion(labels, answers, classes).astype(float)
    total, right = counts.sum(), np.trace(counts)
    there, said = counts.sum(1), counts.sum(0)
    below = (total**2 - said @ said) * (total**2 - there @ there)
    return float((right * total - there @ said) / np.sqrt(below)) if below > 0 else 0.0


def pearson(labels, answers) -> float:
    """0 where either does not vary."""
    x, y = (np.asarray(values, float) - np.mean(values) for values in (labels, answers))
    below = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / below) if below > 0 else 0.0


def spearman(labels, answers) -> float:
    """Pearson's correlation of the ranks; equal values share the mean of their ranks."""
    return pearson(_ranks(labels), _ranks(answers))


def calibration_error(probabilities: np.ndarray, labels, bins: int = 15) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy, over bins of equal width."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == np.asarray(labels)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for one in range(bins):
        here = place == one
        if here.any():
            error += here.mean() * abs(confidence[here].mean() - right[here].mean())
    return float(error)


def _ranks(values):
    _, place, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
