"""One of several choices, such as the answers to a question about a text.

Axes: B rows, C choices, T tokens.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.finetuning import metrics
from electra_tf.finetuning.batching import Rows
from electra_tf.finetuning.task import Split
from electra_tf.models.task_models import MultipleChoice
from electra_tf.text.tokenizer import Encoding


@dataclass(frozen=True)
class Choice:
    """The right one of some choices, each of which is read behind the context.

    Attributes:
        question_length: tokens of question and choice at most; of longer ones the end is kept, as ALBERT does.
    """

    question_length: int = 128
    kind = "choice"
    tells_loss = True
    in_windows = False
    special = 3
    labels = ()
    usual = "accuracy"
    selecting = ("accuracy",)

    def heads(self, config):
        return ("pooler", "multiple_choice") if config.model_type == "albert" else ("multiple_choice",)

    def build(self, config, encoder=None, dtype="float32"):
        return MultipleChoice(config, encoder=encoder, dtype=dtype)

    def pieces(self, records, tokenizer):
        longest = [max(record.choices, key=len) for record in records]
        texts = [(one.context, completed(one.question, choice)) for one, choice in zip(records, longest, strict=True)]
        return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    def lost(self, records, pieces, tokenizer, length):
        unique = list(dict.fromkeys(record.context for record in records))
        sizes = [len(one.ids) for one in tokenizer.encode_batch(unique, add_special_tokens=False)]
        sizes, found = dict(zip(unique, sizes, strict=True)), []
        for ids, record in zip(pieces, records, strict=True):
            context, behind = sizes[record.context], len(ids) - sizes[record.context]
            kept = min(behind, self._most_behind(length))
            found.append(behind - kept + max(0, context - (length - 3 - kept)))
        return found

    def _most_behind(self, length):
        return min(self.question_length, length - 3)

    def split(self, records, tokenizer, length, learned=True):
        if length <= self.special:
            raise ConfigError(
                f"length is {length}", where="FineTuning", expected=f"more than the {self.special} special tokens"
            )
        texts = [completed(record.question, choice) for record in records for choice in record.choices]
        behind = iter(tokenizer.encode_batch(texts, add_special_tokens=False))
        unique = list(dict.fromkeys(record.context for record in records))
        contexts = dict(zip(unique, tokenizer.encode_batch(unique, add_special_tokens=False), strict=True))
        rows = []
        for record in records:
            row = []
            for _ in record.choices:
                second = next(behind).ids[-self._most_behind(length) :]
                first = contexts[record.context].ids[: length - 3 - len(second)]
                ids = [tokenizer.cls_id, *first, tokenizer.sep_id, *second, tokenizer.sep_id]
                row.append(Encoding(ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), [], []))
            rows.append(row)
        targets = {}
        if learned:
            targets = {"target": np.array([record.right for record in records], np.int32)}
            targets["weight"] = np.ones(len(records), np.float32)
        return Split(records, Rows(rows, targets, length))

    def outputs(self, model, hidden, batch, training, seed):
        """Logits [B, C]."""
        return tf.reshape(model.score(hidden, training, seed), [-1, batch["input_ids"].shape[1]])

    def loss(self, outputs, batch):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], outputs)

    def hits(self, outputs, batch):
        return tf.cast(tf.argmax(outputs, -1, output_type=tf.int32) == batch["target"], tf.float32)

    def score(self, outputs, split):
        return {"accuracy": metrics.accuracy(split.rows.targets["target"], np.stack(outputs).argmax(-1))}

    def calibrated(self, outputs, split):
        return np.stack(outputs), split.rows.targets["target"]

    def answers(self):
        return {"labels": []}

    def commonest(self, split):
        most = Counter(record.right for record in split.records).most_common(1)[0][1]
        return {"accuracy": most / len(split.records)}


def completed(question: str, choice: str) -> str:
    """The choice in the gap of the question, `_` or a longer line; or behind it (RACE)."""
    if "_" in question:
        return re.sub("_+", lambda _: choice, question)
    return f"{question} {choice}" if question else choice
