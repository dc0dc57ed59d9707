"""A block as a CPU runs it fastest: its products in the graph, what lies between them as XLA programs.

Line by line it is what `layers.attention.SelfAttention` and `layers.feed_forward.FeedForward` say, by their own
methods; the gradient of a product is two products, that of a program is one program.
"""

import tensorflow as tf

from electra_tf import processor
from electra_tf.layers.attention import SelfAttention
from electra_tf.layers.dense import Dense, LayerNorm
from electra_tf.layers.feed_forward import FeedForward
from electra_tf.layers.transformer import Block
from electra_tf.training.programs import lean_program

# With AVX2 alone a product takes up to twice as long where it turns the left matrix as it reads it
# (`benchmarks/products.py`).
TURNS_FIRST = "avx2" in processor.features() and "avx512f" not in processor.features()


def is_ours(block) -> bool:
    """Whether `block` consists of this library's layers."""
    attention, feed_forward = block.attention, block.feed_forward
    layers = {Block: [block], SelfAttention: [attention], FeedForward: [feed_forward]}
    layers[Dense] = [attention.qkv, attention.output_dense, feed_forward.intermediate, feed_forward.output_dense]
    layers[LayerNorm] = [attention.norm, feed_forward.norm]
    return all(type(layer) is kind for kind, found in layers.items() for layer in found)


def can_run(block) -> bool:
    """Whether `block` has a fast form: it is ours, and computes in float32."""
    return is_ours(block) and block.compute_dtype == "float32"


def fast_block(block: Block, training: bool):
    """`block` as a function of its weights (in the order of `trainable_variables`), x, mask and seed."""
    attention, feed_forward = block.attention, block.feed_forward
    qkv, intermediate = attention.qkv, feed_forward.intermediate

    @lean_program
    def heads(product, bias, mask):
        return tuple(attention.heads(tf.reshape(qkv.finish(product, bias), [*_rows_and_tokens(mask), qkv.units])))

    @lean_program
    def drop(probabilities, seed):
        return attention.attention_dropout(probabilities, training=training, seed=seed, site=0)

    def add_and_norm(part, site):
        @lean_program
        def of(x, product, bias, gamma, beta, mask, seed):
            y, rows = part.output_dense.finish(product, bias), _rows_and_tokens(mask)[0]
            y = part.dropout(y, training=training, seed=seed, site=site, rows=rows)
            return part.norm.normalise(x + y, gamma, beta)

        return of

    add_attention, add_feed_forward = add_and_norm(attention, 1), add_and_norm(feed_forward, 2)
    activate = lean_program(intermediate.finish)

    def call(values, x, mask, seed):
        values = {id(v): value for v, value in zip(block.trainable_variables, values, strict=True)}
        seed = tf.zeros([3], tf.int32) if seed is None else seed

        def product(x, dense):
            return _product(x, values[id(dense.kernel)])

        def added(part):
            return [values[id(weight)] for weight in (part.output_dense.bias, part.norm.gamma, part.norm.beta)]

        # All tokens are rows of one matrix: XLA adds up the gradient of a bias three times as fast then.
        shape, x = tf.shape(x), tf.reshape(x, [-1, attention.hidden_size])
        q_BNTD, k_BNTD, v_BNTD = heads(product(x, qkv), values[id(qkv.bias)], mask)
        scores = tf.matmul(q_BNTD, k_BNTD, transpose_b=True)
        p_BNTT = drop(attention.probabilities(scores, mask), seed)  # no program: XLA adds up a row entry by entry
        context = tf.reshape(attention.joined(tf.matmul(p_BNTT, v_BNTD)), tf.shape(x))
        x = add_attention(x, product(context, attention.output_dense), *added(attention), mask, seed)
        y = activate(product(x, intermediate), values[id(intermediate.bias)])
        x = add_feed_forward(x, product(y, feed_forward.output_dense), *added(feed_forward), mask, seed)
        return tf.reshape(x, shape)

    return call


@tf.custom_gradient
def _product(x, kernel):
    """`x @ kernel`; where `TURNS_FIRST`, of the kernel's gradient the wider matrix is turned, then multiplied."""

    def gradient(upstream):
        if not TURNS_FIRST:
            of_kernel = tf.matmul(x, upstream, transpose_a=True)
        elif kernel.shape[0] < kernel.shape[1]:
            of_kernel = tf.transpose(tf.matmul(tf.transpose(upstream), x))
        else:
            of_kernel = tf.matmul(tf.transpose(x), upstream)
        return tf.matmul(upstream, kernel, transpose_b=True), of_kernel

    return tf.matmul(x, kernel), gradient


def _rows_and_tokens(mask):
    return tf.unstack(tf.shape(mask))[:2]
