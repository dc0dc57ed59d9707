"""Seconds a pre-training step takes, beside transformers' classes, each variant alone in a process, alternating.

    python benchmarks/pretraining.py [--preset albert_base_v1] [--rounds 5] [--steps 6] [--output FILE]

ELECTRA-Small (12 layers of 256, generator of 64), 32 rows of 128 tokens; or ALBERT-Base (one layer of 768, 12 times;
masked LM and sentence order), 8 rows of 128. Dropout 0.1, float32, 2 threads, AdamW. Peak memory is the process's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

ROWS, LENGTH, PREDICTED, THREADS = {"electra_small": 32, "albert_base_v1": 8}, 128, 19, 2
VARIANTS = {
    "torch": "transformers' PyTorch classes as commonly used (head on all positions; samples by Gumbel noise)",
    "torch-gathered": "the same, head on masked positions, our sampler",
    "transformers-tf": "transformers' TensorFlow classes, tf.function, head on all positions (ELECTRA alone)",
    "graph": "electra_tf, one graph",
    "islands": "electra_tf, XLA islands",
    "xla": "electra_tf, one XLA program",
    "products": "matrix products of the step's shapes alone (PyTorch): the peak",
}


def batch(name):
    """A batch of Zipf-distributed ids, without padding, as numpy; for ALBERT pairs of segments."""
    import numpy as np

    random, vocabulary = np.random.default_rng(0), configs(name)[-1].vocab_size
    ids = (random.zipf(1.2, (ROWS[name], LENGTH)) % (vocabulary - 1000) + 999).astype("int64")
    ids[:, 0], ids[:, -1] = 101, 102
    segments = np.zeros_like(ids)
    if name == "albert_base_v1":
        ids[:, LENGTH // 2 - 1], segments[:, LENGTH // 2 :] = 102, 1
    return {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": segments}


def configs(name):
    """Of the encoders, the one that is kept last."""
    from electra_tf.models.presets import preset

    found = preset(name)
    return [config for config in (found.generator, found.encoder) if config]


def timed(step, steps):
    """Seconds of the first call, and of each of `steps` more."""
    seconds = []
    for _ in range(steps + 1):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds


def run_torch(name, steps, gathered):
    import torch
    from torch_albert import TorchAlbert
    from torch_electra import TorchElectra

    torch.set_num_threads(THREADS)
    kind = TorchElectra if name == "electra_small" else TorchAlbert
    model = kind(*({**c.to_dict(), "attn_implementation": "eager"} for c in configs(name)), gathered).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, eps=1e-6, weight_decay=0.01)
    tensors = {part: torch.from_numpy(array) for part, array in batch(name).items()}

    def step():
        positions = (torch.rand(ROWS[name], LENGTH - 2).topk(PREDICTED).indices + 1).sort().values
        ids = tensors["input_ids"].gather(1, positions)
        masked = tensors["input_ids"].scatter(1, positions, 103)
        loss, *_ = model(tensors, masked, positions, ids, torch.ones_like(ids).float(), numbers=torch.rand(ids.shape))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return timed(step, steps)


def run_transformers_tf(steps):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    import tf_keras
    from transformers import ElectraConfig, TFElectraForMaskedLM, TFElectraForPreTraining

    small_generator, small = (ElectraConfig(**c.to_dict()) for c in configs("electra_small"))
    generator, discriminator = TFElectraForMaskedLM(small_generator), TFElectraForPreTraining(small)
    discriminator.build()
    generator.build()
    optimizer = tf_keras.optimizers.Adam(5e-4, epsilon=1e-6)
    tensors = {name: tf.constant(array, tf.int32) for name, array in batch("electra_small").items()}
    count = ROWS["electra_small"]

    @tf.function
    def step():
        ids, real, types = tensors["input_ids"], tensors["input_mask"], tensors["segment_ids"]
        positions = tf.math.top_k(tf.random.uniform([count, LENGTH - 2]), PREDICTED).indices + 1
        rows = tf.repeat(tf.range(count)[:, None], PREDICTED, 1)
        where = tf.stack([rows, positions], -1)
        masked = tf.tensor_scatter_nd_update(ids, where, tf.fill([count, PREDICTED], 103))
        with tf.GradientTape() as tape:
            logits = generator(masked, attention_mask=real, token_type_ids=types, training=True).logits
            logits = tf.gather_nd(logits, where)
            labels = tf.gather_nd(ids, where)
            mlm = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            noise = -tf.math.log(-tf.math.log(tf.random.uniform(tf.shape(logits)) + 1e-9) + 1e-9)
            sampled = tf.argmax(tf.stop_gradient(logits) + noise, -1, output_type=tf.int32)
            corrupted = tf.tensor_scatter_nd_update(ids, where, sampled)
            scores = discriminator(corrupted, attention_mask=real, token_type_ids=types, training=True).logits
            replaced = tf.cast(corrupted != ids, tf.float32)
            disc = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(replaced, scores))
            loss = mlm + 50 * disc
        variables = generator.trainable_variables + discriminator.trainable_variables
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 1.0)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    return timed(lambda: float(step()), steps)


def run_ours(name, steps, compiler):
    import numpy as np
    import tensorflow as tf

    from electra_tf.optimizers.adamw import AdamW
    from electra_tf.optimizers.schedules import Schedule
    from electra_tf.pretraining.electra import ReplacedTokenDetection
    from electra_tf.pretraining.masked_lm import MaskedLanguageModelling
    from electra_tf.pretraining.masking import Masking
    from electra_tf.pretraining.settings import Electra, MaskedLM
    from electra_tf.pretraining.tokens import Tokens
    from electra_tf.training.devices import use_threads
    from electra_tf.training.step import Step

    use_threads(THREADS)
    size = configs(name)[-1].vocab_size
    tokens = Tokens(0, 100, 101, 102, 103, size, np.ones(size, bool))
    if name == "electra_small":
        objective = ReplacedTokenDetection(Electra(name), Masking(), tokens, 1_000_000)
    else:
        objective = MaskedLanguageModelling(MaskedLM(name, order_weight=1.0), Masking(), tokens, 1_000_000)
    training = Step(objective, AdamW(), Schedule(), 1_000_000, seed=0, compiler=compiler)
    tensors = {part: tf.constant(array, tf.int32) for part, array in batch(name).items()}
    step = tf.function(lambda: training(tensors), autograph=False)
    return timed(lambda: float(step()["grad_norm"]), steps)


def run_products(name, steps):
    """The step's matrix products of the encoders' dense layers and the masked-LM head, forward and backward."""
    import torch

    torch.set_num_threads(THREADS)
    shapes, rows = [], ROWS[name] * LENGTH
    for c in configs(name):
        h, i, n = c.hidden_size, c.intermediate_size, c.num_hidden_layers
        shapes += [(rows, h, 3 * h)] * n + [(rows, h, h)] * n + [(rows, h, i)] * n + [(rows, i, h)] * n
    c = configs(name)[0]  # the one that predicts
    shapes += [(ROWS[name] * PREDICTED, c.embedding_size, c.vocab_size)]
    tensors = {s: (torch.rand(s[0], s[1]), torch.rand(s[1], s[2]), torch.rand(s[0], s[2])) for s in set(shapes)}

    def step():
        for shape in shapes:
            x, w, g = tensors[shape]
            x @ w, g @ w.T, x.T @ g

    return timed(step, steps)


def run_variant(preset, name, steps):
    if name == "products":
        return run_products(preset, steps)
    if name == "transformers-tf":
        return run_transformers_tf(steps)
    if name.startswith("torch"):
        return run_torch(preset, steps, gathered=name == "torch-gathered")
    return run_ours(preset, steps, name)


def alone(preset, name, steps):
    """(seconds of each step, peak memory in MB) of one variant in a process of its own, ours with the allocator
    settings that the command gives it.
    """
    from electra_tf.startup import TUNABLES

    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if name in ("graph", "islands", "xla"):
        environment["GLIBC_TUNABLES"] = TUNABLES
    command = [sys.executable, __file__, "--preset", preset, "--variant", name, "--steps", str(steps)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=900, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", choices=ROWS, default="electra_small")
    parser.add_argument("--variant", choices=VARIANTS)
    parser.add_argument("--variants")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--output", help="else pretraining_speed.json or albert_speed.json in docs/results")
    options = parser.parse_args()
    if options.variant:
        seconds = run_variant(options.preset, options.variant, options.steps)
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6]))
        return
    is_albert = options.preset == "albert_base_v1"
    names = [name for name in VARIANTS if not is_albert or name != "transformers-tf"]
    names = options.variants.split(",") if options.variants else names
    medians, firsts, peaks = ({name: [] for name in names} for _ in range(3))
    for number in range(options.rounds):
        for name in names:
            (first, *seconds), peak = alone(options.preset, name, options.steps)
            medians[name].append(statistics.median(seconds))
            firsts[name].append(first)
            peaks[name].append(peak)
            print(f"round {number + 1}  {name:16} {medians[name][-1]:.2f} s a step", file=sys.stderr, flush=True)
    rows = {}
    for name in names:
        ratios = [a / b for a, b in zip(medians.get("torch", medians[name]), medians[name], strict=True)]
        gathered = medians.get("torch-gathered", medians[name])
        gathered = [a / b for a, b in zip(gathered, medians[name], strict=True)]
        shares = [a / b for a, b in zip(medians.get("products", []), medians[name], strict=False)]
        rows[name] = {
            "seconds_a_step": statistics.median(medians[name]),
            "tokens_a_second": ROWS[options.preset] * LENGTH / statistics.median(medians[name]),
            "times_torch": statistics.median(ratios),
            "times_torch-gathered": statistics.median(gathered),
            "share_of_products": statistics.median(shares) if shares else None,
            "first_step_seconds": statistics.median(firsts[name]),
            "peak_megabytes": statistics.median(peaks[name]),
            "rounds": medians[name],
        }
    print(f"{'variant':16} {'s a step':>9} {'tokens/s':>9} {'x torch':>8} {'gathered':>9} {'of peak':>8} ", end="")
    print(f"{'first s':>8} {'peak MB':>8}")
    for name, row in rows.items():
        share = "" if row["share_of_products"] is None else f"{row['share_of_products']:.0%}"
        print(
            f"{name:16} {row['seconds_a_step']:9.2f} {row['tokens_a_second']:9.0f} {row['times_torch']:8.2f} "
            f"{row['times_torch-gathered']:9.2f} {share:>8} {row['first_step_seconds']:8.1f} "
            f"{row['peak_megabytes']:8,.0f}  {VARIANTS[name]}"
        )
    default = f"docs/results/{'albert' if is_albert else 'pretraining'}_speed.json"
    with open(options.output or default, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
