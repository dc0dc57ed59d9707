"""README.md of an exported model: what it was trained on and how, and how to load it."""

import json
import re
from html import escape
from pathlib import Path

from electra_tf.checkpoints.hub import is_name
from electra_tf.checkpoints.loaded_model import class_with
from electra_tf.checkpoints.metrics_jsonl import METRICS, read_metrics
from electra_tf.checkpoints.run_checkpoints import to_stderr
from electra_tf.checkpoints.run_json import read_description
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, PRETRAINING_HEADS
from electra_tf.errors import shown


def model_card(model_dir, tower: str, task: str | None = None) -> str:
    """README.md of an exported tower, or of one of several tasks: data, steps, recipe, metrics, and how to load it."""
    run = _plain(read_description(model_dir))
    if "answers" in run:
        return _card_of_tuned(Path(model_dir), run, task)
    lines = _plain(read_metrics(Path(model_dir) / METRICS, to_stderr))
    evaluation = next((line for line in reversed(lines) if line["kind"] == "eval"), {})
    own = tower if tower in run["towers"] else next(iter(run["towers"]))
    config, settings = run["towers"][own], run["settings"]
    recipe, schedule = settings["Recipe"], settings["Schedule"]
    own_heads = PRETRAINING_HEADS.get(tower, run["heads"][own])
    holder = class_with(config["model_type"], own_heads)
    drawn = "pooler" in {*MODEL_CLASSES[holder].heads} - {*own_heads}
    pooler = "\nIts pooler was not trained: one was drawn, so that every opening has the same.\n" if drawn else ""
    energy = settings.get("Electra", {}).get("judged") == "electric" and tower == "discriminator"
    pooler += _ENERGY if energy else ""
    metrics = {name: value for name, value in evaluation.items() if name not in ("step", "kind", "wall")}
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in metrics.items())
    heads = {"num_attention_heads": config["num_attention_heads"]}
    told = heads["num_attention_heads"] == max(1, config["hidden_size"] // 64)
    to_tf1 = "`electra-tf convert --input FOLDER --to tf1 --output TF1"
    to_tf1 += "`" if told else f" --config heads.json`, with `{json.dumps(heads)}` in that file"
    data = run["data"]
    text = "of unknown size"
    if data.get("tokens"):
        text = f"{data['tokens']:,} tokens in {data['examples']:,} examples of {data['length']}"
    optimizer = next(name for name in ("AdamW", "Lamb") if name in settings)
    rates = settings[optimizer]
    described = "\n".join(f"| {name} | {text} |" for name, text in run["describe"].items())
    origin = "from other checkpoints' weights" if run.get("start") else "from scratch"
    return f"""---
library_name: transformers
tags: [{config["model_type"]}, pre-trained]
---

# An {config["model_type"].upper()} {tower}

Pre-trained {origin} by {run["describe"].get("learned by", "replaced-token detection")} with `electra_tf`.

| | |
|---|---|
| hidden size, layers | {config["hidden_size"]}, {config["num_hidden_layers"]} |
| attention heads | {config["num_attention_heads"]} |
| embedding size, vocabulary | {config["embedding_size"]}, {config["vocab_size"]} |
| steps | {recipe["steps"]:,}, the last evaluation at step {evaluation.get("step", 0):,} |
| batch | {recipe["batch_size"]} rows |
| optimizer | {optimizer}, betas {rates["beta_1"]} and {rates["beta_2"]}, weight decay {rates["weight_decay"]} |
| peak learning rate | {schedule["peak"]} |
| schedule | {schedule["kind"]}, {schedule["warmup_steps"]} warm-up steps |
{described}
| seed | {recipe["seed"]} |
| training data | {text}, identity {data["identity"][:16]} |

On held-out text, under fixed masks and samples (losses in nats):

| metric | value |
|---|---|
{rows}

## Loading it

```python
from transformers import AutoTokenizer, {holder}

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = {holder}.from_pretrained("FOLDER")
```

```python
from electra_tf import Encoder

encoder = Encoder.from_pretrained("FOLDER", tower="{tower}")  # a Keras model
```
{pooler}
As a TF-V1 checkpoint, for Google's code: {to_tf1}.
{_UNSAID}"""


_ENERGY = """
Its output for a token is an energy (Electric), no logit of being replaced: the lower, the likelier is the token there.
"""
_UNSAID = """
Its licence and language are not known here: before you publish it, add `license:` and `language:` at the top.
"""


def _plain(value):
    """JSON's content with its texts such that Markdown and HTML show them, and do not obey them."""
    if isinstance(value, dict):
        return {_plain(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, str):
        return value
    text = escape(shown(" ".join(value.split())), quote=False)
    return re.sub(r"([|`*\[\]\\])", r"\\\1", text)


_PIPELINES = {
    "SequenceClassification": "text-classification",
    "TokenClassification": "token-classification",
    "QuestionAnswering": "question-answering",
}


def _card_of_tuned(model_dir, run, task) -> str:
    """README.md of a fine-tuned model: what it answers, the scores of every seed, its data, and how to load it."""
    ((config, heads),) = zip(run["towers"].values(), run["heads"].values(), strict=True)
    of_task = run["answers"].get("tasks", {}).get(task, {})
    heads, length = of_task.get("heads", heads), of_task.get("length", run["data"]["length"])
    settings, data, holder = run["settings"]["FineTuning"], run["data"], class_with(config["model_type"], heads)
    results, seed = model_dir.parent / "results.json", model_dir.name.removeprefix("seed-")
    found = _plain(json.loads(results.read_text("utf-8"))) if results.is_file() else {"runs": []}
    metric, rows = found.get("metric"), []
    for one in found["runs"]:
        own = " (this one)" if str(one["seed"]) == seed else ""
        test = f"{one['test'][metric.removeprefix('best_')]:.4f}" if "test" in one else ""
        rows.append(f"| {one['seed']}{own} | {one['dev'][metric]:.4f} | {test} | {'failed' if one['failed'] else ''} |")
    scores = "\n".join([f"| seed | {metric} on the dev rows | on the test rows | |", "|---|---|---|---|", *rows])
    start = run.get("start", {}).get("checkpoint", "random weights")
    described = "\n".join(f"| {name} | {text} |" for name, text in run["describe"].items())
    kind = next((name for end, name in _PIPELINES.items() if holder.endswith(end)), None)
    loading = f'from transformers import pipeline\n\nanswer = pipeline("{kind}", "FOLDER")'
    if kind == "text-classification":
        how = {"head_tail": "; here it reads a text's beginning and end", "windows": "; here it reads all of a text"}
        how = how.get(settings["long"], ", as it was trained")
        loading += f"\nanswer(texts, truncation=True)  # after {length} tokens{how}"
    hashes = "".join(f"| sha256 of the {name} rows | {one} |\n" for name, one in found.get("data", {}).items())
    rows_of_data = f"{data['examples']:,} rows{' of all tasks' if of_task else ''}"
    if kind is None:
        loading = f'from transformers import {holder}\n\nmodel = {holder}.from_pretrained("FOLDER")'
    return f"""---
library_name: transformers
tags: [{config["model_type"]}, fine-tuned]
---

# An {config["model_type"].upper()} fine-tuned: {settings["task"]}

Fine-tuned from {start if is_name(start) else Path(start).name} with `electra_tf`.

| | |
|---|---|
{described}
| training data | {Path(data["path"]).name}, {rows_of_data}, at most {length} tokens |
{hashes}| identity of the rows and the vocabulary | {data["identity"]} |
| peak learning rate | {run["settings"]["Schedule"]["peak"]:g} |
| steps, rows of a batch | {run["settings"]["Recipe"]["steps"]:,}, {run["settings"]["Recipe"]["batch_size"]} |

{scores if rows else "Its scores are not kept beside it."}

## Loading it

```python
{loading}
```

```python
from electra_tf import Predictor

predictor = Predictor.open("FOLDER")
```
{_UNSAID}"""
