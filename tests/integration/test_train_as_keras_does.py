"""What Keras takes besides the usual, a guard takes too: whatever `fit` and `evaluate` accept is trained and judged."""

from __future__ import annotations

import pytest

GUARDS = """
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
from pytest_batchguard.training import recorder

guard = pytest.mark.batchguard(4, 8)

class Photos(keras.utils.PyDataset):
    def __init__(self, guard, count=3, **settings):
        super().__init__(**settings)
        self.batch = tiny.photos(guard)
        self.count = count
        self.begun = 0

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        assert self.count is None or index < self.count
        return self.batch

    def on_epoch_begin(self):
        self.begun += 1

@guard
def test_many_steps_at_once(batchguard):
    model = tiny.network(batchguard, steps_per_execution=32)
    measurement = batchguard.train(model, tiny.photos(batchguard))
    assert len(measurement.loss.curve) == 6
    assert measurement.loss.decrease > 0

class Loader:
    def __init__(self, guard):
        self.batch = list(tiny.photos(guard))

    def __len__(self):
        return 3

    def __iter__(self):
        return iter([self.batch] * 3)

@guard
@pytest.mark.parametrize("kind", [Photos, Loader])
def test_many_steps_at_once_of_few_batches(batchguard, kind):
    model = tiny.network(batchguard, steps_per_execution=5)
    trained, made = [], model.optimizer.iterations
    after = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: trained.append(int(made)))
    batchguard.train(model, kind(batchguard), callbacks=[after])
    assert trained[:3] == [5, 10, 15]

@guard
def test_metric_for_each_class_and_validation_of_one_batch(batchguard, recwarn):
    x, y = tiny.photos(batchguard)
    y = np.eye(3, dtype="float32")[y]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model = tiny.network(batchguard, loss=loss, metrics=[keras.metrics.F1Score()])
    batchguard.train(model, (x, y), validation_data=[x, y])
    assert not [each for each in recwarn if "ran out of data" in str(each.message)]

@guard
def test_early_stopping_and_py_dataset_that_has_no_length(batchguard):
    stopping = keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=1)
    photos = Photos(batchguard, count=15)
    measurement = batchguard.train(tiny.network(batchguard), photos, callbacks=[stopping])
    assert measurement.steps >= batchguard.steps
    assert photos.begun > 1
    assert measurement.data_images == 60

@guard
def test_end_at_a_loss_that_is_no_number(batchguard):
    model = tiny.network(batchguard, loss=lambda y, logits: keras.ops.mean(logits) * np.nan)
    batchguard.train(model, tiny.photos(batchguard), callbacks=[keras.callbacks.TerminateOnNaN()])

@guard
def test_mixed_precision(batchguard):
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, dtype="float32")])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    measurement = batchguard.train(model, tiny.photos(batchguard))
    assert measurement.model.optimizer == "Adam"
    assert measurement.model.learning_rate == 0.001

@guard
def test_py_dataset_with_workers(batchguard):
    photos = Photos(batchguard, count=50, workers=2)
    measurement = batchguard.train(tiny.network(batchguard), photos, validation_data=photos)
    assert measurement.breakdown.pipeline_seconds > 0

@guard
def test_py_dataset_without_end(batchguard):
    photos = Photos(batchguard, count=None)
    measurement = batchguard.train(tiny.network(batchguard), photos, validation_data=photos)
    assert measurement.data_images is None
    assert measurement.breakdown.pipeline_seconds > 0

@guard
def test_py_dataset_that_is_empty(batchguard):
    batchguard.train(tiny.network(batchguard), Photos(batchguard, count=0))

@guard
def test_callbacks_that_ask_for_the_epochs_and_for_the_validation_at_their_end(batchguard):
    class Asking(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            assert epoch < self.params["epochs"]

    photos = tiny.photos(batchguard)
    checkpoint = keras.callbacks.ModelCheckpoint("{epoch}-{val_loss:.2f}.keras")
    batchguard.train(tiny.network(batchguard), photos, validation_data=photos, callbacks=[Asking(), checkpoint])

class Adversaries(keras.Sequential):
    \"\"\"Reports two losses, and none that is called so, as many a GAN does.\"\"\"

    def train_step(self, data):
        losses = super().train_step(data)
        return {"d_loss": losses["loss"], "g_loss": -losses["loss"]}

@guard
def test_train_step_without_a_loss_of_that_name(batchguard):
    model = Adversaries([keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    measurement = batchguard.train(model, tiny.photos(batchguard))
    assert measurement.loss is None
    assert measurement.memory.peak_bytes > 0
    assert "the model's train_step returns no `loss`: whether it learns was not judged" in measurement.notes

class Reporting(keras.Model):
    \"\"\"Reports the mean of its losses so far as its loss, as Keras's own examples do.\"\"\"

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="zeros")
        self.tracker = keras.metrics.Mean(name="total_loss")

    def call(self, x):
        return x

    def train_step(self, data):
        loss = 8.0 - self.weight
        self.weight.assign_add(1.0)
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}

@pytest.mark.batchguard(4, 8, min_loss_decrease=-1e9)
def test_running_mean_by_another_name(batchguard):
    model = Reporting()
    model.compile("sgd")
    measurement = batchguard.train(model, tiny.photos(batchguard))
    assert measurement.loss.curve == pytest.approx([8.0, 7.0, 6.0, 5.0, 4.0, 3.0])

@guard
def test_list_of_inputs_and_targets_and_a_learning_rate_schedule(batchguard):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.9)
    x, y = tiny.photos(batchguard)
    first, second = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    features = keras.layers.Flatten()(keras.layers.Concatenate()([first, second]))
    model = keras.Model([first, second], keras.layers.Dense(3)(features))
    model.compile(keras.optimizers.SGD(schedule), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert batchguard.train(model, [[x, x], y]).model.learning_rate is None

@guard
def test_list_of_batches(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), [(x, y), (x, y), (x[:1], y[:1])])

@guard
def test_hand_written_step_on_a_list_of_batches(batchguard):
    weight = tf.Variable(2.0)
    sizes = set()

    def step(batch):
        x, _ = batch
        sizes.add(len(x))
        weight.assign_sub(0.01)
        return weight * 1.0

    x, y = tiny.photos(batchguard)
    batchguard.train_step(step, [(x, y), (x, y), (x[:1], y[:1])])
    assert sizes == {4}

class Takes(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.step:
            tf.zeros((2**24,))  # 64 MiB

@pytest.mark.parametrize(("step", "tries_convolutions"), [(0, False), (0, True), (1, True)])
@guard
def test_peak(batchguard, step, tries_convolutions):
    if tries_convolutions:
        recorder.Recorder._tries_convolutions = True  # as on a GPU
    data = tf.data.Dataset.from_tensors(tiny.photos(batchguard)).repeat()
    batchguard.train(tiny.network(batchguard), data, callbacks=[Takes(step)])
"""


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_keras=GUARDS).run("--batchguard", "-rA", "--tb=short")


