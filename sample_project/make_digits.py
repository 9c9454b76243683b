"""Write the folder ``digits`` again from the copy of the data set that comes with scikit-learn.

Needs scikit-learn and Pillow, which training itself does not: ``pip install scikit-learn pillow``.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

DIGITS_FOLDER = Path(__file__).parent / "digits"
BRIGHTEST_LEVEL = 16  # the data set counts the inked pixels of a 4x4 block, so it has levels 0 to 16


def write_digits(folder: Path) -> int:
    """Write every image as an 8x8 greyscale PNG into one folder a class.

    Args:
        folder: Where the class folders ``0`` to ``9`` go.

    Returns:
        How many images were written.
    """
    digits = load_digits()
    grey = np.rint(digits.images * (255 / BRIGHTEST_LEVEL)).astype(np.uint8)
    for index, (pixels, label) in enumerate(zip(grey, digits.target, strict=True)):
        class_folder = folder / str(label)
        class_folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(class_folder / f"{index:04d}.png", optimize=True)
    return len(grey)


if __name__ == "__main__":
    print(f"{write_digits(DIGITS_FOLDER)} images in {DIGITS_FOLDER.name}/")
