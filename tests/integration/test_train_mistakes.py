"""What a guard can do wrong: each is said in a few lines and fails that case alone."""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

GUARDS = """
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

guard = pytest.mark.batchguard(4, 8)

@guard
def test_never_trains(batchguard):
    pass

@guard
def test_trains_twice(batchguard):
    tiny.train(batchguard)
    tiny.train(batchguard)

@guard
def test_model_not_compiled(batchguard):
    batchguard.train(keras.Sequential([keras.layers.Dense(3)]), tiny.photos(batchguard))

@guard
def test_model_is_none(batchguard):
    batchguard.train(None, tiny.photos(batchguard))

@guard
def test_model_of_keras_2(batchguard):
    batchguard.train(type("Sequential", (), {"__module__": "tf_keras.src.engine"})(), tiny.photos(batchguard))

@guard
def test_no_batch(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), tf.data.Dataset.from_tensor_slices((x, y)).take(0).batch(4))

@guard
def test_no_batch_in_arrays(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), (x[:0], y[:0]))

@guard
def test_unbatched(batchguard):
    batchguard.train(tiny.network(batchguard), tf.data.Dataset.from_tensor_slices(tiny.photos(batchguard)))

@guard
def test_larger_batches(batchguard):
    data = tf.data.Dataset.from_tensor_slices(tiny.photos(batchguard, batches=4)).batch(8)
    batchguard.train(tiny.network(batchguard), data)

@guard
def test_smaller_data_than_a_batch(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), (x[:3], y[:3]))

@guard
def test_targets_apart(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), x, y)

@guard
def test_smaller_batches(batchguard):
    data = tf.data.Dataset.from_tensor_slices(tiny.photos(batchguard)).batch(2)
    batchguard.train(tiny.network(batchguard), data)

@guard
def test_smaller_batches_without_end(batchguard):
    data = tf.data.Dataset.from_tensor_slices(tiny.photos(batchguard)).batch(2).repeat()
    batchguard.train(tiny.network(batchguard), data)

@guard
def test_data_is_a_number(batchguard):
    batchguard.train(tiny.network(batchguard), 3)

@guard
def test_generator_is_too_short(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), ((x, y) for _ in range(3)))

@guard
def test_generator_ends_within_the_windows(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), ((x, y) for _ in range(12)))

@guard
def test_labels_out_of_range(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), (x, y + 17))

@guard
def test_labels_of_wrong_shape(batchguard):
    x, _ = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard, loss="categorical_crossentropy"), (x, np.zeros((4, 5), "float32")))

@guard
def test_images_of_wrong_size(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), (x[:, :5], y))

@guard
def test_step_returns_nothing(batchguard):
    batchguard.train_step(lambda batch: None, tiny.photos(batchguard))

@guard
def test_step_returns_a_loss_for_each_image(batchguard):
    batchguard.train_step(lambda batch: tf.zeros(4), tiny.photos(batchguard))

@guard
def test_step_is_no_function(batchguard):
    batchguard.train_step(3, tiny.photos(batchguard))

@guard
def test_step_raises(batchguard):
    def step(batch):
        raise LookupError("no such augmentation")

    batchguard.train_step(step, tiny.photos(batchguard))

@guard
def test_loss_is_not_a_number(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), (x * math.nan, y))

@guard
def test_loss_is_lost_within_the_windows(batchguard):
    losses = itertools.chain((1.0 / step for step in range(1, 12)), itertools.repeat(math.nan))
    batchguard.train_step(lambda batch: next(losses), tiny.photos(batchguard))

@guard
def test_loss_grows(batchguard):
    losses = iter(range(1, 10**9))
    batchguard.train_step(lambda batch: float(next(losses)), tiny.photos(batchguard))

@guard
def test_loss_stays(batchguard):
    batchguard.train_step(lambda batch: 1.0, tiny.photos(batchguard))
"""
BROKEN = [
    ("test_never_trains", "the guard never trained: call batchguard.train(model, data) or batchguard.train_step*"),
    ("test_trains_twice", "*the guard trains twice*"),
    ("test_model_not_compiled", "*the model is not compiled: call `model.compile(...)` before*"),
    ("test_model_of_keras_2", "*given a Sequential of tf_keras; allowed is a compiled Keras model, of Keras 3*"),
    ("test_model_is_none", "*train() was given a NoneType; allowed is a compiled Keras model*"),
    ("test_no_batch", "*the data has no batch; batches of 4 images are needed*"),
    ("test_no_batch_in_arrays", "*the data has no batch; batches of 4 images are needed*"),
    ("test_unbatched", "*the data's first batch has 8 images, the case declares 4*"),
    ("test_larger_batches", "*the data's first batch has 8 images, the case declares 4: pass `batchguard.batch_size`*"),
    ("test_smaller_data_than_a_batch", "*first batch has 3 images, the case declares 4: *smaller than a batch[!;]*"),
    ("test_targets_apart", "*images and targets go together, as in train(model, (x, y))*"),
    (
        "test_smaller_batches",
        "*the data's first batch has 2 images, the case declares 4: pass `batchguard.batch_size`*",
    ),
    ("test_smaller_batches_without_end", "*smaller than a batch; if it is not, pass `batchguard.batch_size` to it*"),
    ("test_data_is_a_number", "*the data is a int; allowed is what `model.fit` takes: *"),
    ("test_generator_is_too_short", "*the data ended after 3 steps, 6 are needed; a generator cannot be repeated*"),
    (
        "test_generator_ends_within_the_windows",
        "*the data ended after 12 steps, the throughput needs more to be judged; a gen*",
    ),
    ("test_labels_out_of_range", "*label*outside the valid range*"),
    ("test_labels_of_wrong_shape", "*shape*(4, 5)*"),
    ("test_images_of_wrong_size", "*training failed: ValueError: *"),
    ("test_step_returns_nothing", "*`step(batch)` returned a NoneType; it must return the loss, one number*"),
    ("test_step_returns_a_loss_for_each_image", "*`step(batch)` returned a * of shape (4,); it must return the loss*"),
    ("test_step_is_no_function", "*train_step() was given a int; allowed is a function `step(batch)`*"),
    ("test_step_raises", "*LookupError: no such augmentation*"),
]
UNHEALTHY = [
    ("test_loss_is_not_a_number", "steps with a finite loss 0, allowed is at least 6"),
    ("test_loss_is_lost_within_the_windows", "steps with a finite loss 11, allowed is at least 12"),
    ("test_loss_grows", "loss decrease -*"),
    ("test_loss_stays", "loss decrease 0 %, allowed is more than 0 %*"),
]


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_mistakes=GUARDS).run("--batchguard")


