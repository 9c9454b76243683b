"""What Keras takes besides the usual, a guard takes too: whatever `fit` and `evaluate` accept is trained and judged."""

from __future__ import annotations

import pytest

GUARDS = """
import collections
import itertools
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
from pytest_batchguard.training import recorder

guard = pytest.mark.batchguard(4, 8)

class Takes(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.step:
            tf.zeros((2**24,))  # 64 MiB

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
    assert measurement.model.steps_per_execution == 32

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
    after = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: trained.append(int(made.numpy())))
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

@pytest.mark.batchguard(4, 8, warmup=2)
def test_gradients_that_are_accumulated(batchguard):
    model = tiny.network(batchguard, optimizer=keras.optimizers.SGD(0.05, gradient_accumulation_steps=8))
    measurement = batchguard.train(model, tiny.photos(batchguard), callbacks=[Takes(8)])
    assert measurement.loss.decrease > 0
    assert len(measurement.loss.curve) == 9 + 2 * 8
    assert measurement.throughput.window_steps % 8 == 0
    assert measurement.memory.peak_bytes > 2**26, "the step after the first update is in the peak"

@guard
def test_data_that_is_cached_in_a_file_and_validated_on(batchguard):
    cached = tf.data.Dataset.from_tensor_slices(tiny.photos(batchguard, 500)).cache("cached").batch(4)
    measurement = batchguard.train(tiny.network(batchguard), cached, validation_data=cached)
    assert measurement.breakdown.pipeline_seconds > 0

@guard
def test_data_that_fills_memory_before_the_first_batch(batchguard):
    x, y = tiny.photos(batchguard, 4)
    large = tf.data.Dataset.from_tensor_slices((x, y)).map(lambda x, y: (tf.repeat(x, 2**14, axis=0), y))
    shuffled = large.cache().shuffle(16).map(lambda x, y: (x[:8], y)).batch(4)  # 64 MiB
    measurement = batchguard.train(tiny.network(batchguard), shuffled, validation_data=shuffled)
    assert measurement.memory.peak_bytes < 2**22

Photo = collections.namedtuple("Photo", ["sparse_and_ragged", "label"])

class OfPhotos(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, inputs):
        sparse, ragged = tf.sparse.to_dense(inputs[0]), inputs[1].to_tensor(shape=(None, 64))
        return self.dense(tf.reshape(sparse, (-1, 64))) + self.dense(ragged)

@guard
def test_batches_with_names_of_sparse_and_ragged_arrays(batchguard):
    def photo(x, y):
        x = tf.reshape(x, (-1, 64))
        return Photo((tf.sparse.from_dense(x), tf.RaggedTensor.from_tensor(x, lengths=range(61, 65))), y)

    data = tf.data.Dataset.from_tensor_slices(tiny.photos(batchguard, 5)).batch(4).map(photo)
    model = OfPhotos()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    measurement = batchguard.train(model, data)
    assert "float32[4, None]" in measurement.model.batch_shapes

@pytest.mark.parametrize("act", ["reset_metrics", "evaluate"])
@guard
def test_callback_that_disturbs_the_running_mean(batchguard, act):
    photos = tiny.photos(batchguard)

    class Disturbing(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch % 3 == 2:
                self.model.reset_metrics() if act == "reset_metrics" else self.model.evaluate(*photos, verbose=0)

    curve = batchguard.train(tiny.network(batchguard), photos, callbacks=[Disturbing()]).loss.curve
    assert all(before > after > 0 for before, after in itertools.pairwise(curve))

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
def test_py_dataset_with_worker_processes_has_no_batch_made_here_while_they_are_forked(batchguard):
    events = []

    class Noting(Photos):
        def __getitem__(self, index):
            events.append("batch")
            return super().__getitem__(index)

        def on_epoch_begin(self):
            events.append("forked")

    photos = Noting(batchguard, count=500, workers=2, use_multiprocessing=True)
    assert batchguard.train(tiny.network(batchguard), photos).breakdown.pipeline_seconds > 0
    assert events.count("forked") >= 2
    assert events[-1] == "forked"

@guard
def test_py_dataset_without_end(batchguard):
    photos = Photos(batchguard, count=None)
    measurement = batchguard.train(tiny.network(batchguard), photos, validation_data=photos)
    assert measurement.data_images is None
    assert measurement.breakdown.pipeline_seconds > 0

@guard
def test_py_dataset_that_is_empty(batchguard):
    batchguard.train(tiny.network(batchguard), Photos(batchguard, count=0))

@pytest.mark.parametrize("kind", [tiny.photos, Photos])
@guard
def test_callbacks_that_ask_for_the_epochs_and_for_the_validation_at_their_end(batchguard, kind):
    class Asking(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            assert epoch < self.params["epochs"]
            assert self.params["steps"] >= 3

    photos = kind(batchguard)
    checkpoint = keras.callbacks.ModelCheckpoint("{epoch}-{val_loss:.2f}.keras")
    batchguard.train(tiny.network(batchguard), photos, validation_data=photos, callbacks=[Asking(), checkpoint])

class Adversaries(keras.Sequential):
    \"\"\"Reports two losses, and none that is called so, as many a GAN does.\"\"\"

    def train_step(self, data):
        losses = super().train_step(data)
        return {"d_loss": losses["loss"], "g_loss": -losses["loss"], "psnr": np.inf}

class Diverged(Adversaries):
    def train_step(self, data):
        return {**super().train_step(data), "g_loss": np.nan}

class Replicas(keras.Sequential):
    def train_step(self, data):
        return {"loss": tf.repeat(super().train_step(data)["loss"], 2)}

class HasItsOwnOptimizer(keras.Sequential):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        weights = self.trainable_variables
        self.own_optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}

@guard
def test_optimizer_that_makes_no_update(batchguard):
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = HasItsOwnOptimizer([keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.own_optimizer = keras.optimizers.SGD(0.05)
    fingerprint = batchguard.train(model, tiny.photos(batchguard)).model
    assert (fingerprint.optimizer, fingerprint.learning_rate) == (None, None)

def train(guard, kind):
    model = kind([keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return guard.train(model, tiny.photos(guard))

@guard
def test_loss_of_another_name_that_is_no_number(batchguard):
    train(batchguard, Diverged)

@pytest.mark.parametrize("kind", [Adversaries, Replicas])
@guard
def test_train_step_without_a_loss_of_that_name(batchguard, kind):
    measurement = train(batchguard, kind)
    assert measurement.loss is None
    assert measurement.memory.peak_bytes > 0
    (note,) = measurement.notes
    assert "returns no `loss` that is one number: whether it learns was not judged" in note

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
def test_sample_weights_of_none_and_a_learning_rate_that_a_callback_changes(batchguard):
    model = tiny.network(batchguard, optimizer=keras.optimizers.SGD(0.05))

    class WarmingUp(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            model.optimizer.learning_rate = 0.001 * (batch + 1)

    x, y = tiny.photos(batchguard)
    assert batchguard.train(model, (x, y, None), callbacks=[WarmingUp()]).model.learning_rate == 0.05

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

@pytest.mark.parametrize(("step", "tries_convolutions"), [(0, False), (0, True), (1, True)])
@guard
def test_peak(batchguard, step, tries_convolutions):
    if tries_convolutions:
        recorder.Recorder._tries_convolutions = True  # as on a GPU
    data = tf.data.Dataset.from_tensors(tiny.photos(batchguard)).repeat()
    batchguard.train(tiny.network(batchguard), data, callbacks=[Takes(step)])
"""


