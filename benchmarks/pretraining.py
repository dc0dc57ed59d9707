"""Seconds a pre-training step takes, beside transformers' classes, each variant alone in a process, alternating.

    python benchmarks/pretraining.py [--rounds 5] [--steps 6] [--output docs/results/pretraining_speed.json]

ELECTRA-Small (12 layers of 256, generator of 64), 32 rows of 128 tokens, dropout 0.1, float32, 2 threads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROWS, LENGTH, PREDICTED, VOCABULARY, THREADS = 32, 128, 19, 30522, 2
VARIANTS = {
    "torch": "transformers' PyTorch classes as commonly used (head on all positions, Gumbel noise)",
    "torch-gathered": "the same, head on masked positions, our sampler",
    "transformers-tf": "transformers' TensorFlow classes, tf.function, head on all positions",
    "graph": "electra_tf, one graph",
    "islands": "electra_tf, XLA islands",
    "xla": "electra_tf, one XLA program",
    "products": "matrix products of the step's shapes alone (PyTorch): the peak",
}


def batch(seed=0):
    """A batch of Zipf-distributed ids, without padding, as numpy."""
    import numpy as np

    random = np.random.default_rng(seed)
    ids = (random.zipf(1.2, (ROWS, LENGTH)) % (VOCABULARY - 1000) + 999).astype("int64")
    ids[:, 0], ids[:, -1] = 101, 102
    return {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}


def configs():
    from electra_tf.models.presets import preset

    small = preset("electra_small")
    return small.generator, small.encoder


def timed(step, steps):
    """Seconds of the first call, and of each of `steps` more."""
    seconds = []
    for _ in range(steps + 1):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds


def run_torch(steps, gathered):
    import torch
    from torch_electra import TorchElectra

    torch.set_num_threads(THREADS)
    generator, discriminator = ({**c.to_dict(), "attn_implementation": "eager"} for c in configs())
    model = TorchElectra(generator, discriminator, gathered).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, eps=1e-6, weight_decay=0.01)
    tensors = {name: torch.from_numpy(array) for name, array in batch().items()}

    def step():
        positions = (torch.rand(ROWS, LENGTH - 2).topk(PREDICTED).indices + 1).sort().values
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

    small_generator, small = (ElectraConfig(**c.to_dict()) for c in configs())
    generator, discriminator = TFElectraForMaskedLM(small_generator), TFElectraForPreTraining(small)
    discriminator.build()
    generator.build()
    optimizer = tf_keras.optimizers.Adam(5e-4, epsilon=1e-6)
    tensors = {name: tf.constant(array, tf.int32) for name, array in batch().items()}

    @tf.function
    def step():
        ids, real, types = tensors["input_ids"], tensors["input_mask"], tensors["segment_ids"]
        positions = tf.math.top_k(tf.random.uniform([ROWS, LENGTH - 2]), PREDICTED).indices + 1
        rows = tf.repeat(tf.range(ROWS)[:, None], PREDICTED, 1)
        where = tf.stack([rows, positions], -1)
        masked = tf.tensor_scatter_nd_update(ids, where, tf.fill([ROWS, PREDICTED], 103))
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


def run_ours(steps, compiler):
    import numpy as np
    import tensorflow as tf

    from electra_tf.optimizers.adamw import AdamW
    from electra_tf.optimizers.schedules import Schedule
    from electra_tf.pretraining.electra import ReplacedTokenDetection
    from electra_tf.pretraining.masking import Masking
    from electra_tf.pretraining.settings import Electra
    from electra_tf.pretraining.tokens import Tokens
    from electra_tf.training.devices import use_threads
    from electra_tf.training.step import Step

    use_threads(THREADS)
    tokens = Tokens(0, 100, 101, 102, 103, VOCABULARY, np.ones(VOCABULARY, bool))
    objective = ReplacedTokenDetection(Electra("electra_small"), Masking(), tokens, 1_000_000)
    training = Step(objective, AdamW(), Schedule(), 1_000_000, seed=0, compiler=compiler)
    tensors = {name: tf.constant(array, tf.int32) for name, array in batch().items()}
    step = tf.function(lambda: training(tensors), autograph=False)
    return timed(lambda: float(step()["grad_norm"]), steps)


def run_products(steps):
    """The step's matrix products of the two towers' dense layers and attention, forward and backward."""
    import torch

    torch.set_num_threads(THREADS)
    generator, discriminator = configs()
    shapes = []
    rows = ROWS * LENGTH
    for c in (generator, discriminator):
        h, i, n = c.hidden_size, c.intermediate_size, c.num_hidden_layers
        shapes += [(rows, h, 3 * h)] * n + [(rows, h, h)] * n + [(rows, h, i)] * n + [(rows, i, h)] * n
    shapes += [(ROWS * PREDICTED, generator.embedding_size, VOCABULARY)]
    tensors = {s: (torch.rand(s[0], s[1]), torch.rand(s[1], s[2]), torch.rand(s[0], s[2])) for s in set(shapes)}

    def step():
        for shape in shapes:
            x, w, g = tensors[shape]
            x @ w, g @ w.T, x.T @ g

    return timed(step, steps)


def run_variant(name, steps):
    if name == "products":
        return run_products(steps)
    if name == "transformers-tf":
        return run_transformers_tf(steps)
    if name.startswith("torch"):
        return run_torch(steps, gathered=name == "torch-gathered")
    return run_ours(steps, name)


def alone(name, steps):
    """One variant in a process of its own, ours with the allocator settings that the command gives it."""
    from electra_tf.startup import TUNABLES

    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if name in ("graph", "islands", "xla"):
        environment["GLIBC_TUNABLES"] = TUNABLES
    command = [sys.executable, __file__, "--variant", name, "--steps", str(steps)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=900, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variant", choices=VARIANTS)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--output", default="docs/results/pretraining_speed.json")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(run_variant(options.variant, options.steps)))
        return
    names = options.variants.split(",")
    medians, firsts = {name: [] for name in names}, {name: [] for name in names}
    for number in range(options.rounds):
        for name in names:
            first, *seconds = alone(name, options.steps)
            medians[name].append(statistics.median(seconds))
            firsts[name].append(first)
            print(f"round {number + 1}  {name:16} {medians[name][-1]:.2f} s a step", file=sys.stderr, flush=True)
    rows = {}
    for name in names:
        ratios = [a / b for a, b in zip(medians.get("torch", medians[name]), medians[name], strict=True)]
        shares = [a / b for a, b in zip(medians.get("products", []), medians[name], strict=False)]
        rows[name] = {
            "seconds_a_step": statistics.median(medians[name]),
            "tokens_a_second": ROWS * LENGTH / statistics.median(medians[name]),
            "times_torch": statistics.median(ratios),
            "share_of_products": statistics.median(shares) if shares else None,
            "first_step_seconds": statistics.median(firsts[name]),
            "rounds": medians[name],
        }
    print(f"{'variant':16} {'s a step':>9} {'tokens/s':>9} {'x torch':>8} {'of peak':>8} {'first s':>8}")
    for name, row in rows.items():
        share = "" if row["share_of_products"] is None else f"{row['share_of_products']:.0%}"
        print(
            f"{name:16} {row['seconds_a_step']:9.2f} {row['tokens_a_second']:9.0f} {row['times_torch']:8.2f} "
            f"{share:>8} {row['first_step_seconds']:8.1f}  {VARIANTS[name]}"
        )
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
