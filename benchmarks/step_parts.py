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

    from electra_tf.layers.transformer import Block
    from electra_tf.models.presets import preset
    from electra_tf.optimizers.adamw import AdamW
    from electra_tf.training.programs import lean_program, program

    c = preset("electra_small").encoder
    block = Block(c.hidden_size, c.num_attention_heads, c.intermediate_size)
    attention, feed_forward = block.attention, block.feed_forward
    qkv, intermediate = attention.qkv, feed_forward.intermediate
    tokens, seed, mask = ROWS * LENGTH, tf.constant([1, 2, 0]), tf.ones([ROWS, LENGTH], tf.int32)
    hidden = tf.random.normal([tokens, c.hidden_size])
    inputs = {qkv: hidden, attention.output_dense: hidden, intermediate: hidden}
    inputs[feed_forward.output_dense] = tf.random.normal([tokens, c.intermediate_size])
    products = [(x, dense.kernel.value) for dense, x in inputs.items()]
    each_head = tf.random.normal([3, ROWS, c.num_attention_heads, LENGTH, c.hidden_size // c.num_attention_heads])
    scores = tf.random.normal([ROWS, c.num_attention_heads, LENGTH, LENGTH])
    table = tf.Variable(tf.random.normal([c.vocab_size, c.embedding_size]))
    update = AdamW().update

    def heads(product, bias):
        return tf.stack(attention.heads(tf.reshape(qkv.finish(product, bias), [ROWS, LENGTH, -1])))

    def softmax(scores):
        return attention.probabilities(scores, mask)

    def drop(probabilities):
        return attention.attention_dropout(probabilities, training=True, seed=seed)

    def add_and_norm(x, product, bias, gamma, beta):
        y = attention.output_dense.finish(product, bias)
        return attention.norm.normalise(x + attention.dropout(y, training=True, seed=seed, rows=ROWS), gamma, beta)

    def trained(function, *tensors):
        """Forward and backward; both count, since of both something is read."""

        def run():
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                y = function(*tensors)
            gradients = tape.gradient(y, tensors)
            return tf.add_n([tf.reduce_sum(tensor[:1]) for tensor in (*tf.nest.flatten(y), *gradients)])

        graph = tf.function(run, autograph=False)
        return lambda: float(graph())

    def adam(compiled):
        rate = tf.constant(1e-3)
        graph = tf.function(lambda: compiled(table, table, rate, table, table * table, rate, rate, rate, rate)[0][0, 0])
        return lambda: float(graph())

    def both_ways(function, *tensors):
        return trained(function, *tensors), trained(lean_program(function), *tensors)

    dense = trained(
        lambda *flat: [tf.matmul(x, y) for x, y in zip(flat[::2], flat[1::2], strict=True)], *sum(products, ())
    )
    by_heads = trained(
        lambda q, k, p, v: [tf.matmul(q, k, transpose_b=True), tf.matmul(p, v)], *each_head[:2], scores, each_head[2]
    )
    bias, gamma, beta = attention.output_dense.bias.value, attention.norm.gamma.value, attention.norm.beta.value
    wide = tf.random.normal([tokens, c.intermediate_size])
    depth = c.num_hidden_layers
    return {
        "dense products": (depth, dense, dense),
        "products of the heads": (depth, by_heads, by_heads),
        "bias, heads": (depth, *both_ways(heads, tf.random.normal([tokens, qkv.units]), qkv.bias.value)),
        "softmax": (depth, *[trained(softmax, scores)] * 2),
        "dropout of it": (depth, *both_ways(drop, scores)),
        "bias, dropout, residual, norm": (2 * depth, *both_ways(add_and_norm, hidden, hidden, bias, gamma, beta)),
        "bias, gelu": (depth, *both_ways(intermediate.finish, wide, intermediate.bias.value)),
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