@pytest.fixture(scope="module")
def project(new_project):
    return new_project(test_keras=GUARDS)


@pytest.fixture(scope="module")
def run(project):
    return project.run("--batchguard", "-rA", "--tb=short")


@pytest.mark.parametrize(
    "name",
    [
        "many_steps_at_once",
        "metric_for_each_class_and_validation_of_one_batch",
        "early_stopping_and_py_dataset_that_has_no_length",
        "mixed_precision",
        "py_dataset_with_workers",
        "py_dataset_with_worker_processes_has_no_batch_made_here_while_they_are_forked",
        "py_dataset_without_end",
        "gradients_that_are_accumulated",
        "data_that_is_cached_in_a_file_and_validated_on",
        "data_that_fills_memory_before_the_first_batch",
        "batches_with_names_of_sparse_and_ragged_arrays",
        "callback_that_disturbs_the_running_mean[reset_metrics]",
        "callback_that_disturbs_the_running_mean[evaluate]",
        "callbacks_that_ask_for_the_epochs_and_for_the_validation_at_their_end[photos]",
        "callbacks_that_ask_for_the_epochs_and_for_the_validation_at_their_end[Photos]",
        "train_step_without_a_loss_of_that_name[Adversaries]",
        "train_step_without_a_loss_of_that_name[Replicas]",
        "optimizer_that_makes_no_update",
        "running_mean_by_another_name",
        "list_of_inputs_and_targets_and_a_learning_rate_schedule",
        "sample_weights_of_none_and_a_learning_rate_that_a_callback_changes",
        "list_of_batches",
        "hand_written_step_on_a_list_of_batches",
    ],
)
def test_guard_trains(run, name):
    case = f"test_{name}[b4-8x8]".replace("][", "-")
    assert f"PASSED test_keras.py::{case}" in run.stdout.lines
    assert run.figures_of(case)["judgement"]["verdict"] == "no-baseline"


@pytest.mark.usefixtures("run")
def test_no_lock_of_cached_data_is_left(project):
    assert not list(project.folder.glob("cached*.lockfile"))


def test_steps_are_counted_as_they_are_made(run):
    cases = [f"test_many_steps_at_once_of_few_batches[{kind}-b4-8x8]" for kind in ("Photos", "Loader")]
    assert {f"PASSED test_keras.py::{case}" for case in cases} <= set(run.stdout.lines)


def test_loss_that_is_no_number_is_unhealthy_although_a_callback_would_end_the_training(run):
    assert run.figures_of("test_end_at_a_loss_that_is_no_number[b4-8x8]")["judgement"]["verdict"] == "unhealthy"


def test_loss_of_another_name_that_is_no_number_is_unhealthy_and_named_once(run):
    judgement = run.figures_of("test_loss_of_another_name_that_is_no_number[b4-8x8]")["judgement"]
    assert judgement["verdict"] == "unhealthy"
    assert [note for note in judgement["notes"] if "finite" in note] == ["not finite at the end: g_loss"]


def test_empty_py_dataset_is_told(run):
    run.stdout.fnmatch_lines(["*the data has no batch; batches of 4 images are needed*"])


@pytest.mark.parametrize(("case", "counts"), [("0-False", True), ("0-True", False), ("1-True", True)])
def test_first_step_counts_for_the_peak_but_where_ways_to_convolve_are_tried_in_it(run, case, counts):
    peak = run.figures_of(f"test_peak[{case}-b4-8x8]")["measurement"]["memory"]["peak_bytes"]
    assert (peak > 2**26) is counts
