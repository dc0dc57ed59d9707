"""Looking at a checkpoint, and moving its numbers from format to format, loads none of the libraries that compute."""

import json
import subprocess
import sys

import pytest
from small_models import CONFIGS, random_weights

from electra_tf import convert
from electra_tf.checkpoints import pretrained, write_folder
from electra_tf.checkpoints.run_checkpoints import WEIGHTS, write_checkpoint
from electra_tf.checkpoints.weight_names import joint_tensors
from electra_tf.models.generator_size import generator_config
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer

LIBRARIES = ["tensorflow", "keras", "torch", "transformers"]
READ = ("safetensors", "bin", "legacy", "h5", "tf1", "run", "albert")
WRITTEN = ("safetensors", "h5", "tf1")  # PyTorch writes pytorch_model.bin
COMMANDS = {f"inspect {kind}": ["inspect", kind] for kind in (*READ, "model.keras", "data", "vocab")}
COMMANDS |= {
    f"convert {kind} to {to}": ["convert", "--input", kind, "--to", to, "--output", f"{kind}-as-{to}"]
    for kind in READ
    for to in WRITTEN
}

# One process runs all, which takes a second; the first command that loads a library is the one to blame.
_PROGRAM = """
import json, sys
from electra_tf.cli.main import main
for name, arguments in json.loads(sys.argv[1]).items():
    try:
        main(arguments)
    except SystemExit as end:
        loaded = [library for library in json.loads(sys.argv[2]) if library in sys.modules]
        print(json.dumps([name, end.code, loaded]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def found(quick_data, quick_vocab, tmp_path_factory):
    """(status, libraries that are loaded) after each command."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("formats")
    (folder / "data").symlink_to(quick_data)
    (folder / "vocab").symlink_to(quick_vocab)
    config = CONFIGS["electra"].replace(num_attention_heads=1)
    weights = random_weights(config, config)
    write_folder(folder / "source", pretrained("discriminator", config, weights))
    for to in ("safetensors", "bin", "h5", "keras", "tf1"):
        convert(folder / "source", folder / ("model.keras" if to == "keras" else to), to)
    convert(folder / "bin", folder / "legacy", "bin")
    state = torch.load(folder / "bin/pytorch_model.bin")
    torch.save(state, folder / "legacy/pytorch_model.bin", _use_new_zipfile_serialization=False)
    albert = CONFIGS["albert_of_one_width"]
    write_folder(folder / "of-albert", pretrained("generator", albert, random_weights(albert, albert)))
    convert(folder / "of-albert", folder / "albert", "tf1")
    _write_run(folder / "run", config)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(COMMANDS), json.dumps(LIBRARIES)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    print(done.stderr)  # what a failing command said
    assert len(lines) == len(COMMANDS)
    return {name: (status, loaded) for name, status, loaded in lines}


def _write_run(run, discriminator):
    generator = generator_config(discriminator, 0.5)
    table = joint_tensors(vars(discriminator), vars(generator), "all")
    both = random_weights(discriminator, generator, "all")
    write_checkpoint(run, 5, {WEIGHTS + t.ours: both[t.ours] for t in table}, {"seed": 1})
    description = {
        "format_version": 2,
        "settings": {
            "Recipe": {"steps": 5, "batch_size": 8, "seed": 1},
            "Schedule": {"kind": "linear", "peak": 0.1, "warmup_steps": 1},
            "AdamW": {"beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.01},
        },
        "data": {"identity": "0" * 32},
        "describe": {},
        "towers": {"discriminator": discriminator.to_dict(), "generator": generator.to_dict()},
        "heads": {"discriminator": ["replaced_token"], "generator": ["masked_lm"]},
        "shared": {"generator/embeddings/": "discriminator/embeddings/"},
    }
    (run / "run.json").write_text(json.dumps(description))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"word{n}" for n in range(discriminator.vocab_size - len(words))]
    WordPieceTokenizer(words).save(run / "tokenizer")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_library_that_computes_is_loaded(found, command):
    assert found[command] == (0, [])
