"""Pictures and words about a finished run: the curves as a PNG, the model card of an export."""

import json
from pathlib import Path

from electra_tf.conversion.models import class_with
from electra_tf.conversion.names import PRETRAINING_HEADS
from electra_tf.conversion.run_directory import RUN
from electra_tf.training.progress import METRICS, read_metrics


def draw_curves(model_dir, path) -> None:
    """Draws losses and areas under the ROC curve against steps, on training and held-out text, as a PNG.

    Args:
        model_dir: a run directory. path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = read_metrics(Path(model_dir) / METRICS)
    train = [line for line in lines if line["kind"] == "train"]
    held_out = [line for line in lines if line["kind"] == "eval"]
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), constrained_layout=True)
    panels = (
        ("Generator: masked-LM loss (nats)", "mlm_loss"),
        ("Discriminator: loss (nats a token)", "disc_loss"),
        ("Discriminator: area under the ROC curve", "disc_auc"),
    )
    for axis, (title, name) in zip(axes, panels, strict=True):
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.plot(*_series(train, name), color="tab:blue", alpha=0.6, label="training (some tokens left in view)")
        axis.plot(*_series(held_out, name), "o-", color="tab:orange", markersize=4, label="held out")
        axis.grid(alpha=0.3)
    if held_out:
        unigram = held_out[-1]["unigram_loss"]
        axes[0].axhline(unigram, color="gray", linestyle="--", label="token frequencies alone")
        fixed = _series(held_out, "fixed_disc_auc")
        axes[2].plot(*fixed, "s-", color="tab:green", markersize=4, label="held out, fixed corruptions")
    for axis in axes:
        axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _series(lines, name):
    return [line["step"] for line in lines], [line[name] for line in lines]


def model_card(model_dir, tower: str) -> str:
    """README.md of an exported tower: data, steps, recipe, metrics, and how to load it."""
    run = json.loads((Path(model_dir) / RUN).read_text(encoding="utf-8"))
    lines = read_metrics(Path(model_dir) / METRICS)
    evaluation = next((line for line in reversed(lines) if line["kind"] == "eval"), {})
    config, recipe = run["model"][tower], run["recipe"]
    holder = class_with(config["model_type"], PRETRAINING_HEADS[tower])
    metrics = {name: value for name, value in evaluation.items() if name not in ("step", "kind", "wall")}
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in metrics.items())
    return f"""---
library_name: transformers
tags: [{config["model_type"]}, pre-trained]
---

# A {config["model_type"].upper()} {tower}

Pre-trained from scratch by replaced-token detection with `electra_tf`.

| | |
|---|---|
| hidden size, layers | {config["hidden_size"]}, {config["num_hidden_layers"]} |
| attention heads | {config["num_attention_heads"]} |
| embedding size, vocabulary | {config["embedding_size"]}, {config["vocab_size"]} |
| steps | {recipe["steps"]:,}, the last evaluation at step {evaluation.get("step", 0):,} |
| batch | {recipe["batch_size"]} rows |
| peak learning rate | {recipe["learning_rate"]} |
| schedule | {recipe["schedule"]}, {recipe["warmup_steps"]} warm-up steps |
| masked | {run["model"]["mask_prob"]:.0%} of the tokens |
| seed | {recipe["seed"]} |
| data | identity {run["data"]["identity"][:16]} |

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
"""
