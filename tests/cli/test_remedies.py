"""Remedies that are typed work: each is taken from the message as it was printed, typed, and ends with status 0."""

import dataclasses
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from electra_tf.checkpoints import write_folder
from electra_tf.checkpoints.models import MODEL_CLASSES, LoadedModel
from electra_tf.checkpoints.name_tables import model_tensors
from electra_tf.models import EncoderConfig
from electra_tf.text.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer

_FLAG = re.compile(r"""--(\w+)(?:=([^\s,;`]+)| ("[^"]*"))?""")


def followed(arguments: list[str], printed: str, which: int, values: dict) -> list[str]:
    """The command after one of the remedies, which are parted by "or" or a semicolon. A flag that it says to leave out
    is left out; any other is set to the value that stands behind it, or in `values` where the message leaves it open.
    """
    line = re.search(r"what to do: (.*)", printed) or re.search(r"expected:   (.*)", printed)
    remedies = re.split(r", or |; |(?<=_out) or ", line[1])
    remedy = remedies[which]
    if named := re.search(r"`electra-tf ([\w-]+)", remedy):
        arguments = [named[1], *arguments[1:]]
    earlier, found = " ".join(remedies[:which]), list(_FLAG.finditer(remedy))
    assert found or named, f"the remedy holds neither a flag nor a command: {remedy}"
    for name, value in ((flag[1], flag[2] or flag[3]) for flag in found):
        if name != "gin_param":  # of which there may be many
            arguments = [a for a in arguments if not re.match(rf"--{name}(=|$)", a)]
        if "leave" not in remedy and (value or "leave" not in earlier):
            value = values.get(name, value)
            value = value and str(value).removesuffix(",").strip('"')
            arguments = [arguments[0], f"--{name}" if value is None else f"--{name}={value}", *arguments[1:]]
    return arguments


TOKENS = [*SPECIAL_TOKENS, "the", "sea", "ship", "##s", "."]
SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}


def folder_of(path, name, seed=0, **changes):
    """A Hugging Face folder of this class of transformers, with random weights."""
    kind = MODEL_CLASSES[name]
    config = EncoderConfig(kind.model_type, vocab_size=len(TOKENS), **(SIZES | changes))
    rng = np.random.default_rng(seed)
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": 2}, "encoder", kind.heads)
    weights = {t.ours: rng.normal(0, 0.3, t.shape("ours")).astype("float32") for t in table}
    return write_folder(path, LoadedModel(name, config, weights, kind.heads), WordPieceTokenizer(TOKENS))


@pytest.fixture(scope="module")
def places(folders, quick_text, quick_vocab, tmp_path_factory):
    """What stands in braces in the commands below."""
    root = tmp_path_factory.mktemp("remedies")
    for name in ("ElectraForMultipleChoice", "AlbertForTokenClassification", "ElectraForTokenClassification"):
        folder_of(root / name, name, hidden_act="gelu_new" if name.startswith("Albert") else "gelu")
    folder_of(root / "ElectraForMaskedLM", "ElectraForMaskedLM")
    folder_of(root / "ElectraForPreTraining", "ElectraForPreTraining", seed=1)
    folder_of(root / "few_heads", "ElectraForPreTraining", num_attention_heads=2)
    (root / "config.json").write_text('{"num_attention_heads": 2}')

    bare = shutil.copytree(root / "ElectraForMaskedLM", root / "bare")
    for path in bare.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    untied = shutil.copytree(bare, root / "untied")
    tensors = load_file(untied / "model.safetensors")
    table = tensors["electra.embeddings.word_embeddings.weight"]
    save_file(tensors | {"generator_lm_head.weight": table + 1}, untied / "model.safetensors")
    unknown = shutil.copytree(bare, root / "unknown")
    fields = json.loads((unknown / "config.json").read_text())
    (unknown / "config.json").write_text(json.dumps(fields | {"architectures": ["OurModel"]}))

    (root / "lines.txt").write_text("a\n" * 20)
    (root / "thai.txt").write_text("ที่นี่ น้ำ ที่ น้ำ ผู้ อยู่\n" * 50)
    shutil.copytree(quick_vocab, root / "strange")
    (root / "strange" / "notes.md").write_text("mine\n")
    found = {path.name: path for path in root.iterdir()} | {path.name: path for path in folders.iterdir()}
    return found | {"text": quick_text, "vocab": quick_vocab}


