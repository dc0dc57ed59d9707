"""Fine-tuning from files to scores: one ordinary run a seed, then the scores as a distribution."""

import dataclasses
import hashlib
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.checkpoints.metrics_jsonl import METRICS, read_metrics
from electra_tf.checkpoints.reading import read_model
from electra_tf.checkpoints.run_checkpoints import (
    AVERAGE,
    WEIGHTS,
    best_steps,
    checkpoint_folder,
    list_checkpoints,
    read_checkpoint,
    write_state,
)
from electra_tf.checkpoints.run_directory import CALIBRATION
from electra_tf.checkpoints.run_json import OUTCOME, read_description
from electra_tf.checkpoints.sealed_json import read_sealed, write_sealed
from electra_tf.data.randomness import permutation
from electra_tf.errors import ConfigError, InputError, TrainingError
from electra_tf.files import remove, write_whole
from electra_tf.finetuning.batching import Batches
from electra_tf.finetuning.calibration import calibration_of
from electra_tf.finetuning.evaluation import SplitEvaluation
from electra_tf.finetuning.families import read_records, task_of
from electra_tf.finetuning.labelled_data_checks import survey, warnings
from electra_tf.finetuning.layer_rates import usual_rates
from electra_tf.finetuning.multi_task import Several
from electra_tf.finetuning.objective import TaskObjective
from electra_tf.finetuning.predictor import Predictor
from electra_tf.finetuning.published import reading_of
from electra_tf.finetuning.report import FOLDER as REPORT
from electra_tf.finetuning.report import write_report, write_tables
from electra_tf.finetuning.settings import FineTuning
from electra_tf.finetuning.task import Split
from electra_tf.models.config import EncoderConfig
from electra_tf.models.presets import preset
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.devices import Devices, is_chief
from electra_tf.training.initial_weights import Start
from electra_tf.training.progress import say_on
from electra_tf.training.recipe import Recipe
from electra_tf.training.run import Plan, train
from electra_tf.training.run_description import alone_in, begun_run, write_outcome
from electra_tf.training.signals import Signals

RESULTS = "results.json"
_DROPOUT = {"electra": 0.1}
_HEAD_NAMES = ("classifier/", "summary/", "qa_outputs/", "answers/")  # of heads, which start anew
# Of the recipe, where nothing else is said. Batches have many lengths: a graph serves all of them, a program one.
USUAL = {"batch_size": 32, "log_every": 50, "compiler": "islands"}
# Fields of the recipe that change nothing here, and what does instead.
_SETTLED = {
    "seed": "--seeds instead",
    "objective": "the task instead",
    "eval_examples": "nothing: all dev rows are scored",
    "eval_every": "nothing: dev rows are scored twice an epoch, or once where it has up to 8 steps",
    "eval_seed": "nothing: nothing is drawn where dev rows are scored",
    "checkpoint_every": "nothing: a checkpoint is written where dev rows are scored",
    "keep": "FineTuning.average instead",
}


