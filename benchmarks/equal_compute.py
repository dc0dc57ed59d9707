"""Equal compute at a tiny scale: which choice learns more from the same FLOPs, over several seeds.

    python benchmarks/equal_compute.py --text ../shared/data --work runs/objectives --steps 400 --seeds 0,1,2

`--steps` are electra_tiny's; each other arm gets as many steps as the same FLOPs pay for. A run that is finished is not
done again, so that seeds can be added later; one that was stopped goes on. Writes docs/results/equal_compute.md and
.json of what is finished.
"""

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from objectives import RECIPES, build, lines_of, minutes_of, train

_MEASURE = "electra_tiny"
_EXAMPLES = 1024


@dataclass(frozen=True)
class Arm:
    """A recipe with some settings changed, and what it is compared in."""

    question: str
    recipe: str
    params: tuple[str, ...] = ()


# Dearer steps are of fewer rows, so that there are some hundred of them.
_HALF, _QUARTER = ("Recipe.batch_size = 32",), ("Recipe.batch_size = 16",)
_SHARING = "Electra.embedding_sharing = "

ARMS = {
    "replaced tokens": Arm("objective", "electra_tiny"),
    "masked LM": Arm("objective", "masked_lm_tiny"),
    "embeddings shared": Arm("embeddings", "electra_tiny"),
    "embeddings by GDES": Arm("embeddings", "electra_tiny", (_SHARING + "'gdes'",)),
    "embeddings untied": Arm("embeddings", "electra_tiny", (_SHARING + "'none'",)),
    "ALECTRA, tied": Arm("ALECTRA's towers", "alectra_tiny", _HALF),
    "ALECTRA, untied as published": Arm("ALECTRA's towers", "alectra_tiny", (*_HALF, _SHARING + "'cloned'")),
    "ALBERT with sentence order": Arm("sentence order", "albert_tiny", _QUARTER),
    "ALBERT without": Arm("sentence order", "albert_tiny", (*_QUARTER, "MaskedLM.order_weight = 0.0")),
}
COLUMNS = {
    "mlm_loss": "masked-LM loss",
    "unigram_loss": "unigram",
    "disc_auc": "AUC, samples",
    "fixed_disc_auc": "AUC, fixed",
    "order_accuracy": "order",
}


def step_flops(recipe: str, params, data: Path) -> float:
    """Of one step, as `electra-tf pretrain` announces it."""
    from electra_tf.cli.gin_files import configured
    from electra_tf.data.reader import DataSet
    from electra_tf.pretraining.run import OF_SETTINGS, settings_of
    from electra_tf.pretraining.tokens import Tokens
    from electra_tf.training.recipe import Recipe

    (filled, settings, masking, *_), _ = configured(Recipe, settings_of, [recipe], params)
    dataset = DataSet.open(data)
    trained, _ = OF_SETTINGS[type(settings)]
    objective = trained(settings, masking, Tokens.of(dataset.tokenizer, masking.ascii_words), filled.steps)
    return objective.flops(filled.batch_size, dataset.manifest.length)


def plan(steps: int, source: Path, work: Path) -> dict[str, dict]:
    """Of every arm: its data, its FLOPs a step, and its steps, worked out once and kept."""
    kept = work / f"equal_compute-{steps}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    budget = steps * step_flops(_MEASURE, [], build(RECIPES[_MEASURE], source, work))
    arms = {}
    for name, arm in ARMS.items():
        data = build(RECIPES[arm.recipe], source, work)
        flops = step_flops(arm.recipe, arm.params, data)
        arms[name] = {"data": str(data), "flops": flops, "steps": max(1, round(budget / flops))}
        print(f"{name}: {flops / 1e9:.1f} GFLOP a step, {arms[name]['steps']} steps", file=sys.stderr, flush=True)
    kept.write_text(json.dumps(arms))
    return arms


def folder_of(arm: Arm, steps: int, seed: int, work: Path) -> Path:
    """One run serves every comparison it stands in."""
    changes = "".join(f"-{param.partition('.')[2].replace(' ', '').replace(chr(39), '')}" for param in arm.params)
    return work / f"equal_compute-{steps}" / f"{arm.recipe}{changes}-seed-{seed}"


def last_evaluation(folder: Path, steps: int) -> dict | None:
    """That of the finished run in a folder."""
    if not (folder / "metrics.jsonl").exists():
        return None
    lines = [line for line in lines_of(folder, "eval") if line["step"] == steps]
    return lines[-1] if lines else None