# name: (command, how it begins to say what is wrong, which of the remedies, what the remedy leaves open)
CASES = {
    "a generator does not judge": ("detect --input={run} --tower=generator 'the sea'", "", 0, {}),
    "a generator fills in": ("detect --input={run} --tower=generator 'the [MASK]'", "", 1, {}),
    "a discriminator does not fill in": ("fill-mask --input={run} --tower=discriminator 'the [MASK]'", "", 0, {}),
    "a discriminator judges": ("fill-mask --input={run} --tower=discriminator 'the [MASK]'", "", 1, {}),
    "a model without its tokenizer": (
        "fill-mask --input={bare} 'the [MASK]'",
        "",
        0,
        {"vocab": "{ElectraForMaskedLM}"},
    ),
    "a head that Google's ELECTRA has not": (
        "convert --input={ElectraForMultipleChoice} --to=tf1 --output={new}",
        "TF-V1 ELECTRA has no place",
        1,
        {},
    ),
    "a head that Google's ALBERT has not": (
        "convert --input={AlbertForTokenClassification} --to=tf1 --output={new}",
        "TF-V1 ALBERT has no place",
        1,
        {},
    ),
    "a task without a name": (
        "convert --input={ElectraForTokenClassification} --to=tf1 --output={new}",
        "the task has no name",
        0,
        {"task": "mnli"},
    ),
    "heads that TF-V1 does not tell": (
        "convert --input={few_heads} --to=tf1 --output={new}",
        "TF-V1 does not hold num_attention_heads",
        0,
        {"config": "{config.json}"},
    ),
    "two models that share nothing": (
        "convert --input={ElectraForPreTraining} --generator={ElectraForMaskedLM} --to=tf1 --output={new}",
        "the two models' embeddings differ",
        0,
        {},
    ),
    "tied weights that differ": (
        "convert --input={untied} --to=safetensors --output={new}",
        "generator_lm_head.weight is not equal",
        0,
        {},
    ),
    "a class that nobody knows": (
        "convert --input={unknown} --to=keras --output={new}.keras",
        "the configuration says OurModel",
        0,
        {"class": "ElectraForMaskedLM"},
    ),
    "no pairs of single lines": (
        "data --input={lines.txt} --vocab={vocab} --length=16 --held_out=0 --pairs --document=line --output={new}",
        "no document can be parted",
        0,
        {},
    ),
    "pairs across documents": (
        "data --input={text} --vocab={vocab} --length=32 --pairs --cross_documents --output={new} --processes=0",
        "pairs are asked for together with cross_documents",
        0,
        {},
    ),
    "pairs, or no pairs": (
        "data --input={text} --vocab={vocab} --length=32 --pairs --cross_documents --output={new} --processes=0",
        "pairs are asked for together with cross_documents",
        1,
        {},
    ),
    "pairs as ALBERT packed them": (
        "data --input={text} --vocab={vocab} --length=32 --pairs --packing=original --output={new} --processes=0",
        "pairs are asked for of the packing 'original'",
        1,
        {},
    ),
    "all of it held out": (
        "data --input={lines.txt} --vocab={vocab} --length=16 --held_out=0.999 --output={new} --processes=0",
        "no document is left to train on",
        0,
        {"held_out": "0"},
    ),
}
SLOW = {  # a vocabulary takes seconds
    "marks that are letters": (
        "vocab --input={thai.txt} --size=60 --output={new}",
        "marks that are letters",
        0,
        {},
    ),
    "marks that are letters, meant": (
        "vocab --input={thai.txt} --size=60 --output={new}",
        "marks that are letters",
        1,
        {},
    ),
    "a folder with something else": (
        "vocab --input={text} --size=200 --output={strange}",
        "the folder holds something else",
        0,
        {"output": "{new}"},
    ),
}


@pytest.mark.parametrize(
    "command, found, which, values",
    [*CASES.values(), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW.values())],
    ids=[*CASES, *SLOW],
)
def test_a_remedy_works_as_it_is_printed(electra_tf, places, tmp_path, command, found, which, values):
    places = places | {"new": tmp_path / "new"}
    fill = lambda text: re.sub(r"\{([\w.]+)\}", lambda match: str(places[match[1]]), text)  # noqa: E731
    arguments = [fill(argument) for argument in shlex.split(command)]
    done = electra_tf(*arguments)
    assert done.returncode == 2 and found in done.stderr, done.stderr
    typed = followed(arguments, done.stderr, which, {name: fill(value) for name, value in values.items()})
    done = electra_tf(*typed)
    assert done.returncode == 0, f"electra-tf {shlex.join(typed)}\n{done.stderr}"


RUN = {
    "Electra.discriminator": SIZES,
    "Recipe.steps": 2,
    "Recipe.batch_size": 8,
    "Recipe.compiler": "eager",
    "Recipe.eval_examples": 0,
    "Schedule.warmup_steps": 0,
}
PRETRAINING = {
    "a start, and informed weights": (
        {
            "Electra.initial_weights": "informed",
            "Electra.generator": SIZES,
            "Electra.embedding_sharing": "none",
        },
        "--init_checkpoint={ElectraForPreTraining} --init_generator={ElectraForMaskedLM}",
        "initial_weights is 'informed'",
        0,
    ),
    "layers shared by towers that differ": (
        {
            "Electra.generator": {"hidden_size": 16, "intermediate_size": 16},
            "Electra.share_layers": True,
            "Electra.initial_weights": "random",
        },
        "",
        "the generator's num_hidden_layers is 1, the discriminator's 2",
        0,
    ),
}


@pytest.mark.parametrize("settings, flags, found, which", PRETRAINING.values(), ids=PRETRAINING)
def test_a_remedy_of_pretraining_works_as_it_is_printed(
    electra_tf, places, quick_data, tmp_path, settings, flags, found, which
):
    params = [f"--gin_param={name} = {value!r}" for name, value in (RUN | settings).items()]
    flags = flags.format_map(places).split()
    arguments = ["pretrain", "--gin_file=electra_tiny", *flags, f"--data={quick_data}", f"--model_dir={tmp_path / 'r'}"]
    done = electra_tf(*arguments, *params)
    assert done.returncode == 2 and found in done.stderr, done.stderr
    typed = followed([*arguments, *params], done.stderr, which, {})
    done = electra_tf(typed[0], *typed[2:], typed[1])  # what is added is typed last, hence counts
    assert done.returncode == 0, f"electra-tf {shlex.join(typed)}\n{done.stderr}"
    assert (Path(tmp_path) / "r" / "metrics.jsonl").is_file()
