"""README.md of an exported model: what it was trained on and how, and how to load it."""

import json
from pathlib import Path

from electra_tf.conversion.models import class_with
from electra_tf.conversion.names import PRETRAINING_HEADS
from electra_tf.conversion.run_directory import METRICS, RUN, read_metrics


def model_card(model_dir, tower: str) -> str:
    """README.md of an exported tower: data, steps, recipe, metrics, and how to load it."""
    run = json.loads((Path(model_dir) / RUN).read_text(encoding="utf-8"))
    lines = read_metrics(Path(model_dir) / METRICS)
    evaluation = next((line for line in reversed(lines) if line["kind"] == "eval"), {})
    config, recipe = run["model"][tower], run["recipe"]
    holder = class_with(config["model_type"], PRETRAINING_HEADS[tower])
    metrics = {name: value for name, value in evaluation.items() if name not in ("step", "kind", "wall")}
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in metrics.items())
    heads = {"num_attention_heads": config["num_attention_heads"]}
    told = heads["num_attention_heads"] == max(1, config["hidden_size"] // 64)
    to_tf1 = "electra-tf convert --input FOLDER --to tf1 --output TF1"
    to_tf1 += "" if told else f" --config heads.json, with `{json.dumps(heads)}` in that file"
    data = run["data"]
    text = "of unknown size"
    if data.get("tokens"):
        text = f"{data['tokens']:,} tokens in {data['examples']:,} examples of {data['length']}"
    origin = "from other checkpoints' weights" if run.get("start") else "from scratch"
    return f"""---
library_name: transformers
tags: [{config["model_type"]}, pre-trained]
---

# A {config["model_type"].upper()} {tower}

Pre-trained {origin} by replaced-token detection with `electra_tf`.

| | |
|---|---|
| hidden size, layers | {config["hidden_size"]}, {config["num_hidden_layers"]} |
| attention heads | {config["num_attention_heads"]} |
| embedding size, vocabulary | {config["embedding_size"]}, {config["vocab_size"]} |
| steps | {recipe["steps"]:,}, the last evaluation at step {evaluation.get("step", 0):,} |
| batch | {recipe["batch_size"]} rows |
| optimizer | AdamW, betas {recipe["beta_1"]} and {recipe["beta_2"]}, weight decay {recipe["weight_decay"]} |
| peak learning rate | {recipe["learning_rate"]} |
| schedule | {recipe["schedule"]}, {recipe["warmup_steps"]} warm-up steps |
| masked | {run["model"]["mask_prob"]:.0%} of the tokens |
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

As a TF-V1 checkpoint, for Google's code: `{to_tf1}`.
"""
