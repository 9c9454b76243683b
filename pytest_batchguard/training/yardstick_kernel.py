"""What the yardstick computes: convolution forward and backward, matrix product, memory traffic."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from pytest_batchguard.measure import yardstick


def build_kernel() -> Callable[[], object]:
    """Return the computation on the default device; called once, it returns when its result is on the host."""
    chance = tf.random.Generator.from_seed(yardstick.SEED)
    images = chance.normal(yardstick.IMAGES_SHAPE)
    kernel = chance.normal(yardstick.KERNEL_SHAPE, stddev=0.1)
    matrix = chance.normal((yardstick.MATRIX_SIZE, yardstick.MATRIX_SIZE), stddev=0.05)
    stream = chance.normal((yardstick.STREAM_LENGTH,))

    @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]  # tensorflow has no types
    def compute() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            energy = tf.reduce_sum(tf.nn.relu(tf.nn.conv2d(images, kernel, strides=1, padding="SAME")) ** 2)
        convolution = tf.reduce_sum(tape.gradient(energy, kernel))
        product = tf.reduce_sum(matrix @ matrix @ matrix)
        traffic = tf.reduce_sum(stream * 1.5 + 0.5)
        return convolution + product + traffic

    return lambda: compute().numpy()
