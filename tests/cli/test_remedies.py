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
from electra_tf.checkpoints.loaded_model import MODEL_CLASSES, LoadedModel
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.models import EncoderConfig
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

_FLAG = re.compile(r"""--(\w+)(?:=([^\s,;`]+)| ("[^"]*"|/[^\s,;`]+))?""")


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


SMALL = {
    "FineTuning.least_updates": 0,
    "FineTuning.epochs": 10.0,
    "FineTuning.peak": 0.02,
    "FineTuning.layer_decay": 1.0,
    "FineTuning.length": 24,
    "Recipe.batch_size": 16,
    "Recipe.compiler": "graph",
}
LABELLED = [("the sea", "good"), ("the ship", "bad")]


def table(path, names, rows, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(delimiter.join(map(str, row)) + "\n" for row in (names, *rows)))


@pytest.fixture(scope="module")
def labelled(electra_tf, places, tmp_path_factory):
    """Labelled files of every family, and two runs that learned some; what stands in braces below."""
    root = tmp_path_factory.mktemp("labelled")
    rows = [LABELLED[n % 2] for n in range(64)]
    for name in ("train", "dev"):
        table(root / f"{name}.csv", ("text", "label", "same"), [(*row, "x") for row in rows])
        table(root / f"{name}_own.csv", ("review", "stars"), rows)
        for folder in ("RTE", "WNLI"):
            lines = [(i, "the sea" if i % 2 else "the ship", "the", "no" if i % 2 else "yes") for i in range(16)]
            table(root / f"GLUE/{folder}/{name}.tsv", ("index", "sentence1", "sentence2", "label"), lines, "\t")
    table(root / "GLUE/RTE/test.tsv", ("index", "sentence1", "sentence2"), [(0, "the sea", "the")], "\t")
    table(root / "odd/RTE/test.tsv", ("index", "a", "b"), [(0, "the sea", "the")], "\t")
    table(root / "each_once.csv", ("text", "label"), [("the sea", "good"), ("the ship", "bad")])
    questions = [("the", f"the sea {'. ' * (n % 5)}ship", "sea") for n in range(40)]
    table(root / "questions.csv", ("question", "context", "answer"), questions)
    table(root / "asked.csv", ("q", "c", "a"), questions)
    lines = [{"q": q, "c": c, "a": a} for q, c, a in questions]
    (root / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    table(root / "one_text.csv", ("question", "context", "answer"), [("the", "the sea", "sea")] * 20)
    table(root / "no_answer.csv", ("question", "context", "answer", "found"), [(*q[:2], "", q[2]) for q in questions])
    (root / "tags.conll").write_text("the\tx\tO\nsea\tx\tB-SEA\n\nship\tx\tO\nsea\tx\tB-SEA\n\n" * 20)
    (root / "same_tag.conll").write_text("the\tO\tx\nsea\tB-SEA\tx\n\nship\tO\tx\n\n" * 20)
    words = [{"w": ["the", "sea"], "t": ["O", "B-SEA"]}, {"w": ["ship"], "t": ["O"]}] * 20
    (root / "lists.jsonl").write_text("".join(json.dumps(line) + "\n" for line in words))
    puzzles = [
        {"c": f"the {'. ' * n}", "q": "", "o": ["ship", "sea"][:: 1 - 2 * (n % 2)], "a": "sea"} for n in range(20)
    ]
    (root / "puzzles.jsonl").write_text("".join(json.dumps(line) + "\n" for line in puzzles))
    (root / "no_data").mkdir()
    found = places | {path.name: path for path in root.iterdir()}
    checkpoint = f"--init_checkpoint={found['ElectraForPreTraining']}"
    pairs = ["--task=rte", f"--data={root / 'GLUE/RTE'}"]
    of = {"tuned": [f"--train={found['train.csv']}", f"--dev={found['dev.csv']}"], "rte": pairs}
    of["several"] = ["--task=rte,wnli", f"--data={root / 'GLUE'}"]
    for name, words in of.items():
        done = electra_tf("finetune", *words, checkpoint, f"--model_dir={root / name}", *small())
        assert done.returncode == 0 or "all 1 runs failed" in done.stderr, done.stderr
        found[name] = root / name
    spoiled = shutil.copytree(root / "tuned", root / "spoiled")
    (spoiled / "results.json").write_text("{}")
    convert = electra_tf("convert", f"--input={root / 'tuned/seed-0'}", f"--output={root / 'no_words'}")
    assert convert.returncode == 0, convert.stderr
    for path in (root / "no_words").iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    return found | {"spoiled": spoiled, "no_words": root / "no_words"}


def small(task=""):
    """Settings of a training of a second, of a family of tasks."""
    asked = {"--task=span": ("question_length", "stride"), "--task=choice": ("question_length",)}.get(task, ())
    settings = SMALL | {f"FineTuning.{name}": 8 for name in asked}
    return [f"--gin_param={name} = {value!r}" for name, value in settings.items()]


_TUNE = "finetune --init_checkpoint={ElectraForPreTraining} --model_dir={new} "
OF_TASKS = {
    "no checkpoint": (
        "finetune --train={train.csv} --dev={dev.csv} --model_dir={new}",
        "there is no checkpoint to start from",
        0,
        {"init_checkpoint": "{ElectraForPreTraining}"},
    ),
    "no vocabulary beside a checkpoint": (
        "finetune --init_checkpoint={bare} --train={train.csv} --dev={dev.csv} --model_dir={new}",
        "the checkpoint has no vocabulary with it",
        0,
        {"vocab": "{ElectraForMaskedLM}"},
    ),
    "no training file": (_TUNE, "there is no training file", 0, {"train": "{train.csv}"}),
    "no data of a published task": (_TUNE + "--task=rte", "there is no data for rte", 0, {"data": "{GLUE}/RTE"}),
    "another folder": (_TUNE + "--task=rte --data={no_data}", "there is no train.tsv", 0, {"data": "{GLUE}/RTE"}),
    "columns of a table": (
        _TUNE + "--train={train_own.csv} --dev={dev_own.csv}",
        "there is no column 'text'",
        0,
        {"text": "review", "label": "stars"},
    ),
    "the same label everywhere": (
        _TUNE + "--train={train.csv} --dev={dev.csv} --label=same",
        "all rows have the label 'x'",
        0,
        {"label": "label"},
    ),
    "nothing to hold out": (
        _TUNE + "--train={each_once.csv}",
        "no row can be held out",
        0,
        {"dev": "{dev.csv}"},
    ),
    "questions on one text": (
        _TUNE + "--task=span --train={one_text.csv}",
        "all questions are on one text",
        0,
        {"dev": "{questions.csv}"},
    ),
    "columns of questions in a table": (
        _TUNE + "--task=span --train={asked.csv} --dev={asked.csv}",
        "there is no column 'question'",
        0,
        {"text": "q,c", "label": "a"},
    ),
    "fields of questions": (
        _TUNE + "--task=span --train={asked.jsonl} --dev={asked.jsonl}",
        "there is no 'question'",
        0,
        {"text": "q,c", "label": "a"},
    ),
    "no answers": (
        _TUNE + "--task=span --train={no_answer.csv} --dev={no_answer.csv}",
        "no question has an answer",
        0,
        {"label": "found"},
    ),
    "the column of tags": (
        _TUNE + "--task=tagging --train={same_tag.conll} --dev={same_tag.conll}",
        "all words have the tag 'x'",
        0,
        {"label": "1"},
    ),
    "lists of words": (
        _TUNE + "--task=tagging --train={lists.jsonl} --dev={lists.jsonl}",
        "there is no list 'tokens'",
        0,
        {"text": "w", "label": "t"},
    ),
    "columns of puzzles": (
        _TUNE + "--task=choice --train={puzzles.jsonl} --dev={puzzles.jsonl}",
        "there is no 'context'",
        0,
        {"text": "c,q", "choices": "o", "label": "a"},
    ),
    "columns to score": (
        "evaluate --input={tuned} --file={train_own.csv}",
        "there is no column 'text'",
        0,
        {"text": "review", "label": "stars"},
    ),
    "a column to answer": (
        "predict --input={tuned} --file={train_own.csv}",
        "there is no column 'text'",
        0,
        {"text": "review"},
    ),
    "a task that is none": (
        "predict --input={tuned} --task=rte 'the sea'",
        "there is no task 'rte'",
        0,
        {"task": "classification"},
    ),
    "a task of no run": (
        "predict --input={no_words} --vocab={ElectraForMaskedLM} --task=rte 'the sea'",
        "--task rte",
        0,
        {},
    ),
    "one of several tasks": (
        "predict --input={several} --file={GLUE}/RTE/dev.tsv",
        "the run is of several tasks",
        0,
        {"task": "rte"},
    ),
    "the best run is not told": ("predict --input={spoiled} 'the sea'", "it does not tell which run", 0, {}),
    "a tuned model without its tokenizer": (
        "predict --input={no_words} 'the sea'",
        "the model has no tokenizer with it",
        0,
        {"vocab": "{ElectraForMaskedLM}"},
    ),
    "a folder without GLUE's files": (
        "glue --input={rte} --data={no_data} --output={new}.zip",
        "there is no RTE/test.tsv",
        0,
        {"data": "{GLUE}"},
    ),
    "a table of GLUE with other columns": (
        "glue --input={rte} --data={odd} --output={new}.zip",
        "there is no column 'sentence1'",
        0,
        {"data": "{GLUE}"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("command, found, which, values", OF_TASKS.values(), ids=OF_TASKS)
def test_a_remedy_of_fine_tuning_works_as_it_is_printed(electra_tf, labelled, tmp_path, command, found, which, values):
    """A run that fails to learn in a second has done what the remedy promises, too."""
    places = labelled | {"new": tmp_path / "new"}
    fill = lambda text: re.sub(r"\{([\w.]+)\}", lambda match: str(places[match[1]]), text)  # noqa: E731
    arguments = [fill(argument) for argument in shlex.split(command)]
    task = next((word for word in arguments if word.startswith("--task=")), "")
    more = small(task) if arguments[0] == "finetune" else []
    done = electra_tf(*arguments, *more)
    assert done.returncode == 2 and found in done.stderr, done.stderr
    typed = followed(arguments, done.stderr, which, {name: fill(value) for name, value in values.items()})
    done = electra_tf(*typed, *more)
    assert done.returncode == 0 or "all 1 runs failed" in done.stderr, f"electra-tf {shlex.join(typed)}\n{done.stderr}"
