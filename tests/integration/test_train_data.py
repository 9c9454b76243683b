"""What a guard may train, and on what: each trains through the project's own path and yields a whole measurement."""

from __future__ import annotations

import pytest

GUARDS = """
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

guard = pytest.mark.batchguard(4, 8)

def assert_is_whole(measurement):
    assert measurement.failure is None
    assert measurement.memory.peak_bytes > 0
    assert measurement.throughput.images_per_second > 0
    assert measurement.loss.decrease > 0

class Photos(keras.utils.PyDataset):
    \"\"\"Fifty full batches and one of a single image.\"\"\"

    def __init__(self, guard):
        super().__init__()
        self.x, self.y = tiny.photos(guard)
        self.epochs = 0

    def __len__(self):
        return 51

    def __getitem__(self, index):
        return (self.x[:1], self.y[:1]) if index == 50 else (self.x, self.y)

    def on_epoch_end(self):
        self.epochs += 1

@pytest.mark.batchguard(4, 8, steps=12)
def test_dataset_that_is_short_and_ends_in_a_partial_batch(batchguard):
    x, y = tiny.photos(batchguard, batches=3)
    count = 2 * batchguard.batch_size + 1
    sizes = set()
    data = tf.data.Dataset.from_tensor_slices((x[:count], y[:count])).batch(batchguard.batch_size)

    class Counting(keras.Sequential):
        def train_step(self, batch):
            tf.py_function(lambda size: sizes.add(int(size)), [tf.shape(batch[0])[0]], [])
            return super().train_step(batch)

    model = Counting([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    measurement = batchguard.train(model, data)
    assert_is_whole(measurement)
    assert measurement.steps >= 2 + 12
    assert sizes == {4}

@guard
def test_py_dataset_that_is_short_and_ends_in_a_partial_batch(batchguard):
    photos = Photos(batchguard)
    measurement = batchguard.train(tiny.network(batchguard), photos)
    assert_is_whole(measurement)
    assert photos.epochs > 0

@guard
def test_generator_that_is_long_enough(batchguard):
    def generate():
        x, y = tiny.photos(batchguard)
        while True:
            yield x, y

    assert_is_whole(batchguard.train(tiny.network(batchguard), generate()))

class Custom(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="int32")

    def call(self, x):
        return keras.ops.cast(self.dense(keras.ops.reshape(x, (-1, 64))), "float32")

    def train_step(self, data):
        x, y = data
        self.calls.assign_add(1)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
            scaled = self.optimizer.scale_loss(loss)
        self.optimizer.apply(tape.gradient(scaled, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}

@guard
def test_custom_train_step_with_mixed_precision(batchguard):
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = Custom()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    measurement = batchguard.train(model, tiny.photos(batchguard))
    assert_is_whole(measurement)
    assert model.calls.numpy() >= measurement.steps
    assert measurement.activation_bytes is None

@guard
def test_model_within_a_model(batchguard):
    model = keras.Sequential([keras.Input((8, 8, 1)), tiny.network(batchguard), keras.layers.Rescaling(1.0)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    measurement = batchguard.train(model, tiny.photos(batchguard))
    assert_is_whole(measurement)
    assert measurement.activation_bytes == 4 * (64 + 3 + 3)

class Counter(keras.callbacks.Callback):
    begun = ended = validated = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.begun += 1

    def on_train_batch_end(self, batch, logs=None):
        assert logs["loss"] >= 0
        self.ended += 1

@guard
def test_eager_model_with_callbacks_and_validation(batchguard):
    counter = Counter()
    model = tiny.network(batchguard, run_eagerly=True, metrics=["accuracy"])
    measurement = batchguard.train(
        model, tiny.photos(batchguard), validation_data=tiny.photos(batchguard, batches=2), callbacks=[counter]
    )
    assert_is_whole(measurement)
    assert measurement.retraces is None
    assert counter.begun == counter.ended == measurement.steps

@pytest.mark.batchguard(4, 8, steps=10, warmup=3, seed=7)
def test_hand_written_step(batchguard):
    weights = tf.Variable(tf.zeros((64, 3)))
    batches = []

    @tf.function
    def descend(x, y):
        with tf.GradientTape() as tape:
            logits = tf.reshape(x, (-1, 64)) @ weights
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        weights.assign_sub(0.05 * tape.gradient(loss, weights))
        return loss

    def step(batch):
        x, y = batch
        batches.append(x.shape[0])
        return descend(x, y)

    measurement = batchguard.train_step(step, tiny.photos(batchguard))
    assert_is_whole(measurement)
    assert len(measurement.loss.curve) == 13
    assert set(batches) == {4}

@guard
def test_hand_written_step_on_a_generator(batchguard):
    weight = tf.Variable(2.0)

    def step(batch):
        weight.assign_sub(0.01)
        return weight * tf.reduce_mean(batch) + 1.0

    def generate():
        while True:
            yield tf.ones((4, 8, 8, 1))

    measurement = batchguard.train_step(step, generate())
    assert_is_whole(measurement)
    assert measurement.breakdown.pipeline_seconds is None

@pytest.mark.batchguard(batch_size=2, image_size=(8, 6), steps=5, warmup=3, seed=7)
def test_guard_knows_its_case(batchguard):
    assert batchguard.batch_size == 2
    assert batchguard.image_size == (8, 6)
    assert batchguard.steps == 5
    assert batchguard.seed == 7
    assert not batchguard.device.is_gpu
    assert tf.config.list_logical_devices("GPU") == []
    drawn = np.random.random()
    np.random.seed(7)
    assert drawn == np.random.random()
    measurement = tiny.train(batchguard)
    assert (measurement.batch_size, measurement.image_size.height, measurement.image_size.width) == (2, 8, 6)
    assert len(measurement.loss.curve) == 8
    assert measurement.model.parameters == 8 * 6 * 3 + 3
    assert measurement.model.batch_shapes[0] == "float32[2, 8, 6, 1]"

@pytest.mark.batchguard(2, (8, 6), seed=7, steps=6)
def test_same_case_with_validation(batchguard):
    photos = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), photos, tiny.photos(batchguard, batches=2))
"""
NAMES = (
    "test_dataset_that_is_short_and_ends_in_a_partial_batch",
    "test_py_dataset_that_is_short_and_ends_in_a_partial_batch",
    "test_generator_that_is_long_enough",
    "test_custom_train_step_with_mixed_precision",
    "test_model_within_a_model",
    "test_eager_model_with_callbacks_and_validation",
    "test_hand_written_step",
    "test_hand_written_step_on_a_generator",
)


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_data=GUARDS).run("--batchguard", "-rA", "--tb=short")


