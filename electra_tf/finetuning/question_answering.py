"""Answers that stand in a text: where they begin and end, and whether there is one.

Axes: B rows (windows of a text), T tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from electra_tf.errors import ConfigError, InputError
from electra_tf.finetuning.answer_metrics import (
    character_f1,
    exact_match,
    exact_match_korean,
    no_answer_scores,
    word_f1,
)
from electra_tf.finetuning.batching import Rows
from electra_tf.finetuning.best_answers import Beam, Found, Window, beam_of, best_answers
from electra_tf.finetuning.question_files import Question
from electra_tf.finetuning.task import Split
from electra_tf.finetuning.windows import owners, windows_of
from electra_tf.models.task_models import ConditionalQuestionAnswerer, QuestionAnswerer, SpanAnswerer
from electra_tf.text.tokenizer import Encoding

TRANSFORMERS = ("question_answering",)
CONDITIONAL = ("conditional_answers",)
JOINT = ("answer_start", "answer_end_by_start", "answerable_by_start")
_ANSWERABLE_WEIGHT = 0.5  # of the loss of whether there is an answer, as in Google's code


@dataclass(frozen=True)
class SpanSplit(Split):
    """`places` are the windows of the rows; `normalised`: a text as the vocabulary has its characters."""

    normalised: Callable[[str], str] = str


@dataclass(frozen=True)
class Spans:
    """The first and the last token of an answer.

    Attributes:
        parts: the heads, see `heads`: transformers', Google's ALBERT's, or parts of Google's ELECTRA's.
        beam: how many of the likeliest starts, and of the ends of each, are looked at.
        may_lack: whether some questions have no answer. threshold: that of `Found.no_answer` above which none is given.
        stride, question_length, answer_length: see `FineTuning`.
        by_characters: F1 counts characters, as KorQuAD's.
        answerable_windows, whole_words: see `settings.COMPAT`.
    """

    parts: tuple[str, ...] = TRANSFORMERS
    beam: int = 20
    may_lack: bool = False
    threshold: float = 0.0
    stride: int = 128
    question_length: int | None = None
    answer_length: int = 30
    by_characters: bool = False
    answerable_windows: bool = False
    whole_words: bool = False
    kind = "span"
    tells_loss = False
    in_windows = True
    special = 3
    calibrated = None
    labels = ()

    @classmethod
    def of(cls, records: Sequence[Question], dev: Sequence[Question], settings, config) -> "Spans":
        """Of training and dev records; `settings` is a `FineTuning`."""
        may_lack = not all(record.answer for record in records) or not all(record.golds for record in dev)
        if not any(record.answer for record in records):
            raise InputError(
                "no question has an answer",
                where=records[0].where.rpartition(",")[0],
                expected="answers in the contexts",
                remedy="name their column with --label",
            )
        parts = TRANSFORMERS
        if settings.head == "google":
            parts = JOINT if config.model_type == "electra" else CONDITIONAL if may_lack else TRANSFORMERS
        length, question_length = min(settings.tokens, config.max_position_embeddings), settings.question_length
        if (question_length or 1) + 8 > length:
            raise ConfigError(
                f"question_length is {question_length}, and a row has {length} tokens",
                where="FineTuning",
                expected="room for the text beside the question",
                remedy="set FineTuning.question_length lower or, where the model allows it, FineTuning.length higher",
            )
        return cls(
            parts,
            settings.beam,
            may_lack,
            stride=settings.stride,
            question_length=question_length,
            answer_length=settings.answer_length,
            by_characters=settings.task == "korquad",
            answerable_windows="answerable_windows" in settings.compat,
            whole_words="whole_words" in settings.compat,
        )

    @classmethod
    def of_model(cls, model, settings: dict, answers: dict) -> "Spans":
        """Of a model, as its run has it."""
        parts = tuple(head for head in model.heads if head != "pooler")
        own = {name: settings.get(name) for name in ("beam", "stride", "question_length", "answer_length")}
        own = {name: value for name, value in own.items() if value is not None}
        own["whole_words"] = "whole_words" in settings.get("compat", ())
        own |= {name: answers[name] for name in ("may_lack", "by_characters", "threshold") if name in answers}
        return cls(parts, **own)

    @property
    def usual(self) -> str:
        return "best_f1" if self.may_lack else "f1"

    @property
    def selecting(self) -> tuple[str, ...]:
        return ("best_f1", "best_exact", "f1", "exact") if self.may_lack else ("f1", "exact")

    def heads(self, config):
        return ("pooler", *self.parts) if self.parts == CONDITIONAL else self.parts

    def build(self, config, encoder=None, dtype="float32"):
        options = {"encoder": encoder, "dtype": dtype}
        if self.parts == TRANSFORMERS:
            return QuestionAnswerer(config, **options)
        if self.parts == CONDITIONAL:
            model = ConditionalQuestionAnswerer(config, **options)
        else:
            model = SpanAnswerer(config, parts=self.parts, **options)
        model.beam = self.beam
        return model

    def pieces(self, records, tokenizer):
        both = tokenizer.encode_batch([record.texts for record in records], add_special_tokens=False)
        return [encoding.ids for encoding in both]

    def lost(self, records, pieces, tokenizer, length):
        questions = tokenizer.encode_batch([record.question for record in records], add_special_tokens=False)
        return [max(0, len(question.ids) - self._most_of_questions(length)) for question in questions]

    def _most_of_questions(self, length):
        return self.question_length or max(1, min(64, length // 2 - 3))

    def split(self, records, tokenizer, length, learned=True):
        questions = tokenizer.encode_batch([record.question for record in records], add_special_tokens=False)
        unique = list(dict.fromkeys(record.context for record in records))
        contexts = dict(zip(unique, tokenizer.encode_batch(unique, add_special_tokens=False), strict=True))
        windows, encodings, allowed, targets = [], [], [], []
        question_length = self._most_of_questions(length)
        for number, (record, question) in enumerate(zip(records, questions, strict=True)):
            context, own = contexts[record.context], question.ids[:question_length]
            at = len(own) + 2
            spans = windows_of(len(context), length - at - 1, self.stride)
            best = owners(spans, len(context))
            answer = _tokens(context.offsets, record.answer[0]) if learned and record.answer else None
            for place, (first, end) in enumerate(spans):
                inside = context.ids[first:end]
                ids = [tokenizer.cls_id, *own, tokenizer.sep_id, *inside, tokenizer.sep_id]
                encodings.append(Encoding(ids, [0] * at + [1] * (len(ids) - at), [], []))
                is_best = [owner == place for owner in best[first:end]]
                unknown = [piece == tokenizer.unk_id for piece in inside]
                windows.append(Window(number, at, first, end, context.offsets[first:end], is_best, unknown))
                open_to = np.zeros(len(ids), np.int32)
                # Google's ELECTRA lets answers end at the last [SEP], too.
                open_to[[0, *range(at, at + len(inside) + (self.parts not in (TRANSFORMERS, CONDITIONAL)))]] = 1
                allowed.append(open_to)
                targets.append(self._target(answer, first, end, at))
        arrays = {}
        if learned:
            start, end, lacks = zip(*targets, strict=True) if targets else ((), (), ())
            arrays = {"start": np.array(start, np.int32), "end": np.array(end, np.int32)}
            arrays |= {"impossible": np.array(lacks, np.float32), "weight": np.ones(len(windows), np.float32)}
        rows = Rows(encodings, arrays, length, {"allowed": allowed})
        return SpanSplit(records, rows, windows, tokenizer.normalized)

    def _target(self, answer, first, end, at):
        """(first token, last token, whether there is none) of a window."""
        if answer is not None and first <= answer[0] and answer[1] < end:
            return answer[0] - first + at, answer[1] - first + at, 0.0
        return 0, 0, float(answer is None or not self.answerable_windows)

    def outputs(self, model, hidden, batch, training, seed):
        """Logits as `task_models.SpanAnswerer` gives them, the ends given the true start in training."""
        if self.parts == TRANSFORMERS:
            logits = model.score(hidden, training, seed)
            return logits[..., 0], logits[..., 1], None, None
        starts = batch["start"] if training else None
        return model.score(hidden, training, seed, excluded=1 - batch["allowed"], start_positions=starts)

    def loss(self, outputs, batch):
        start, end, _, no_answer = outputs
        loss = (_cross_entropy(start, batch["start"]) + _cross_entropy(end, batch["end"])) / 2
        if no_answer is None:
            return loss
        known = tf.nn.sigmoid_cross_entropy_with_logits(batch["impossible"], no_answer)
        return loss + _ANSWERABLE_WEIGHT * known

    def hits(self, outputs, batch):
        found = [tf.argmax(logits, -1, output_type=tf.int32) for logits in outputs[:2]]
        return tf.cast((found[0] == batch["start"]) & (found[1] == batch["end"]), tf.float32)

    def found(self, outputs, split: Split) -> list[Found]:
        """Of every question, from the outputs of its windows."""
        beams = [beam_of(output, window, self.beam) for output, window in zip(outputs, split.places, strict=True)]
        return self.found_of(beams, split)

    def found_of(self, beams: Sequence[Beam], split: Split) -> list[Found]:
        """The same, from what is likeliest in each window."""
        return best_answers(
            beams,
            split.places,
            split.records,
            self.answer_length,
            tells_apart=bool({"answerable", "answerable_by_start", *CONDITIONAL} & {*self.parts}),
            normalised=split.normalised if self.whole_words else None,
        )

    def score(self, outputs, split):
        return self.scores_of(self.found(outputs, split), split.records)

    def scores_of(self, found: Sequence[Found], records: Sequence[Question]) -> dict[str, float]:
        """Exact matches and F1, in [0, 1]; where some have no answer, at the threshold and at the best ones."""
        exact, f1 = (exact_match_korean, character_f1) if self.by_characters else (exact_match, word_f1)
        if not self.may_lack:
            pairs = [(r.golds, one.texts[0]) for one, r in zip(found, records, strict=True)]
            return {
                name: float(np.mean([max((how(gold, said) for gold in golds), default=0.0) for golds, said in pairs]))
                for name, how in (("exact", exact), ("f1", f1))
            }
        return no_answer_scores(
            [record.golds for record in records],
            [one.texts[0] for one in found],
            [one.no_answer for one in found],
            self.threshold,
            exact,
            f1,
        )

    def answers(self):
        return {"labels": [], "may_lack": self.may_lack, "by_characters": self.by_characters}

    def commonest(self, split):
        """Of no answer anywhere."""
        nothing = [Found([""], [1.0], [1.0], [0], np.inf)] * len(split.records)
        return self.scores_of(nothing, split.records)


def _tokens(offsets, answer):
    """The first and the last token of an answer; None where no token is in it."""
    first, end = answer.start, answer.start + len(answer.text)
    inside = [token for token, (a, b) in enumerate(offsets) if b > first and a < end and b > a]
    return (inside[0], inside[-1]) if inside else None


def _cross_entropy(logits, place):
    """Float32 [B]; 0, without a gradient, for a place that is no token, as Google's code has it."""
    at = tf.one_hot(place, tf.shape(logits)[1])
    return -tf.reduce_sum(at * tf.nn.log_softmax(logits), -1)
