"""Does it learn, and as transformers' PyTorch classes do with the same model, data and recipe?

    python benchmarks/learning.py parity --data DATA
    python benchmarks/learning.py free --data DATA --work FOLDER --steps 600 --seeds 0,1,2

`parity`: from the same exported weights, with the same masks and samples fed and no dropout, both losses step by step.
Rounding grows along a trajectory: how fast is shown by the peer itself, started from weights moved by one unit in the
last place.
`free`: the recipe of gin/pretrain/electra_tiny.gin, every run on its own masks, samples and order from initial weights
of its own; all are judged by the product's own evaluation on held-out text.
Results go to docs/results/.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

PARITY = {"batch_size": 32, "peak": 5e-4, "warmup_steps": 100, "kind": "product", "bias_correction": False}


def prepare(data, params):
    """(dataset, objective, recipe, schedule, optimizer) of electra_tiny.gin over `data`."""
    from electra_tf.cli.gin_files import configured
    from electra_tf.data.reader import DataSet
    from electra_tf.pretraining.electra import ReplacedTokenDetection
    from electra_tf.pretraining.run import settings_of
    from electra_tf.pretraining.tokens import Tokens
    from electra_tf.training.recipe import Recipe

    dataset = DataSet.open(data)
    (recipe, settings, masking, schedule, optimizer), _ = configured(Recipe, settings_of, ["electra_tiny"], params)
    objective = ReplacedTokenDetection(settings, masking, Tokens.of(dataset.tokenizer), recipe.steps)
    return dataset, objective, recipe, schedule, optimizer


def torch_model(objective, weights):
    """The peer with our weights."""
    import torch
    from torch_electra import TorchElectra

    from electra_tf.checkpoints.loaded_model import pretrained
    from electra_tf.checkpoints.torch_classes import to_torch

    fields = [
        {**c.to_dict(), "attn_implementation": "eager"}
        for c in (objective.towers["generator"], objective.towers["discriminator"])
    ]
    model = TorchElectra(*fields, gathered=True, disc_weight=objective.settings.disc_weight)
    for tower, part in (("generator", model.generator), ("discriminator", model.discriminator)):
        tensors = to_torch(pretrained(tower, objective.towers[tower], weights))
        state = {name: torch.tensor(array) for name, array in tensors.items()}
        missing, unexpected = part.load_state_dict(state, strict=False)
        assert not unexpected and not [n for n in missing if "generator_lm_head" not in n], (missing, unexpected)
    return model


def as_torch(batch, drawn):
    import torch

    tensors = {name: torch.from_numpy(tensor.numpy()).long() for name, tensor in batch.items()}
    masked = [torch.from_numpy(t.numpy()) for t in drawn.masked]
    return tensors, masked[0].long(), masked[1].long(), masked[2].long(), masked[3]


def parity(data, steps, output):
    """Prints and writes the largest relative difference of the losses over `steps` fed steps; true up to 1e-4."""
    import keras
    import numpy as np
    import tensorflow as tf
    import torch
    from torch_electra import PlainAdamW, product

    from electra_tf.optimizers.adamw import AdamW
    from electra_tf.optimizers.schedules import Schedule
    from electra_tf.training.step import Step

    keras.utils.set_random_seed(0)
    dataset, objective, *_ = prepare(data, ["Electra.disc_weight = 50.0"])
    schedule = Schedule(PARITY["kind"], PARITY["peak"], PARITY["warmup_steps"])
    objective.measure = lambda batch, drawn, outputs: outputs._asdict()
    step = Step(objective, AdamW(), schedule, 1000, 0, "graph")
    weights = {name: w.numpy() for name, w in step.weights.items()}
    random = np.random.default_rng(0)
    moved = {name: w * (1 + random.integers(-1, 2, w.shape) * np.finfo("float32").eps) for name, w in weights.items()}
    moved = {name: w.astype("float32") for name, w in moved.items()}
    peers = [torch_model(objective, start).train() for start in (weights, moved)]
    rates = product(schedule.peak, 1000, schedule.warmup_steps)
    optimizers = [PlainAdamW(p.named_parameters(), rates) for p in peers]

    @tf.function(autograph=False)
    def ours(batch, drawn):
        gradients, outputs = step.gradients(batch)
        step.apply_gradients(gradients)
        return outputs["generator_loss"], outputs["disc_loss"], outputs["sampled"]

    rows = []
    for batch in dataset.batches(PARITY["batch_size"], seed=0).take(steps):
        drawn = step.draw(batch)
        *losses, sampled = ours(batch, drawn)
        rows.append([[float(loss) for loss in losses]])
        for peer, optimizer in zip(peers, optimizers, strict=True):
            loss, *losses, _ = peer(*as_torch(batch, drawn), sampled=torch.from_numpy(sampled.numpy()).long())
            loss.backward()
            optimizer.step()
            rows[-1].append([float(loss.detach()) for loss in losses])
    found, expected, rounded = np.array(rows).transpose(1, 0, 2)
    result = {"steps": steps, "recipe": PARITY}
    for who, losses in (("electra_tf", found), ("transformers, weights moved by one unit", rounded)):
        largest = np.max(np.abs(losses / expected - 1), axis=0)
        result[who] = dict(zip(("mlm_loss", "disc_loss"), largest.tolist(), strict=True))
        print(f"{who} against transformers, largest relative difference: {result[who]}")
    print(f"losses at the last step: electra_tf {found[-1]}, transformers {expected[-1]}")
    (output / "learning_parity.json").write_text(json.dumps(result, indent=1) + "\n")
    return max(result["electra_tf"].values()) <= 1e-4


def free_settings(steps, seed):
    """gin bindings of a free run: rows as long as the model's positions make smaller batches."""
    settings = {"steps": steps, "batch_size": 32, "seed": seed, "eval_every": max(1, steps // 8), "eval_examples": 512}
    return [f"Recipe.{name} = {value}" for name, value in settings.items()]


def run_ours(data, work, steps, seed):
    """One run of the product's command; the curve of its evaluations."""
    folder = Path(work) / f"ours-{seed}"
    params = [word for setting in free_settings(steps, seed) for word in ("--gin_param", setting)]
    command = [sys.executable, "-m", "electra_tf", "pretrain", "--gin_file", "electra_tiny", *params]
    subprocess.run([*command, "--data", data, "--model_dir", str(folder)], check=True)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "eval"]


def run_peer(data, steps, seed):
    """One run of the peer on its own randomness, from our initial weights' distribution; the same evaluations."""
    import keras
    import tensorflow as tf
    import torch
    from torch_electra import PlainAdamW, linear

    from electra_tf.checkpoints.torch_classes import from_torch
    from electra_tf.pretraining.evaluation import DetectionEvaluation
    from electra_tf.pretraining.informed_initialization import start_informed

    torch.manual_seed(seed)
    keras.utils.set_random_seed(1000 + seed)
    dataset, judge, recipe, schedule, rule = prepare(data, free_settings(steps, seed))
    towers = [getattr(judge.model, tower) for tower in judge.towers]
    start_informed(towers, judge.model.masked_lm, dataset.frequencies)
    variables = judge.weights
    peer = torch_model(judge, {name: v.numpy() for name, v in variables.items()})
    evaluation = DetectionEvaluation(judge, dataset, recipe.eval_examples, recipe.batch_size, recipe.eval_seed)
    rates = linear(schedule.peak, steps, schedule.warmup_steps)
    optimizer = PlainAdamW(peer.named_parameters(), rates, correct_bias=rule.bias_correction)
    curve = []
    for number, batch in enumerate(dataset.batches(recipe.batch_size, seed=100 + seed).take(steps), start=1):
        drawn = judge.draw(batch, 5000 + seed, tf.constant(number, tf.int64))
        peer.train()
        loss, *_ = peer(*as_torch(batch, drawn), numbers=torch.rand(tuple(drawn.numbers.shape)))
        loss.backward()
        optimizer.step()
        if number % recipe.eval_every == 0:
            for tower, part in (("discriminator", peer.discriminator), ("generator", peer.generator)):
                tensors = {name: t.detach().numpy() for name, t in part.state_dict().items()}
                tower_config = judge.towers[tower]
                for name, array in from_torch(tensors, tower_config.to_dict(), tower_config).tower_weights().items():
                    if name in variables:
                        variables[name].assign(array)
            curve.append({"step": number, **evaluation()})
            print(f"transformers seed {seed} step {number}: {curve[-1]['mlm_loss']:.3f}", file=sys.stderr, flush=True)
    return curve


def free(data, work, steps, seeds, output):
    """Runs all, draws the curves, prints the means; true when they agree within 1 %."""
    curves = {"electra_tf": [], "transformers": []}
    for seed in seeds:
        curves["electra_tf"].append(run_ours(data, work, steps, seed))
        began = time.perf_counter()
        command = [sys.executable, __file__, "peer", "--data", data, "--steps", str(steps), "--seeds", str(seed)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        curves["transformers"].append(json.loads(done.stdout.splitlines()[-1]))
        print(f"seed {seed}: the peer took {time.perf_counter() - began:.0f} s", file=sys.stderr)
    (output / "learning.json").write_text(json.dumps({"steps": steps, "curves": curves}, indent=1))
    draw_curves(curves, output / "learning.png")
    unigram, good = curves["electra_tf"][0][-1]["unigram_loss"], True
    print(f"after {steps} steps, means over seeds {seeds}; token frequencies alone {unigram:.4f}")
    for name in ("mlm_loss", "disc_loss", "disc_auc", "fixed_disc_auc"):
        ours, theirs = (statistics.mean(c[-1][name] for c in curves[k]) for k in ("electra_tf", "transformers"))
        difference = ours / theirs - 1
        if name.endswith("loss"):
            good &= abs(difference) <= 0.01
        print(f"{name:15} electra_tf {ours:.4f}  transformers {theirs:.4f}  {difference:+.2%}")
    return good


def draw_curves(curves, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    for axis, name in zip(axes, ("mlm_loss", "fixed_disc_auc"), strict=True):
        for (label, runs), color in zip(curves.items(), ("tab:blue", "tab:orange"), strict=True):
            for number, curve in enumerate(runs):
                xs, ys = [e["step"] for e in curve], [e[name] for e in curve]
                axis.plot(xs, ys, color=color, alpha=0.8, label=label if number == 0 else None)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    unigram = curves["electra_tf"][0][-1]["unigram_loss"]
    axes[0].axhline(unigram, color="gray", linestyle="--", label="token frequencies alone")
    axes[0].set_title("Held-out masked-LM loss (nats)")
    axes[1].set_title("AUC on fixed corruptions of held-out text")
    for axis in axes:
        axis.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["parity", "free", "peer"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", default="runs/learning")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    if options.what == "peer":
        print(json.dumps(run_peer(options.data, options.steps, seeds[0])))
    elif options.what == "parity":
        sys.exit(0 if parity(options.data, options.steps, options.output) else 1)
    else:
        sys.exit(0 if free(options.data, options.work, options.steps, seeds, options.output) else 1)


if __name__ == "__main__":
    main()
