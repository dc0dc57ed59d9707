"""What a step's dense products reach, by TensorFlow and by PyTorch, each alone in a process: GFLOP a second.

    python benchmarks/products.py [--tokens 1760]

Those of a block of ELECTRA-Small (forward, the gradients of what goes in and of the kernel), float32, 2 threads.
"""

import argparse
import json
import os
import subprocess
import sys
import time

THREADS, REPEATS = 2, 8
KERNELS = {
    "query, key, value": (256, 768),
    "attention's output": (256, 256),
    "inner": (256, 1024),
    "outer": (1024, 256),
}
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", **os.environ}
KINDS = ("forward", "of the input", "of the kernel", "turned first")  # the last, too, is the gradient of the kernel


def by_tensorflow():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as a run has it
    ways = {
        "forward": lambda x, kernel, upstream: tf.matmul(x, kernel),
        "of the input": lambda x, kernel, upstream: tf.matmul(upstream, kernel, transpose_b=True),
        "of the kernel": lambda x, kernel, upstream: tf.matmul(x, upstream, transpose_a=True),
        "turned first": lambda x, kernel, upstream: (
            tf.matmul(tf.transpose(x), upstream)
            if x.shape[1] >= upstream.shape[1]
            else tf.transpose(tf.matmul(tf.transpose(upstream), x))
        ),
    }
    return tf.constant, {name: tf.function(way) for name, way in ways.items()}


def by_torch():
    import torch

    torch.set_num_threads(THREADS)
    return torch.from_numpy, {
        "forward": lambda x, kernel, upstream: x @ kernel,
        "of the input": lambda x, kernel, upstream: upstream @ kernel.T,
        "of the kernel": lambda x, kernel, upstream: x.T @ upstream,
        "turned first": lambda x, kernel, upstream: x.T.contiguous() @ upstream,
    }


PEERS = {"TensorFlow": by_tensorflow, "PyTorch": by_torch}


def measured(peer, tokens):
    """Seconds of each product, the fastest of some."""
    import numpy as np

    random, found = np.random.default_rng(0), {}
    given, ways = PEERS[peer]()
    for kind, way in ways.items():
        for name, (fan_in, fan_out) in KERNELS.items():
            shapes = ((tokens, fan_in), (fan_in, fan_out), (tokens, fan_out))
            matrices, seconds = [given(random.normal(size=shape).astype("float32")) for shape in shapes], []
            for _ in range(REPEATS + 1):
                began = time.perf_counter()
                for _ in range(REPEATS):
                    way(*matrices)
                seconds.append((time.perf_counter() - began) / REPEATS)
            found[f"{kind}/{name}"] = min(seconds[1:])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=1760)
    parser.add_argument("--peer", choices=PEERS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(measured(options.peer, options.tokens)))
        return
    found = {}
    for peer in PEERS:
        command = [sys.executable, __file__, "--peer", peer, "--tokens", str(options.tokens)]
        run = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True)
        found[peer] = json.loads(run.stdout)
    print(f"{options.tokens} tokens, GFLOP a second{'':12} {'TensorFlow':>12} {'PyTorch':>12}")
    for key in found["PyTorch"]:
        kind, name = key.split("/")
        size = 2e-9 * options.tokens * KERNELS[name][0] * KERNELS[name][1]
        print(f"{kind:16} {name:22} {size / found['TensorFlow'][key]:12.0f} {size / found['PyTorch'][key]:12.0f}")
    for peer, seconds in found.items():
        for left_out in KINDS[2:]:
            whole = sum(one for key, one in seconds.items() if not key.startswith(left_out))
            print(f"a block by {peer}, without '{left_out}': {whole * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
