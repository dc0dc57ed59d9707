"""`electra-tf convert`: the towers of a checkpoint as Hugging Face folders."""

from pathlib import Path

from absl import flags

DESCRIPTION = "Writes one tower of a run or of a TF-V1 checkpoint, or both, as folders that transformers opens."
EXAMPLE = "electra-tf convert --input runs/tiny --tower both --to safetensors --output hf"


def define_flags() -> None:
    flags.DEFINE_string("input", None, "A run directory, a Hugging Face folder or a TF-V1 checkpoint.")
    flags.DEFINE_enum("tower", "discriminator", ["discriminator", "generator", "both"], "Which tower.")
    flags.DEFINE_enum("to", "safetensors", ["safetensors"], "The format: a Hugging Face folder with model.safetensors.")
    flags.DEFINE_string("output", None, "The folder; with --tower=both, discriminator/ and generator/ in it.")
    flags.DEFINE_string("vocab", None, "Tokenizer folder or vocab.txt; by default the one beside the model.")
    flags.mark_flags_as_required(["input", "output"])


def run(values) -> None:
    both = values.tower == "both"
    for tower in ("discriminator", "generator") if both else (values.tower,):
        folder = Path(values.output) / tower if both else Path(values.output)
        export(values.input, folder, tower, values.vocab)
        print(folder)


def export(checkpoint, folder, tower: str, vocab=None) -> None:
    """Writes one tower of `checkpoint` to `folder`, with its tokenizer, and a model card where it is a run of ours."""
    from electra_tf.conversion import load_tower
    from electra_tf.conversion.run_directory import RUN
    from electra_tf.conversion.transformers_folder import write_folder
    from electra_tf.training.report import model_card

    loaded = load_tower(checkpoint, tower)
    card = model_card(checkpoint, tower) if (Path(checkpoint) / RUN).is_file() else None
    write_folder(folder, tower, loaded.config, loaded.weights, vocab or loaded.tokenizer, card)