def finetune(
    settings: FineTuning,
    model_dir,
    init_checkpoint=None,
    *,
    from_scratch: str | None = None,
    vocab=None,
    recipe: Recipe | None = None,
    optimizer: AdamW | None = None,
    seeds: Sequence[int] = (0,),
    devices: Devices | None = None,
    operative_config: str | None = None,
    stream=None,
) -> dict:
    """Fine-tunes a checkpoint on a file, or goes on with what was interrupted.

    Args:
        settings: the task, its files and how they are learned.
        model_dir: a folder; each seed's run is in `seed-N` below it. Finished ones are passed over.
        init_checkpoint: any that `read_model` reads.
        from_scratch: a preset, whose weights begin at random, for comparison.
        vocab: the tokenizer, instead of the one beside the checkpoint.
        recipe: batches, precision, compiler; its steps follow from the settings.
        optimizer: None: AdamW with bias correction, and `usual_decay`.
        seeds: of the order of the rows, of dropout and of the head's first weights.
        devices, operative_config, stream: see `train`.

    Returns: `metric`, `runs` (a dictionary a seed), and over those that have not failed `median`, `mean`, `deviation`,
        `best`; the same is in `results.json`. A run that is no better than the commonest answer has failed.

    Raises: `ElectraTFError`s: of the settings, the files, the checkpoint, the disk, or non-finite values;
    `TrainingError` where all seeds failed.
    """
    stream, model_dir = sys.stderr if stream is None else stream, Path(model_dir)
    recipe = recipe or Recipe(**USUAL)
    if recipe.steps != Recipe().steps:
        raise ConfigError(
            f"steps is {recipe.steps}",
            where="Recipe",
            expected="FineTuning.epochs, FineTuning.least_updates and FineTuning.most_epochs, from which steps follow",
        )
    for name, instead in _SETTLED.items():
        if getattr(recipe, name) != getattr(Recipe(), name):
            raise ConfigError(f"{name} is {getattr(recipe, name)!r}", where="Recipe", expected=instead)
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ConfigError(
            f"seeds are {', '.join(map(str, seeds)) or 'none'}", where="--seeds", expected="different numbers"
        )
    config, tokenizer, weights = begins_at(init_checkpoint, from_scratch, vocab)
    start = None if init_checkpoint is None else Start(init_checkpoint, vocab=vocab, sha256=_sha256(weights))
    del weights  # training reads them again
    rate = _DROPOUT.get(config.model_type) if settings.dropout is None else settings.dropout
    if rate is not None:
        config = config.replace(hidden_dropout_prob=rate, attention_probs_dropout_prob=rate)
    if optimizer is not None and optimizer.beta_2 == "auto":
        raise ConfigError("beta_2 is 'auto'", where="AdamW", expected="a number: 'auto' is for pre-training")
    optimizer = optimizer or AdamW(bias_correction=True, weight_decay=usual_decay(config))
    kind = _Data if len(settings.tasks) == 1 else _SeveralData
    devices = devices or Devices()
    say = partial(say_on, stream)
    data = kind(settings, optimizer, config, tokenizer, say)
    with Signals() as signals, alone_in(model_dir, say) if is_chief(devices.strategy) else nullcontext():
        done = _every_seed(data, recipe, model_dir, start, seeds, devices, operative_config, stream)
        signals.check()
        return done


def _every_seed(data, recipe, model_dir, start, seeds, devices, operative_config, stream) -> dict:
    runs, start = {}, None if start is None else dataclasses.replace(start, anew=data.heads)
    begun_runs = {seed: begun_run(model_dir / f"seed-{seed}") or {} for seed in seeds}
    for seed, begun in begun_runs.items():
        _check_start(begun, start, model_dir / f"seed-{seed}")
    for seed, begun in begun_runs.items():
        one, folder = dataclasses.replace(recipe, seed=seed), model_dir / f"seed-{seed}"
        result = train(
            data.plan(one), folder, devices=devices, start=start, operative_config=operative_config, stream=stream
        )
        if not result["finished"]:
            return {"finished": False, "metric": data.select, "runs": list(runs.values())}
        ended_before = _are_alike(begun.get("settings", {}), read_description(folder)["settings"])
        runs[seed] = data.judged(folder, begun.get(OUTCOME) if ended_before else None) | data.calibrated(folder)
        runs[seed]["dev"] |= data.calibration_errors(runs[seed])
        write_outcome(folder, runs[seed]["step"], runs[seed]["dev"])
    results = _summary(data, runs)
    best = max(runs.values(), key=lambda run: run["dev"][data.select])
    results["best_seed"] = best["seed"]
    for run in runs.values():
        folder = model_dir / f"seed-{run['seed']}"
        run |= data.scored_others(folder)
    if data.test is not None:
        results["data"]["test"] = fingerprint_of(data.test)
        for run in runs.values():
            run["test"] = data.tested(model_dir / f"seed-{run['seed']}")
    write_whole(model_dir / RESULTS, json.dumps(results, indent=1) + "\n")
    write_tables(model_dir, results)
    data.report(model_dir)
    if results["failed"] == len(runs):
        raise TrainingError(
            f"all {len(runs)} runs failed: none is better than the commonest answer, {data.select} "
            f"{results['commonest']:.4f}",
            where=model_dir,
            expected="a run that has learned something",
            remedy=f"look at {REPORT}/mistakes.tsv there; try another FineTuning.peak, or more epochs",
        )
    return {"finished": True, **results}


def _check_start(begun, start, folder):
    """Raises `TrainingError` where a begun run has learned from other weights, whose scores are not these ones'."""
    if not begun:
        return
    before, now = begun.get("start", {}), start.names() | {"sha256": start.sha256} if start else {}
    if bool(before) == bool(now) and before.get("sha256", now.get("sha256")) == now.get("sha256"):
        return
    was, is_now = (one.get("checkpoint", "random weights") for one in (before, now))
    raise TrainingError(
        f"the run began with the weights of {was}, and is now to begin with {is_now}"
        if was != is_now
        else f"the weights of {was} have changed since the run began with them",
        where=folder,
        expected="the weights it began with",
        remedy="start from these, or choose another --model_dir",
    )


