"""A hand-written training step, for experiments that `fit` does not cover: here, clipped gradients."""

from collections.abc import Callable

import tensorflow as tf

LARGEST_GRADIENT_NORM = 5.0

Batch = tuple[tf.Tensor, tf.Tensor]


def make_training_step(model: tf.keras.Model) -> Callable[[Batch], tf.Tensor]:
    """Make a compiled function that trains a model on one batch.

    Args:
        model: A compiled classifier; its own optimizer is used.

    Returns:
        A function from a batch of images and labels to the loss, a scalar.
    """
    optimizer = model.optimizer
    loss_function = tf.keras.losses.SparseCategoricalCrossentropy()
    # Inside tf.function an optimizer cannot create its variables.
    optimizer.build(model.trainable_variables)
    images_and_labels = (tf.TensorSpec(model.inputs[0].shape, tf.float32), tf.TensorSpec((None,), tf.int32))

    # With a signature, the shorter last batch of an epoch does not trace the function again.
    @tf.function(input_signature=[images_and_labels])
    def train_on_batch(batch: Batch) -> tf.Tensor:
        images, labels = batch
        with tf.GradientTape() as tape:
            loss = loss_function(labels, model(images, training=True))
        gradients, _ = tf.clip_by_global_norm(
            tape.gradient(loss, model.trainable_variables), LARGEST_GRADIENT_NORM
        )
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return train_on_batch
