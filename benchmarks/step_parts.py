"""Where the time of a pre-training step goes: each part of it alone, as a graph and as islands have it.

    python benchmarks/step_parts.py [--rounds 15]

ELECTRA-Small's discriminator, 32 rows of 128, dropout 0.1, float32, 2 threads. A part is its forward and backward pass
at the step's shapes; all parts take turns in one process, and the median of its rounds is printed times how often a
step has it. The generator, a quarter as wide, and its head are not in it.
"""

import argparse
import os
import statistics
import sys
import time

ROWS, LENGTH, THREADS = 32, 128, 2


def parts():
    """{part: (how often a step has it, its graph, its islands)}, functions that end when it is done."""
    import tensorflow as tf

    from electra_tf.layers.dropout import Dropout, drop
    from electra_tf.layers.transformer import Block
    from electra_tf.models.presets import preset
    from electra_tf.optimizers.adamw import AdamW
    from electra_tf.training.compilation import program

    c = preset("electra_small").encoder
    block = Block(c.hidden_size, c.num_attention_heads, c.intermediate_size)
    dropped, seed = Dropout(0.1), tf.constant([1, 2, 0])
    mask = tf.ones([ROWS, LENGTH], tf.int32)
    hidden, wide, all_three = (
        tf.random.normal([ROWS, LENGTH, size]) for size in (c.hidden_size, c.intermediate_size, 3 * c.hidden_size)
    )
    attention, feed_forward = block.attention, block.feed_forward
    dense = {attention.qkv: hidden, attention.output_dense: hidden, feed_forward.intermediate: hidden}
    dense[feed_forward.output_dense] = wide
    table = tf.Variable(tf.random.normal([c.vocab_size, c.embedding_size]))
    update = AdamW().update

    def products(*tensors):
        return [
            tf.matmul(tf.reshape(x, [-1, layer.inputs]), layer.kernel) for layer, x in zip(dense, tensors, strict=True)
        ]

    def residual(x, y):
        return block.attention.norm(x + dropped(y, training=True, seed=seed))

    def trained(function, *tensors):
        """Forward and backward."""
        weights = [layer.kernel.value for layer in dense] if function is products else []

        def run():
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                y = function(*tensors)
            gradients = tape.gradient(y, [*tensors, *weights])
            return tf.add_n([tf.reduce_sum(gradient[:1]) for gradient in gradients])

        graph = tf.function(run, autograph=False)
        return lambda: float(graph())

    def adam(compiled):
        rate = tf.constant(1e-3)
        graph = tf.function(lambda: compiled(table, table, rate, table, table * table, rate, rate, rate, rate)[0][0, 0])
        return lambda: float(graph())

    def attend(qkv):
        return attention.attend(qkv, mask, training=True, seed=seed)

    def with_program(x, y):
        dropped.drop = compiled_drop
        try:
            return residual(x, y)
        finally:
            dropped.drop = drop

    compiled_drop, activate = program(drop), feed_forward.intermediate.activate
    plain = trained(products, *dense.values())
    depth = c.num_hidden_layers
    return {
        "dense products": (depth, plain, plain),
        "attention": (depth, trained(attend, all_three), trained(program(attend), all_three)),
        "activation": (depth, trained(activate, wide), trained(program(activate), wide)),
        "dropout, residual, norm": (
            2 * depth,
            trained(residual, hidden, hidden),
            trained(with_program, hidden, hidden),
        ),
        "Adam": (13.5e6 / (c.vocab_size * c.embedding_size), adam(update), adam(program(update))),
    }


def timed(functions, rounds):
    """Median milliseconds of each, by turns, once everything is compiled."""
    seconds = [[] for _ in functions]
    for number in range(rounds + 2):
        for function, found in zip(functions, seconds, strict=True):
            began = time.perf_counter()
            function()
            if number >= 2:
                found.append(time.perf_counter() - began)
    return [1e3 * statistics.median(found) for found in seconds]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    from electra_tf.startup import TUNABLES

    if os.environ.get("GLIBC_TUNABLES") != TUNABLES:  # as the command has them
        os.environ |= {"GLIBC_TUNABLES": TUNABLES, "TF_CPP_MIN_LOG_LEVEL": "3"}
        os.execv(sys.executable, [sys.executable, *sys.argv])
    from electra_tf.training.compilation import settle_graphs
    from electra_tf.training.devices import use_threads

    use_threads(THREADS)
    settle_graphs("islands")
    all_parts = parts()
    found = timed([function for _, *both in all_parts.values() for function in both], options.rounds)
    print("| part | a step has | graph, ms | islands, ms |\n|---|---|---|---|")
    sums = [0.0, 0.0]
    for (name, (count, *_)), *pair in zip(all_parts.items(), found[::2], found[1::2], strict=True):
        a, b = (count * one for one in pair)
        sums = [sums[0] + a, sums[1] + b]
        print(f"| {name} | {count:.3g} | {a:.0f} | {b:.0f} |")
    print(f"| together | | {sums[0]:.0f} | {sums[1]:.0f} |")


if __name__ == "__main__":
    main()