class _Data:
    """The files as rows, and the plan of a run on them."""

    def __init__(self, settings, optimizer, config, tokenizer, say):
        self.settings, self.optimizer, self.config, self._predictor = settings, optimizer, config, None
        self.tokenizer, self.say = tokenizer, say
        self.length = min(settings.tokens, config.max_position_embeddings)
        self.reading, self.heads = reading_of(settings), _HEAD_NAMES
        self.path = self.reading.train
        file, train, dev = self._files()
        self.task = task_of(self.reading.kind, file, dev, settings, config)
        self.called, self.advice = self.task.kind, []
        if settings.length and settings.length > self.length:
            self.advice.append(f"FineTuning.length is {settings.length}, and the model takes {self.length} tokens")
        self.train = self._split("train", in_both_orders(train) if "both_orders" in settings.compat else train)
        if config.type_vocab_size < 2 and any(segments[-1] for row in self.train.rows.segments for segments in row):
            raise ConfigError(
                "the model has one kind of segment, and texts are in pairs",
                where="type_vocab_size",
                expected="a model that tells the first text from the second",
                remedy="start from another checkpoint",
            )
        self.dev = self._split("dev", dev, train)
        self.select = self._selecting()
        self.others = {name: self._read(path) for name, path in self.reading.others.items()}
        for name, records in self.others.items():
            self._split(name, records, train)
        self.test = None
        if settings.test:
            self.test = self._read(settings.test)
            self._split("test", self.test, train)

    def _selecting(self):
        """The metric that selects: the user's, that of the published task, or the family's."""
        scored = self.task.commonest(self.dev)
        known = [name for name in self.task.selecting if name in scored]
        if self.settings.select and self.settings.select not in known:
            raise ConfigError(
                f"select is {self.settings.select!r}", where="FineTuning", expected=f"one of {', '.join(known)}"
            )
        return self.reading.metric if self.reading.metric in known else self.task.usual

    def _files(self):
        """(the training file, its records that are trained on, the dev records)."""
        c, reading = self.settings, self.reading
        file = self._file(reading.train)
        if reading.dev:
            return file, file.records, self._read(reading.dev)
        held_out = set(_held_out(file.records, reading.kind, c))
        if not held_out:
            raise InputError(
                "no row can be held out of so few of each label",
                where=reading.train,
                expected="two rows or more of some label, or a dev file",
                remedy="name a dev file with --dev",
            )
        alike = {"classification": " of each label", "span": " by texts", "choice": " by texts"}.get(reading.kind, "")
        share = len(held_out) / len(file.records)
        self.say(f"no --dev: {len(held_out):,} rows, {share:.0%}{alike}, are held out of {reading.train}")
        parts = [[], []]
        for number, record in enumerate(file.records):
            parts[number in held_out].append(record)
        return file, *parts

    def _file(self, path):
        file = read_records(self.reading, path)
        self.say(f"{path}: {file.read_as}")
        return file

    def _read(self, path):
        return self._file(path).records

    def _split(self, name, records, train=()) -> Split:
        split = self.task.split(records, self.tokenizer, self.length)
        found = survey(records, self.task, self.length, self.tokenizer, train)
        self.say("\n".join(found.lines(name, numbers=self.task.kind == "regression")))
        self.advice += [f"{name}: {warning}" for warning in warnings(found)]
        return split

    def plan(self, recipe) -> Plan:
        c = self.settings
        source = Batches(self.train.rows, self.tokenizer, self.path, fingerprint_of(self.dev.records))
        epoch, count = source.steps_an_epoch(recipe.batch_size), len(self.train.rows)
        advice = list(self.advice)
        if recipe.batch_size > count:
            advice.append(
                f"a batch is {recipe.batch_size:,} rows, and there are {count:,}: each is in it about "
                f"{recipe.batch_size / count:.1f} times, and an epoch is one step; lower Recipe.batch_size"
            )
        steps = math.ceil(max(c.passes * epoch, min(c.least_updates, c.most_epochs * epoch)))
        often = max(1, min(steps, epoch // 2 or 1, steps // 4 or 1)) if epoch > 8 else max(1, steps // 20)
        recipe = dataclasses.replace(
            recipe,
            objective="finetuning",
            steps=steps,
            eval_every=often,
            checkpoint_every=often,
            keep=1,
            eval_examples=1,
        )  # all dev rows are evaluated, however many
        peak, decay = usual_rates(self.config)
        peak, decay = c.peak or peak, c.layer_decay or decay
        warmup = steps * c.warmup if c.schedule == "product" else round(steps * c.warmup)  # Google's is not rounded
        schedule = Schedule(c.schedule, peak, warmup_steps=warmup)

        def build():
            google = {"sum_loss": "sum_loss" in c.compat, "decay_gap": "decay_gap" in c.compat}
            return TaskObjective(self.config, self.task, decay, recipe.precision, **google)

        def evaluation(objective, recipe, drawn_at_once):
            return SplitEvaluation(objective, self.dev, recipe.batch_size, recipe.compiler == "eager")

        settings = (
            dataclasses.replace(c, epochs=c.passes, peak=peak, layer_decay=decay, test=None),
        )  # a test changes no run
        return Plan(
            settings,
            recipe,
            schedule,
            self.optimizer,
            source,
            build,
            evaluation,
            tuple(advice),
            self.select,
            c.average,
        )

    def judged(self, folder, known: dict | None) -> dict:
        """A finished run as its best checkpoint, or the average of some, is on the dev split; `known`: the outcome that
        it had, against which the log, which may be damaged by now, decides nothing.
        """
        if known and self.settings.average == 1:
            step, others, dev = known["step"], [], known["dev"]
        else:
            step, *others = best_steps(folder, self.select, self.settings.average) or [list_checkpoints(folder)[-1][0]]
            lines = (line for line in read_metrics(folder / METRICS) if line["kind"] == "eval" and line["step"] == step)
            dev = next(lines, None) or self.scored(folder)  # where the log is lost, the newest is what it is read as
            dev = {name: value for name, value in dev.items() if name not in ("step", "kind", "wall")}
        found = {"seed": int(folder.name.removeprefix("seed-")), "step": step}
        if others:
            average = self.averaged(folder, [step, *others], dev[self.select])
            dev = average["dev"] if average["used"] else dev
            found |= {"averaged": average["steps"]} if average["used"] else {}
        if unlearned := self.unlearned(dev):
            found["failed_tasks"] = unlearned
            self.say(f"warning: {folder.name}: in {', '.join(unlearned)} the commonest answer is as good")
        return found | {"failed": dev[self.select] <= self.commonest(), "dev": dev}

    def averaged(self, folder, steps, best: float) -> dict:
        """The mean of some checkpoints' weights: `steps`, `dev`, and whether it is `used`, which it is where it is not
        worse than the best of them. Judged once, and kept in `average.json`.
        """
        verdict = folder / f"{AVERAGE}.json"
        if not verdict.is_file() or (read_sealed(verdict)["used"] and not (folder / AVERAGE).is_dir()):
            states = [read_checkpoint(checkpoint_folder(folder, step)) for step in steps]
            names = [name for name in states[0][1] if name.startswith(WEIGHTS)]
            mean = {name: sum(np.float64(state[name]) for _, state in states) / len(states) for name in names}
            mean = {name: np.float32(array) for name, array in mean.items()}
            write_state(folder / AVERAGE, steps[0], mean, {"averaged": steps})
            remove(folder / CALIBRATION)  # is fitted to what is chosen here, and changes scores
            dev = self.scored(folder)
            if not (used := dev[self.select] >= best):
                remove(folder / AVERAGE)
            write_sealed(verdict, {"steps": steps, "used": used, "dev": dev})
        return read_sealed(verdict)

    def scored(self, folder, records=None) -> dict:
        """A run on some rows or the dev ones, by the code that answers; without the loss, on another scale there."""
        found = self.predictor(folder).score(self.dev.records if records is None else records)
        return {name: value for name, value in found.items() if name != "loss"}

    def scored_others(self, folder) -> dict[str, dict]:
        """A run on further dev files, by their names."""
        return {name: self.scored(folder, records) for name, records in self.others.items()}

    def unlearned(self, dev: dict) -> list[str]:
        """Of several tasks those in which the commonest answer is as good."""
        return []

    def calibrated(self, folder) -> dict:
        """Its calibration, where there are classes: fitted once, on the dev rows."""
        if not (folder / CALIBRATION).is_file():
            found = self.calibration(folder)
            if not found:
                return {}
            write_sealed(folder / CALIBRATION, found)
        return {"calibration": read_sealed(folder / CALIBRATION)}

    def calibration_errors(self, run: dict) -> dict[str, float]:
        """Those of the dev scores as they are once a run's probabilities are calibrated."""
        name, found = "calibration_error", run.get("calibration")
        return {name: found["after"]} if found and name in run["dev"] else {}

    def calibration(self, folder, task: str | None = None) -> dict:
        """What the dev rows tell of a run's probabilities; nothing where it has none. `task`: of several."""
        if self.task.calibrated is None:
            return {}
        outputs = self.predictor(folder, task).outputs(self.dev)
        return calibration_of(*self.task.calibrated(outputs, self.dev))

    def report(self, model_dir) -> None:
        write_report(model_dir / REPORT, self.predictor(model_dir), self.dev.records)

    def predictor(self, folder, task: str | None = None) -> Predictor:
        """Answers as a run; the same one for all of them, since they differ in weights alone."""
        if self._predictor is None:
            self._predictor = Predictor.open(folder, task=task)
        else:
            self._predictor.turn_to(folder, task)
        return self._predictor

    def tested(self, folder) -> dict:
        """Scores of the test rows, at the threshold that the dev rows chose where there is one."""
        return {name: value for name, value in self.scored(folder, self.test).items() if not name.startswith("best_")}

    def hashes(self) -> dict[str, str]:
        """Of the training rows as they are learned, and of the dev rows."""
        return {"train": self.train.rows.fingerprint().hex(), "dev": fingerprint_of(self.dev.records)}

    def commonest(self) -> float:
        """The score of always giving the commonest answer."""
        return self.task.commonest(self.dev)[self.select]


class _SeveralData(_Data):
    """The files of several tasks, each as it is by itself, and the plan of a run on all of them."""

    def __init__(self, settings, optimizer, config, tokenizer, say):
        self.settings, self.optimizer, self.config, self.tokenizer = settings, optimizer, config, tokenizer
        self.say, self.parts = say, {}
        for name in settings.tasks:
            say(f"# {name}")
            self.parts[name] = _Data(settings.of_task(name), optimizer, config, tokenizer, say)
        tasks = {name: part.task for name, part in self.parts.items()}
        of_parts = {"metrics": "select", "lengths": "length"}
        of_parts = {name: {task: getattr(p, own) for task, p in self.parts.items()} for name, own in of_parts.items()}
        self.task = Several(tasks, config, **of_parts)
        self.train = self.task.joined({name: part.train for name, part in self.parts.items()})
        self.dev = self.task.joined({name: part.dev for name, part in self.parts.items()})
        self.test, self.path, self.select, self.others = None, settings.data, self.task.usual, {}
        self.called, self.heads = settings.task, tuple(f"{name}/" for name in self.parts)
        self.advice = [f"{name}: {warning}" for name, part in self.parts.items() for warning in part.advice]

    def scored(self, folder):
        scores = {name: part.predictor(folder, name).score(part.dev.records) for name, part in self.parts.items()}
        return self.task.named(scores)

    def scored_others(self, folder):
        found = {}
        for task, part in self.parts.items():
            for name, records in part.others.items():
                scores = part.predictor(folder, task).score(records)
                own = {f"{task}/{metric}": value for metric, value in scores.items() if metric != "loss"}
                found[name] = found.get(name, {}) | own
        return found

    def unlearned(self, dev):
        return [n for n, part in self.parts.items() if dev[f"{n}/{part.select}"] <= part.commonest()]

    def calibration_errors(self, run):
        own = "{}/calibration_error".format
        found = {own(name): one["after"] for name, one in run.get("calibration", {}).items()}
        return {name: value for name, value in found.items() if name in run["dev"]}

    def calibration(self, folder, task=None):
        found = {name: part.calibration(folder, name) for name, part in self.parts.items()}
        return {name: one for name, one in found.items() if one}

    def report(self, model_dir):
        for name, part in self.parts.items():
            write_report(model_dir / REPORT / name, part.predictor(model_dir, name), part.dev.records)


def _are_alike(before: dict, now: dict) -> bool:
    """Whether settings are the same, but for fields that came later."""
    pairs = ((before.get(name, {}), fields) for name, fields in now.items())
    return bool(before) and all(old.get(name, value) == value for old, own in pairs for name, value in own.items())


def fingerprint_of(records) -> str:
    """A hash of all that stands in records, but not of where they stand."""
    digest = hashlib.sha256()
    for record in records:
        shown = repr(record._replace(where="")).replace(", right=()", "")  # as before a `Question` had it
        digest.update(shown.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def in_both_orders(records) -> list:
    """Pairs as they are, then all of them the other way round."""
    return [*records, *(record._replace(texts=record.texts[::-1]) for record in records if len(record.texts) == 2)]


def _held_out(records, kind, settings):
    """Numbers of the rows that are held out: of classes a share of each, at least one where there are two; of frequent
    sets of labels likewise; of questions on a context all or none.
    """
    if kind in ("span", "choice"):
        yield from _of_whole_contexts(records, settings)
        return
    counts = Counter(record.label for record in records) if kind == "multilabel" else {}
    often = {labels for labels, count in counts.items() if count * settings.held_out >= 1}
    places = {}
    for number, record in enumerate(records):
        places.setdefault(_stratum(record, kind, often), []).append(number)
    for label in sorted(places):
        here = places[label]
        count = max(round(settings.held_out * len(here)), 1 if len(here) > 1 else 0)
        order = permutation(len(here), settings.held_out_seed, *label.encode()[:64])
        yield from (here[place] for place in order[:count])


def _stratum(record, kind, often):
    """What a share of the rows is held out of: those of a class, or of a frequent set of labels; else all others."""
    if kind == "classification" or (kind == "multilabel" and record.label in often):
        return record.label
    return ""


def _of_whole_contexts(records, settings):
    places = {}
    for number, record in enumerate(records):
        places.setdefault(record.context, []).append(number)
    groups, wanted = list(places.values()), max(1, round(settings.held_out * len(records)))
    if len(groups) < 2:
        raise InputError(
            "all questions are on one text, of which none can be held out",
            where=records[0].where.rpartition(",")[0],
            expected="questions on several texts, or a dev file",
            remedy="name a dev file with --dev",
        )
    order, taken = permutation(len(groups), settings.held_out_seed), []
    for group in order:
        if len(taken) >= wanted:
            break
        taken += groups[group]
    if len(taken) <= 2 * wanted and len(taken) < len(records):
        return taken
    taken = []  # one text has so many questions that they would be far too many
    for group in order:
        taken += groups[group] if len(taken) + len(groups[group]) <= wanted else []
    return taken or groups[min(order, key=lambda group: len(groups[group]))]


def usual_decay(config: EncoderConfig) -> float:
    """The weight decay where nothing else is said."""
    return 0.0 if config.model_type == "albert" else 0.01


class Beginning(NamedTuple):
    """The encoder that is fine-tuned, its tokenizer, and the weights by name; None where they are drawn."""

    config: EncoderConfig
    tokenizer: Tokenizer
    weights: dict[str, np.ndarray] | None


def begins_at(init_checkpoint, from_scratch, vocab=None) -> Beginning:
    """Arguments as of `finetune`."""
    if (init_checkpoint is None) == (from_scratch is None):
        raise ConfigError(
            "there is no checkpoint to start from" if init_checkpoint is None else "a checkpoint, and from scratch",
            where="--init_checkpoint and --from_scratch",
            expected="--init_checkpoint CHECKPOINT, or --from_scratch PRESET --vocab FOLDER for random weights",
        )
    if from_scratch is not None:
        if vocab is None:
            raise ConfigError("--from_scratch without a vocabulary", expected="--vocab FOLDER")
        tokenizer = Tokenizer.from_pretrained(vocab)
        tokenizer.check_distinct()
        return Beginning(preset(from_scratch).encoder.replace(vocab_size=len(tokenizer)), tokenizer, None)
    model = read_model(init_checkpoint)
    if vocab is None and model.tokenizer is None:
        raise InputError(
            "the checkpoint has no vocabulary with it",
            where=init_checkpoint,
            expected="vocab.txt, tokenizer.json or a SentencePiece model beside it",
            remedy="name the tokenizer's folder or file with --vocab",
        )
    tokenizer = Tokenizer.from_pretrained(vocab or model.tokenizer)
    tokenizer.check_fits(model.config.vocab_size)
    return Beginning(model.config, tokenizer, model.weights)


def _sha256(weights) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(weights.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _summary(data, runs) -> dict:
    good = [run["dev"][data.select] for run in runs.values() if not run["failed"]]
    every = [run["dev"][data.select] for run in runs.values()]
    results = {"task": data.called, "metric": data.select, "commonest": data.commonest()}
    results |= {"mean_of_all": statistics.mean(every), "data": data.hashes()}
    results |= {"failed": len(runs) - len(good)}
    if good:
        results |= {"median": statistics.median(good), "mean": statistics.mean(good), "best": max(good)}
        results["deviation"] = statistics.stdev(good) if len(good) > 1 else None
    return results | {"runs": list(runs.values())}
