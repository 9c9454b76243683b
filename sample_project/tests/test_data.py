"""The images are all there."""

from pathlib import Path

DIGITS_FOLDER = Path(__file__).parent.parent / "digits"


def test_there_are_ten_classes_of_at_least_sixty_images() -> None:
    classes = sorted(folder for folder in DIGITS_FOLDER.iterdir() if folder.is_dir())
    images = {folder.name: len(list(folder.glob("*.png"))) for folder in classes}

    assert list(images) == list("0123456789")
    assert min(images.values()) >= 60
