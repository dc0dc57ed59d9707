"""What a step's dense products reach, by TensorFlow and by PyTorch, each alone in a process: GFLOP a second.

    python benchmarks/products.py [--tokens 1760]

Those of a block of ELECTRA-Small (forward, the gradients of what goes in and of the kernel), float32, 2 threads.
"""

import argparse
import json
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
KINDS = ("forward", "of the input", "of the kernel")


def products(kind, tokens, fan_in, fan_out):
    """(shapes of left and right, whether each is transposed), of x [tokens, fan_in] by a kernel [fan_in, fan_out]."""
    x, kernel, upstream = (tokens, fan_in), (fan_in, fan_out), (tokens, fan_out)
    return {
        "forward": (x, kernel, False, False),
        "of the input": (upstream, kernel, False, True),
        "of the kernel": (x, upstream, True, False),
    }[kind]


def by_tensorflow():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)

    def product(left, right, left_turned, right_turned):
        left, right = tf.constant(left), tf.constant(right)
        graph = tf.function(lambda a, b: tf.matmul(a, b, transpose_a=left_turned, transpose_b=right_turned))
        return lambda: graph(left, right)

    return product


def by_torch():
    import torch

    torch.set_num_threads(THREADS)

    def product(left, right, left_turned, right_turned):
        left, right = torch.from_numpy(left), torch.from_numpy(right)
        return lambda: (left.T if left_turned else left) @ (right.T if right_turned else right)

    return product


PEERS = {"TensorFlow": by_tensorflow, "PyTorch": by_torch}


def measured(peer, tokens):
    """Seconds of each product, the fastest of some."""
    import numpy as np

    random, product, found = np.random.default_rng(0), PEERS[peer](), {}
    for kind in KINDS:
        for name, (fan_in, fan_out) in KERNELS.items():
            left, right, *turned = products(kind, tokens, fan_in, fan_out)
            run = product(*(random.normal(size=shape).astype("float32") for shape in (left, right)), *turned)
            seconds = []
            for _ in range(REPEATS + 1):
                began = time.perf_counter()
                for _ in range(REPEATS):
                    run()
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
        found[peer] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    print(f"{options.tokens} tokens, GFLOP a second{'':12} {'TensorFlow':>12} {'PyTorch':>12}")
    for key in found["PyTorch"]:
        kind, name = key.split("/")
        size = 2e-9 * options.tokens * KERNELS[name][0] * KERNELS[name][1]
        print(f"{kind:16} {name:22} {size / found['TensorFlow'][key]:12.0f} {size / found['PyTorch'][key]:12.0f}")
    for peer, seconds in found.items():
        print(f"all of a block by {peer}: {sum(seconds.values()) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
