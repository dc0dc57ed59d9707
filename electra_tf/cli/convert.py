"""`electra-tf convert`: a checkpoint in another format."""

from pathlib import Path

from absl import flags

from electra_tf.errors import CheckpointError

DESCRIPTION = "Writes a checkpoint in another format: each tower as a folder that transformers opens, or both as TF-V1."
EXAMPLE = """
electra-tf convert --input runs/tiny --tower both --to safetensors --output hf
electra-tf convert --input runs/tiny --to tf1 --output tf1
electra-tf convert --input tf1/model.ckpt --to h5 --output hf-for-transformers-4
"""


def define_flags() -> None:
    flags.DEFINE_string("input", None, "A run directory, a Hugging Face folder or a TF-V1 checkpoint.")
    flags.DEFINE_enum("tower", "discriminator", ["discriminator", "generator", "both"], "Which tower; tf1 holds both.")
    flags.DEFINE_enum(
        "to",
        "safetensors",
        ["safetensors", "bin", "h5", "tf1"],
        "A Hugging Face folder with model.safetensors, pytorch_model.bin or tf_model.h5; or a folder with TF-V1's "
        "model.ckpt, Adam's slots and the step in it if there are any.",
    )
    flags.DEFINE_string("output", None, "The folder; with --tower=both, discriminator/ and generator/ in it.")
    flags.DEFINE_string("vocab", None, "Tokenizer folder or vocab.txt; by default the one beside the model.")
    flags.DEFINE_enum("dtype", "float32", ["float32", "float16", "bfloat16"], "Of the numbers, but for tf1.")
    flags.DEFINE_float("shard_gigabytes", 5.0, "Safetensors larger than this come in several files.", lower_bound=1e-6)
    flags.mark_flags_as_required(["input", "output"])


def run(values) -> None:
    if values.to == "tf1":
        print(export_tf1(values.input, values.output))
        return
    both = values.tower == "both"
    for tower in ("discriminator", "generator") if both else (values.tower,):
        folder = Path(values.output) / tower if both else Path(values.output)
        form = {"form": values.to, "dtype": values.dtype, "shard_bytes": int(values.shard_gigabytes * 1e9)}
        export(values.input, folder, tower, values.vocab, **form)
        print(folder)


def export(checkpoint, folder, tower: str, vocab=None, **form) -> None:
    """Writes one tower of `checkpoint` to `folder`, with its tokenizer, and a model card where it is a run of ours.

    `form` is passed on to `write_folder`.
    """
    from electra_tf.conversion import load_tower
    from electra_tf.conversion.run_directory import RUN
    from electra_tf.conversion.transformers_folder import write_folder
    from electra_tf.training.report import model_card

    loaded = load_tower(checkpoint, tower)
    card = model_card(checkpoint, tower) if (Path(checkpoint) / RUN).is_file() else None
    write_folder(folder, tower, loaded.config, loaded.weights, vocab or loaded.tokenizer, card, **form)


def export_tf1(checkpoint, folder) -> Path:
    """Writes both towers of a run or a TF-V1 checkpoint as Google's code would. Returns the prefix."""
    from electra_tf.conversion import recognise
    from electra_tf.conversion.run_directory import read_run
    from electra_tf.conversion.tf1 import read_tf1, write_tf1

    readers = {"run_directory": read_run, "tf1": read_tf1}
    kind = recognise(checkpoint)
    if kind not in readers:
        raise CheckpointError(
            f"this is a {kind.replace('_', ' ')}, and holds one tower at most",
            where=checkpoint,
            expected="a run directory or a TF-V1 checkpoint: TF-V1 holds both towers",
        )
    source = readers[kind](checkpoint)
    return write_tf1(folder, source.weights, source.slots_m, source.slots_v, source.step)
