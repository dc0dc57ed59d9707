"""`electra-tf glue`: the answers to GLUE's test files, as its server takes them."""

from pathlib import Path

from absl import flags

DESCRIPTION = (
    "Writes the zip that GLUE's server scores: answers to the test file of every task that a run was fine-tuned on; "
    "those of MNLI answer the diagnostic file AX, too."
)
EXAMPLE = "electra-tf glue --input runs/cola --input runs/mnli --data GLUE --output submission.zip"


def define_flags() -> None:
    flags.DEFINE_multi_string("input", None, "Runs of `finetune` on tasks of GLUE; several of one task are averaged.")
    flags.DEFINE_string("data", None, "GLUE's folder, with the tasks' folders in it.")
    flags.DEFINE_string("output", None, "The zip.")
    flags.DEFINE_boolean("overwrite", False, "Replace a file at --output that was not written here, or was changed.")
    flags.mark_flags_as_required(["input", "data", "output"])


def run(values) -> int:
    from electra_tf.checkpoints.containers.output import Output
    from electra_tf.finetuning.glue import write_submission

    done = write_submission(values.input, values.data, Output(Path(values.output), values.overwrite))
    for name, rows in done.rows.items():
        print(f"{name:8} {rows:,} rows")
    if done.missing:
        print(f"the server wants these, too: {', '.join(done.missing)}")
    return 0