def settings(steps: int, seed: int) -> list[str]:
    fields = {"steps": steps, "seed": seed, "eval_every": max(1, steps // 4), "eval_examples": _EXAMPLES}
    fields |= {"log_every": max(1, steps // 10), "checkpoint_every": steps}
    return [f"Recipe.{name} = {value}" for name, value in fields.items()] + [
        f"Schedule.warmup_steps = {max(1, steps // 6)}"
    ]


def collect(steps: int, arms: dict[str, dict], work: Path) -> dict[str, dict]:
    """Every finished run of every arm, by its seed."""
    results = {}
    for name, arm in ARMS.items():
        pattern = folder_of(arm, steps, 0, work).name.removesuffix("0")
        runs = {}
        for folder in sorted((work / f"equal_compute-{steps}").glob(f"{pattern}*")):
            found = last_evaluation(folder, arms[name]["steps"])
            if found is not None:
                kept = {column: found[column] for column in COLUMNS if column in found}
                runs[folder.name.removeprefix(pattern)] = {**kept, "minutes": minutes_of(folder)}
        planned = {"flops_a_step": arms[name]["flops"], "steps": arms[name]["steps"]}
        results[name] = {"compared": arm.question, **planned, "runs": runs}
    return results


def shown(values) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def table(results: dict[str, dict]) -> list[str]:
    columns = ["compared", "arm", "GFLOP a step", "steps", "seeds", *COLUMNS.values()]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, result in results.items():
        runs = result["runs"]
        row = [result["compared"], name, f"{result['flops_a_step'] / 1e9:.1f}", f"{result['steps']:,}"]
        row.append(", ".join(runs) or "none yet")
        row += [shown([run[column] for run in runs.values() if column in run]) for column in COLUMNS]
        lines.append("| " + " | ".join(row) + " |")
    return lines


HEAD = """# Equal compute at a tiny scale

`python benchmarks/equal_compute.py --text ../shared/data --work runs/objectives --steps {steps} --seeds 0,1,2`: each
arm gets as many steps as the FLOPs of {steps} steps of electra_tiny pay for, {budget:.2e} FLOP in all, on the data of
[objectives.md](objectives.md); warm-up is a sixth of the steps, a step has 64 rows (ALECTRA's 32, ALBERT's 16), and all
else is as the tiny recipes have it. Held-out figures at the end: the mean over the seeds that are finished, and the
standard deviation of a run. The script goes on where it stopped, so that seeds can be added.
"""

READING = """
## What this shows, and what not

- Read lines of one comparison against each other, and only differences that are several deviations wide. At 400 steps
  and three seeds one is: the masked LM is further below the unigram than ELECTRA's generator, which has half its size
  (below). Shared, disentangled and untied embeddings are within two deviations of each other in masked-LM loss and in
  the AUC on fixed corruptions, and so are ALECTRA's towers, tied or as published: this does not say which is better.
- Discriminators have hardly left chance (0.5) here, ALECTRA's generator and ALBERT are no better, or little, than the
  unigram, and the order of pairs is told by chance: the budget ends before they begin. (With more steps they all do:
  [objectives.md](objectives.md), ALBERT's order at step 1,200.)
- Replaced tokens against masked LM: the two losses are not of like models. ELECTRA's masked-LM loss is its generator's,
  half as wide and deep as the encoder that the masked LM trains. Which of the two encoders is better is told by
  fine-tuning, which is not done here.
- Embeddings, ALECTRA: the AUC on fixed corruptions is the same task for all arms, so these lines may be compared; the
  AUC on samples may not, since a better generator makes it harder.
- ALECTRA was published with embeddings that begin alike in both towers and part at once (`cloned`).
- Sentence order: ALBERT's rows are twice as long, its data and vocabulary are others, so that its losses stand
  beside each other only. Whether order helps a model is again a matter of fine-tuning.
- The budget is some millionth of what ELECTRA-Small was published with (1.4e18 FLOP). Published differences between
  such choices come from models that know much more; that one learns sooner here says little about which ends better
  there.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--arms", default=";".join(ARMS), help="names, parted by semicolons")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    arms = plan(options.steps, options.text, options.work)
    for seed in map(int, options.seeds.split(",")):
        for name in options.arms.split(";"):
            arm, planned = ARMS[name], arms[name]
            folder = folder_of(arm, options.steps, seed, options.work)
            if last_evaluation(folder, planned["steps"]) is None:
                params = [*settings(planned["steps"], seed), *arm.params]
                train(arm.recipe, Path(planned["data"]), folder, params, options.threads)
            write(collect(options.steps, arms, options.work), options.steps, options.output)
    print("\n".join(table(collect(options.steps, arms, options.work))))


def write(results: dict[str, dict], steps: int, output: Path) -> None:
    (output / "equal_compute.json").write_text(json.dumps(results, indent=1) + "\n")
    first = next(iter(results.values()))
    head = HEAD.format(steps=steps, budget=first["flops_a_step"] * first["steps"])
    (output / "equal_compute.md").write_text("\n".join([head, *table(results), READING]).rstrip() + "\n")


if __name__ == "__main__":
    main()
