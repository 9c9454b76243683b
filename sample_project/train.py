"""Train the digits classifier and print how well it does on images that it has not seen."""

import argparse

import tensorflow as tf

from digits_classifier.data import load_digits
from digits_classifier.model import build_classifier

SEED = 7


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, default=64, help="images in a batch")
    parser.add_argument("--image-size", type=int, default=32, help="height and width of the images in pixels")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the training images")
    return parser.parse_args()


def main() -> None:
    """Train and validate."""
    arguments = parse_arguments()
    tf.keras.utils.set_random_seed(SEED)
    image_size = (arguments.image_size, arguments.image_size)
    validation = load_digits(image_size, arguments.batch_size, subset="validation")

    model = build_classifier(image_size)
    model.fit(
        load_digits(image_size, arguments.batch_size),
        validation_data=validation,
        epochs=arguments.epochs,
        verbose=2,
    )
    accuracy = model.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    print(f"validation accuracy: {accuracy:.1%}")


if __name__ == "__main__":
    main()
