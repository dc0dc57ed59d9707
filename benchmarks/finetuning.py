"""Rows a second of fine-tuning, beside transformers' classes, each variant alone in a process, alternating.

    python benchmarks/finetuning.py [--rounds 5] [--batches 24] [--output docs/results/finetuning_speed.json]

ELECTRA-Small, batches of 32, dropout 0.1, float32, 2 threads; ids drawn at random, lengths as those of MRPC's pairs
(53 tokens on average, 20 to 103) and of WNUT-17's sentences (27 on average, 5 to 105). A variant trains on the same
rows, once before, so that all shapes are compiled, and once by the clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROWS, VOCABULARY, THREADS, LONGEST, TAGS = 32, 30522, 2, 128, 13
TASKS = {"mrpc": "pairs as long as MRPC's, classified", "wnut": "sentences as long as WNUT-17's, tagged"}
VARIANTS = {
    "torch": "transformers' PyTorch classes, batches padded to their longest row",
    "torch-grouped": "the same, rows grouped by length (group_by_length)",
    "islands": "electra_tf, one graph for all lengths with XLA islands, as finetune has it",
}


def rows_of(task, count):
    """(ids of each row, its class or its words' tags), as lists of numpy arrays."""
    import numpy as np

    random = np.random.default_rng(0)
    if task == "mrpc":
        sizes = np.clip(random.normal(53, 13, count), 20, 103).astype(int)
    else:
        sizes = np.clip(random.lognormal(3.15, 0.5, count), 5, 105).astype(int)
    ids = [np.concatenate([[101], random.integers(1000, 30000, size - 2), [102]]) for size in sizes]
    labels = random.integers(0, 2, count) if task == "mrpc" else [random.integers(0, TAGS, size - 2) for size in sizes]
    return ids, labels


def run_torch(task, batches, grouped):
    import numpy as np
    import torch
    from transformers import ElectraConfig, ElectraForSequenceClassification, ElectraForTokenClassification
    from transformers.trainer_pt_utils import LengthGroupedSampler

    from electra_tf.models.presets import preset

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    config = ElectraConfig(**preset("electra_small").encoder.to_dict(), num_labels=2 if task == "mrpc" else TAGS)
    kind = ElectraForSequenceClassification if task == "mrpc" else ElectraForTokenClassification
    model = kind(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, eps=1e-6, weight_decay=0.01)
    ids, labels = rows_of(task, ROWS * batches)

    def padded(chosen):
        length = max(len(ids[row]) for row in chosen)
        batch = {name: torch.zeros(len(chosen), length, dtype=torch.long) for name in ("input_ids", "attention_mask")}
        for place, row in enumerate(chosen):
            batch["input_ids"][place, : len(ids[row])] = torch.from_numpy(ids[row])
            batch["attention_mask"][place, : len(ids[row])] = 1
        if task == "mrpc":
            return batch | {"labels": torch.from_numpy(np.asarray(labels)[chosen])}
        batch["labels"] = torch.full((len(chosen), length), -100)
        for place, row in enumerate(chosen):
            batch["labels"][place, 1 : len(ids[row]) - 1] = torch.from_numpy(labels[row])
        return batch

    def epoch():
        sizes = [len(row) for row in ids]
        order = list(LengthGroupedSampler(ROWS, lengths=sizes)) if grouped else torch.randperm(len(ids)).tolist()
        for first in range(0, len(order), ROWS):
            model(**padded(order[first : first + ROWS])).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return timed(epoch)


def run_ours(task, batches, compiler):
    import numpy as np
    import tensorflow as tf

    from electra_tf.finetuning.batching import Rows
    from electra_tf.finetuning.classification import Classification
    from electra_tf.finetuning.objective import TaskObjective
    from electra_tf.finetuning.tagging import Tagging
    from electra_tf.finetuning.tags import Scheme
    from electra_tf.models.presets import preset
    from electra_tf.optimizers.adamw import AdamW
    from electra_tf.optimizers.schedules import Schedule
    from electra_tf.text.tokenizer import Encoding
    from electra_tf.training.devices import use_threads
    from electra_tf.training.loop import Trainer
    from electra_tf.training.step import Step

    use_threads(THREADS)
    ids, labels = rows_of(task, ROWS * batches)
    encodings = [Encoding(row.tolist(), [0] * len(row), [], []) for row in ids]
    names = tuple(map(str, range(TAGS)))
    if task == "mrpc":
        learned = Classification(names[:2], (1.0, 1.0))
        targets = {"target": np.int32(labels), "weight": np.ones(len(ids), np.float32)}
        rows = Rows(encodings, targets, LONGEST)
    else:
        learned, sizes = Tagging(names, (1.0,) * TAGS, Scheme("none")), [len(row) - 2 for row in ids]
        by_token = {"unit_positions": [np.arange(1, size + 1, dtype=np.int32) for size in sizes]}
        by_token |= {"target": [np.int32(tags) for tags in labels]}
        by_token |= {"weight": [np.ones(size, np.float32) for size in sizes]}
        rows = Rows(encodings, {}, LONGEST, by_token)
    objective = TaskObjective(preset("electra_small").encoder, learned, 0.8)
    step = Step(objective, AdamW(bias_correction=True), Schedule("linear", 3e-4), 10_000, 0, compiler)
    trainer = Trainer(tf.distribute.get_strategy(), step, batches_of(rows), ROWS, 0)
    trainer.start()

    def epoch():
        done = 0
        while done < batches:
            _, alike = trainer.stretch(int(step.finished))
            some = int(min(alike, batches - done))
            trainer.train(tf.constant(some))
            done += some

    return timed(epoch)


def batches_of(rows):
    """Our source of batches; the tokenizer is for its description alone."""
    from types import SimpleNamespace

    from electra_tf.finetuning.batching import Batches

    return Batches(rows, SimpleNamespace(fingerprint=""), "")


def timed(epoch):
    """Seconds of the first epoch, and of the second."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - began)
    return seconds


def alone(task, name, batches):
    """One variant in a process of its own, ours with the allocator settings that the command gives it."""
    from electra_tf.startup import TUNABLES

    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if not name.startswith("torch"):
        environment["GLIBC_TUNABLES"] = TUNABLES
    command = [sys.executable, __file__, "--task", task, "--variant", name, "--batches", str(batches)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=900, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variant", choices=VARIANTS)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--output", default="docs/results/finetuning_speed.json")
    options = parser.parse_args()
    if options.variant:
        run = run_torch if options.variant.startswith("torch") else run_ours
        way = options.variant == "torch-grouped" if options.variant.startswith("torch") else options.variant
        print(json.dumps(run(options.task, options.batches, way)))
        return
    found = {}
    for task in [options.task] if options.task else TASKS:
        seconds = {name: [] for name in VARIANTS}
        for number in range(options.rounds):
            for name in VARIANTS:
                seconds[name].append(alone(task, name, options.batches)[1])
                print(f"round {number + 1}  {task}  {name:14} {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
        found[task] = {}
        for name in VARIANTS:
            of_peers = {
                f"times_{peer}": statistics.median(a / b for a, b in zip(seconds[peer], seconds[name], strict=True))
                for peer in ("torch", "torch-grouped")
            }
            rate = ROWS * options.batches / statistics.median(seconds[name])
            found[task][name] = {"rows_a_second": rate, **of_peers, "rounds": seconds[name]}
    for task, rows in found.items():
        print(f"{TASKS[task]}\n  {'variant':14} {'rows/s':>8} {'x torch':>8} {'x grouped':>10}")
        for name, row in rows.items():
            ratios = f"{row['times_torch']:8.2f} {row['times_torch-grouped']:10.2f}"
            print(f"  {name:14} {row['rows_a_second']:8.1f} {ratios}  {VARIANTS[name]}")
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
