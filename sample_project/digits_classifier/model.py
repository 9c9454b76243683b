"""The network that tells the digits apart."""

import tensorflow as tf

CLASSES = 10
SMALLEST_MAP = 8  # the digits were scanned at 8x8: a smaller feature map would lose strokes
FIRST_FILTERS = 8
MOST_FILTERS = 64


def build_classifier(image_size: tuple[int, int]) -> tf.keras.Model:
    """Build and compile the classifier.

    Every block halves the feature map, so larger images get more blocks.

    Args:
        image_size: Height and width of the images, in pixels.

    Returns:
        A compiled model from images, ``(batch, height, width, 1)`` from 0 to 255, to ten class probabilities.
    """
    inputs = tf.keras.Input((*image_size, 1))
    features = tf.keras.layers.Rescaling(1 / 255)(inputs)
    filters = FIRST_FILTERS
    while min(features.shape[1:3]) > SMALLEST_MAP:
        features = tf.keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(features)
        features = tf.keras.layers.BatchNormalization(momentum=0.9)(features)
        features = tf.keras.layers.ReLU()(features)
        features = tf.keras.layers.MaxPooling2D(padding="same")(features)
        filters = min(2 * filters, MOST_FILTERS)
    features = tf.keras.layers.Flatten()(features)
    features = tf.keras.layers.Dropout(0.3)(features)
    outputs = tf.keras.layers.Dense(CLASSES, activation="softmax")(features)

    model = tf.keras.Model(inputs, outputs, name="digits_classifier")
    model.compile(
        optimizer=tf.keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
