"""Training keeps fitting in memory, keeps its speed and keeps learning. Run with ``pytest --batchguard``."""

# The project's modules import TensorFlow, which takes seconds. Imported inside the guards, it is loaded only
# where a guard trains, and a plain `pytest` stays fast.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_batchguard import BatchGuard


@pytest.mark.batchguard(batch_size=32, image_size=(180, 180))
def test_classifier_trains_at_180(batchguard: BatchGuard) -> None:
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    digits = load_digits(batchguard.image_size, batchguard.batch_size)
    model = build_classifier(batchguard.image_size)
    validation_digits = load_digits(batchguard.image_size, batchguard.batch_size, "validation")
    batchguard.train(model, digits, validation_digits)


@pytest.mark.batchguard(batch_size=[64, 128], image_size=32)
def test_classifier_trains_at_32(batchguard: BatchGuard) -> None:
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    digits = load_digits(batchguard.image_size, batchguard.batch_size)
    model = build_classifier(batchguard.image_size)
    validation_digits = load_digits(batchguard.image_size, batchguard.batch_size, "validation")
    batchguard.train(model, digits, validation_digits)


@pytest.mark.batchguard(batch_size=64, image_size=32)
def test_hand_written_loop_trains(batchguard: BatchGuard) -> None:
    from digits_classifier.custom_loop import make_training_step
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    digits = load_digits(batchguard.image_size, batchguard.batch_size)
    step = make_training_step(build_classifier(batchguard.image_size))
    batchguard.train_step(step, digits)
