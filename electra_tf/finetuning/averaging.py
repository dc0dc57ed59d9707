"""Several fine-tuned models as one: the mean of what they answer."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import tee

from electra_tf.errors import ConfigError
from electra_tf.finetuning.predictor import Answer, Predictor, as_written


class Average:
    """Answers as a `Predictor` does: by the mean of the models' probabilities, of numbers by their mean.

    Of answers in texts, a model that gives none says '' with certainty.

    Args:
        predictors: of the same task. names: what to call them in an error.

    Raises: `ConfigError` where their tasks or labels differ.
    """

    def __init__(self, predictors: Sequence[Predictor], names: Sequence[str]):
        self.predictors, self.task, self.labels = predictors, predictors[0].task, predictors[0].labels
        for one, name in zip(predictors, names, strict=True):
            alike = one.in_pairs == predictors[0].in_pairs or None in (one.in_pairs, predictors[0].in_pairs)
            if not alike or (one.task.kind, sorted(one.labels)) != (self.task.kind, sorted(self.labels)):
                raise ConfigError(
                    f"a model for {_described(one)}, and one for {_described(predictors[0])}",
                    where=f"{name} and {names[0]}",
                    expected="models of one task, with the same labels",
                    remedy="name runs of one task alone",
                )

    def __call__(self, records: Iterable) -> Iterator:
        copies = [records] * len(self.predictors) if isinstance(records, str) else tee(records, len(self.predictors))
        answers = (one(own) for one, own in zip(self.predictors, copies, strict=True))
        for several in zip(*answers, strict=True):
            if self.task.kind == "tagging":
                words = [self._mean(of_word) for of_word in zip(*several, strict=True)]
                unseen = [place for place, word in enumerate(words) if not word.all]
                tags = self.task.filled([word.label for word in words], unseen)
                yield [word._replace(label=tag) for word, tag in zip(words, tags, strict=True)]
            else:
                yield self._mean(several)

    @property
    def in_pairs(self) -> bool | None:
        return self.predictors[0].in_pairs

    def read(self, *arguments, **keywords):
        """A file, as the first of them reads it; see `Predictor.read`."""
        return self.predictors[0].read(*arguments, **keywords)

    def _mean(self, answers: Sequence[Answer]) -> Answer:
        if self.task.kind == "regression":
            return Answer(as_written(sum(float(one.label) for one in answers) / len(answers)), None, {})
        if self.task.kind == "tagging":  # a model may not see a word
            answers = [one for one in answers if one.all] or answers[:1]
        given = [{"": 1.0} if self.task.kind == "span" and not one.label else one.all for one in answers]
        names = dict.fromkeys(name for shares in given for name in shares)
        mean = {name: sum(shares.get(name, 0.0) for shares in given) / len(given) for name in names}
        if self.task.kind == "span":
            mean = dict(sorted(mean.items(), key=lambda pair: -pair[1]))
        if self.task.kind == "multilabel":
            said = [name for name in self.labels if mean[name] > 0.5]
            return Answer("|".join(said), min((mean[name] for name in said), default=None), mean)
        if not mean:  # a word that no model sees
            return answers[0]
        best = max(mean, key=mean.get)
        # A tag may be written otherwise than its label: as a model that is of the same mind writes it.
        said = (one.label for one, shares in zip(answers, given, strict=True) if max(shares, key=shares.get) == best)
        return Answer(next(said, best), mean[best] if best else None, mean)


def open_predictor(models: Sequence, vocab=None, task: str | None = None) -> "Predictor | Average":
    """Of one path as `Predictor.open` takes it, or of several, whose answers are averaged."""
    predictors = [Predictor.open(path, vocab, task=task) for path in models]
    return predictors[0] if len(predictors) == 1 else Average(predictors, [str(path) for path in models])


def predict(models, records: Iterable, vocab=None, task: str | None = None) -> list:
    """Answers of a fine-tuned model, or of several averaged.

    Args:
        models: a run of `finetune`, a fine-tuned checkpoint of any format, or a list of them.
        records, vocab, task: see `Predictor`.

    Returns: an `Answer` for every record; of a sentence that is tagged, a list of them.
    """
    models = models if isinstance(models, list | tuple) else [models]
    return list(open_predictor(models, vocab, task)(records))


def _described(predictor) -> str:
    pairs = " of pairs" if predictor.in_pairs else ""
    return f"{predictor.task.kind}{pairs} ({', '.join(predictor.labels) or 'no labels'})"
