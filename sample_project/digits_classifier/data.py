"""Reads the images of handwritten digits."""

from pathlib import Path
from typing import Literal

import tensorflow as tf

DIGITS_FOLDER = Path(__file__).parent.parent / "digits"


def load_digits(
    image_size: tuple[int, int],
    batch_size: int,
    subset: Literal["training", "validation"] = "training",
) -> tf.data.Dataset:
    """Load one subset of the digits; four images in five are for training.

    Args:
        image_size: Height and width that the images are resized to, in pixels.
        batch_size: Images in a batch; the last batch of an epoch may have fewer.
        subset: Which part of the images.

    Returns:
        Batches of images, ``(batch, height, width, 1)`` float32 from 0 to 255, and of labels, ``(batch,)``
        int32.
    """
    return tf.keras.utils.image_dataset_from_directory(
        DIGITS_FOLDER,
        color_mode="grayscale",
        validation_split=0.2,
        subset=subset,
        # Both subsets have to be drawn with the same seed, or they overlap.
        seed=123,
        image_size=image_size,
        batch_size=batch_size,
    )
