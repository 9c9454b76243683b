"""The standard training of the yardstick: one small convolutional network, trained by Keras's own compiled step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from pytest_batchguard.core.plan import Plan
from pytest_batchguard.measure import yardstick
from pytest_batchguard.measure.contention import CpuClock
from pytest_batchguard.measure.handoff import between_cores
from pytest_batchguard.measure.yardstick import OwnYardstick
from pytest_batchguard.training import runtime


def build(plan: Plan) -> OwnYardstick:
    """Return the standard training for the plan's case, warmed up; nobody's random state is touched."""
    case = yardstick.case_beside(plan.yardstick_case or plan.case, on_gpu=plan.device.is_gpu)
    shape = (case.image_size.height, case.image_size.width, yardstick.CHANNELS)
    images = tf.random.stateless_normal((case.batch_size, *shape), (yardstick.SEED, yardstick.SEED))
    targets = tf.zeros((case.batch_size, yardstick.CLASSES))
    model = _network(shape)
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors((images, targets)).repeat())
    products = _arithmetic_on_one_core()
    own = OwnYardstick(
        compute=lambda: float(model.train_function(batches)["loss"]),
        compute_on_core=lambda: next(products),
        clock=time.perf_counter,
        read_cpu=CpuClock().read,
    )
    own.warm_up()
    return own


def serve(plan: Plan, link: Any) -> None:
    """Answer every question with a reading, until the parent has gone; the entry of a job.

    Args:
        plan: Of the case beside which the yardstick is timed.
        link: The child's end of its channel.
    """
    runtime.configure(dataclasses.replace(plan, budget_bytes=None))  # a budget is a pool, taken as a whole
    own = build(plan)
    handoff = None if plan.device.is_gpu else between_cores()
    if handoff is not None:
        own = dataclasses.replace(own, hand_over=handoff.seconds)
    runtime.remove_generated_code()
    message: dict[str, Any] = {"kind": "ready"}
    while True:
        try:
            question = link.ask(message)
        except EOFError:
            return
        reading = own.read(question["at_least"])
        message = {"kind": "reading", **dataclasses.asdict(reading)}


def _arithmetic_on_one_core() -> Iterator[Any]:
    """Yield results of the arithmetic, each computed when it is asked for, where an input pipeline computes."""
    size = yardstick.CORE_MATRIX

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]  # a killed process would leave a file
    def products(seed: tf.Tensor) -> tf.Tensor:
        factor = product = tf.random.stateless_normal((size, size), (seed, seed)) / size**0.5
        for _ in range(yardstick.CORE_PRODUCTS):
            product = product @ factor
        return tf.reduce_sum(product)

    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    return iter(tf.data.Dataset.counter().map(products).with_options(options))


def _network(shape: tuple[int, int, int]) -> Any:
    layers = []
    for filters in yardstick.FILTERS:
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu", **_fixed()),
            keras.layers.MaxPooling2D(padding="same", dtype="float32"),
        ]
    head = [keras.layers.GlobalAveragePooling2D(dtype="float32"), keras.layers.Dense(yardstick.CLASSES, **_fixed())]
    model = keras.Sequential([keras.Input(shape, dtype="float32"), *layers, *head])
    model.compile(keras.optimizers.SGD(1e-9), loss="mse", jit_compile=False, auto_scale_loss=False)
    return model


def _fixed() -> dict[str, Any]:
    return {"dtype": "float32", "kernel_initializer": keras.initializers.GlorotUniform(seed=yardstick.SEED)}