@pytest.mark.parametrize("case", [*(f"{name}[b4-8x8]" for name in NAMES), "test_guard_knows_its_case[b2-8x6]"])
def test_guard_trains_on(run, case):
    assert f"PASSED test_data.py::{case}" in run.stdout.lines
    assert run.figures_of(case)["judgement"]["verdict"] == "no-baseline"


def test_everything_passes(run):
    assert run.exit_code == pytest.ExitCode.OK
    assert "warnings" not in run.outcomes()


def test_validation_leaves_the_training_loss_as_it_is(run):
    plain, validated = (
        run.figures_of(f"{name}[b2-8x6]") for name in ("guard_knows_its_case", "same_case_with_validation")
    )

    assert validated["measurement"]["loss"]["curve"] == plain["measurement"]["loss"]["curve"]


def test_mixed_precision_is_part_of_the_fingerprint(run):
    model = run.figures_of("test_custom_train_step_with_mixed_precision[b4-8x8]")["measurement"]["model"]

    assert model["dtype_policy"] == "mixed_float16"


def test_policy_that_one_guard_sets_is_not_the_next_ones(run):
    for name in ("test_generator_that_is_long_enough", "test_eager_model_with_callbacks_and_validation"):
        assert run.figures_of(f"{name}[b4-8x8]")["measurement"]["model"]["dtype_policy"] == "float32"