@pytest.mark.parametrize(("name", "words"), BROKEN)
def test_mistake_breaks_the_guard_and_says_what_is_wrong(run, name, words):
    failure = text_of(run.section(f"{name}[b4-8x8]"))

    assert run.figures_of(f"{name}[b4-8x8]")["judgement"]["verdict"] == "broken"
    pytest.LineMatcher([failure]).fnmatch_lines([words if words.startswith("*") else f"broken: {words}"])


@pytest.mark.parametrize(("name", "words"), UNHEALTHY)
def test_training_that_does_not_learn_is_unhealthy(run, name, words):
    failure = run.section(f"{name}[b4-8x8]")

    assert run.figures_of(f"{name}[b4-8x8]")["judgement"]["verdict"] == "unhealthy"
    pytest.LineMatcher([text_of(failure)]).fnmatch_lines([f"unhealthy: {words}*"])


@pytest.mark.parametrize("name", [name for name, _ in (*BROKEN, *UNHEALTHY)])
def test_message_is_short_and_shows_no_insides_of_the_framework_or_of_ours(run, name):
    failure = run.section(f"{name}[b4-8x8]")

    assert len(failure) <= 30
    assert not [line for line in failure if "site-packages" in line or "pytest_batchguard/" in line]
    assert "\x1b" not in text_of(failure)


def test_every_mistake_is_one_failure_and_the_run_fails(run):
    expected = len(BROKEN) + len(UNHEALTHY)

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines([f"*= {expected} failed* in *"])
    for name, _ in (*BROKEN, *UNHEALTHY):
        assert len(run.junit[f"{name}[b4-8x8]"].findall("failure")) == 1


def test_summary_names_the_verdict_in_one_line_each(run):
    run.stdout.fnmatch_lines(
        ["FAILED test_mistakes.py::test_never_trains[[]b4-8x8] - broken: the guard never trained*"]
    )