@pytest.mark.parametrize(
    "name",
    [
        "many_steps_at_once",
        "metric_for_each_class_and_validation_of_one_batch",
        "early_stopping_and_py_dataset_that_has_no_length",
        "mixed_precision",
        "py_dataset_with_workers",
        "py_dataset_without_end",
        "callbacks_that_ask_for_the_epochs_and_for_the_validation_at_their_end",
        "train_step_without_a_loss_of_that_name",
        "running_mean_by_another_name",
        "list_of_inputs_and_targets_and_a_learning_rate_schedule",
        "list_of_batches",
        "hand_written_step_on_a_list_of_batches",
    ],
)
def test_guard_trains(run, name):
    case = f"test_{name}[b4-8x8]"
    assert f"PASSED test_keras.py::{case}" in run.stdout.lines
    assert run.figures_of(case)["judgement"]["verdict"] == "no-baseline"


def test_steps_are_counted_as_they_are_made(run):
    cases = [f"test_many_steps_at_once_of_few_batches[{kind}-b4-8x8]" for kind in ("Photos", "Loader")]
    assert {f"PASSED test_keras.py::{case}" for case in cases} <= set(run.stdout.lines)


def test_loss_that_is_no_number_is_unhealthy_although_a_callback_would_end_the_training(run):
    assert run.figures_of("test_end_at_a_loss_that_is_no_number[b4-8x8]")["judgement"]["verdict"] == "unhealthy"


def test_empty_py_dataset_is_told(run):
    run.stdout.fnmatch_lines(["*the data has no batch; batches of 4 images are needed*"])


@pytest.mark.parametrize(("case", "counts"), [("0-False", True), ("0-True", False), ("1-True", True)])
def test_first_step_counts_for_the_peak_but_where_ways_to_convolve_are_tried_in_it(run, case, counts):
    peak = run.figures_of(f"test_peak[{case}-b4-8x8]")["measurement"]["memory"]["peak_bytes"]
    assert (peak > 2**26) is counts
