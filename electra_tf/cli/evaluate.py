"""`electra-tf evaluate`: the score of a fine-tuned model on a labelled file."""

import json
import sys

from absl import flags

from electra_tf.errors import shown

DESCRIPTION = "Scores a fine-tuned model on labelled texts."
EXAMPLE = "electra-tf evaluate --input runs/reviews --file test.csv --text review --label stars"


def define_flags() -> None:
    flags.DEFINE_string("input", None, "A run of `finetune`, or a fine-tuned checkpoint of any format.")
    flags.DEFINE_string("vocab", None, "Its tokenizer, instead of the one beside it.")
    flags.DEFINE_string("task", None, "One of the tasks, where several were learned at once.")
    flags.DEFINE_string("file", None, "Labelled texts: .csv, .tsv or .jsonl.")
    flags.DEFINE_list("text", None, "The column of the texts, or two columns for pairs; by default as it was trained.")
    flags.DEFINE_list("choices", None, "Of the task choice: the columns of the answers, or that of a list of them.")
    flags.DEFINE_string("label", None, "The column of the labels; by default as it was trained.")
    flags.DEFINE_boolean("json", False, "Print JSON.")
    flags.mark_flags_as_required(["input", "file"])


def run(values) -> int:
    from electra_tf.finetuning.predictor import Predictor

    predictor = Predictor.open(values.input, values.vocab, task=values.task)
    file = predictor.read(values.file, values.text, values.label, choices=values.choices)
    print(f"{shown(values.file)}: {file.read_as}", file=sys.stderr)
    found = predictor.score(file.records)
    if values.json:
        print(json.dumps({"rows": len(file.records), **found}))
    else:
        rows = [f"{name:20} {value:.4f}" for name, value in found.items()]
        print("\n".join([f"{'rows':20} {len(file.records):,}", *rows]))
    return 0
