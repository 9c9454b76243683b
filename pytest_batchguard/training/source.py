"""The project's data as a source of full batches without end, fed to the framework the way the project feeds it.

A partial last batch would make one step cheaper than the others and may retrace or recompile; it is left out, so
that every step trains `batch_size` images. Data shorter than the steps is repeated.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import keras
import tensorflow as tf

from pytest_batchguard.errors import DataTooSmallError, GuardError


class Source(Protocol):
    """Data in full batches."""

    is_single_use: bool
    """Whether what is read is gone, as from a generator."""

    most_images: int | None
    """At most how many images an epoch has; `None` where it is endless or does not say."""

    count: int | None
    """Batches that an epoch has, of whatever size; `None` where it is endless or does not say."""

    def first_batch(self) -> Any:
        """Return the first batch, full or not; `None` where there is none; the same one at every call."""

    def fit_arguments(self) -> dict[str, Any]:
        """Return what `fit` takes to train on this data until it is stopped."""

    def batches(self) -> Iterator[Any]:
        """Return full batches without end, one by one, as a loop of the project's own would."""

    def fit_batches(self) -> Iterator[Any]:
        """Return full batches without end as `fit` reads them, with the project's workers."""

    def cached(self) -> dict[str, Any] | None:
        """Return what `fit` takes to train on the first batch again and again; `None` where that cannot be had.

        The function traced for `fit_arguments` serves these batches too: they are of the same specification.
        """


_UNWATCHED: AbstractContextManager[None] = nullcontext()
_ENDLESS = 10**6
"""Steps or epochs that no guard reaches: training is stopped from within."""


def open_source(
    data: Any, batch_size: int, steps_at_once: int = 1, reading: AbstractContextManager[None] = _UNWATCHED
) -> tuple[Source, Any]:
    """Return the source of `data` and its first batch.

    Args:
        data: Anything that `model.fit` takes; arrays as `x` or as a tuple `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Images in a batch.
        steps_at_once: Steps that `fit` runs in one go; an epoch has a multiple of these, so that each go has as many.
        reading: Entered while the first batch is read.

    Raises:
        DataTooSmallError: The data has no batch, or its first one is smaller than `batch_size` and, as far as is known,
            the only one.
        GuardError: Its batches are of another size.
    """
    source = _source(data, batch_size, steps_at_once)
    with reading:
        first = source.first_batch()
    found = None if first is None else _images_in(first)
    if found is None:
        raise DataTooSmallError(f"the data has no batch; batches of {batch_size} images are needed", None)
    complaint = f"the data's first batch has {found} images, the case declares {batch_size}"
    cure = "pass `batchguard.batch_size` to it"
    if found > batch_size or (found < batch_size and (source.count or 1) > 1):
        raise GuardError(f"{complaint}: {cure}")
    if found < batch_size:
        otherwise = "" if source.count == 1 else f"; if it is not, {cure}"
        raise DataTooSmallError(f"{complaint}: the data set is smaller than a batch{otherwise}", found)
    return source, first


def check_validation(data: Any, validation_data: Any) -> None:
    """Make sure that no targets were given for validation data, as `fit` takes them in second place.

    Raises:
        GuardError: Both are a single array, and of images that differ in shape.
    """
    if not (hasattr(data, "shape") and hasattr(validation_data, "shape")):
        return
    of_data, of_validation = tuple(data.shape), tuple(validation_data.shape)
    if of_data[1:] != of_validation[1:]:
        raise GuardError(
            f"the data is one array of shape {of_data}, and the validation data another of shape {of_validation}; "
            "images and targets go together, as in train(model, (x, y))"
        )


def batches_of(data: Any) -> int | None:
    """Return how many batches an epoch of data has; `None` where it has no end or does not say."""
    if isinstance(data, keras.utils.PyDataset) and hasattr(data, "num_batches"):  # unknown to Keras before 3.4
        count: int | None = data.num_batches
        return count
    count = operator.length_hint(data, -1)
    return None if count < 0 else count


def first_batch_again(data: Any, reading: AbstractContextManager[None]) -> Any:
    """Return a dataset with nothing but its first batch, again and again; other data, or an empty one, as it is.

    Args:
        data: Anything that `model.fit` takes as `validation_data`.
        reading: Entered while the first batch is read.
    """
    if not isinstance(data, tf.data.Dataset):
        return data
    with reading:
        first = next(iter(data), None)
    return data if first is None else tf.data.Dataset.from_tensors(first).repeat()


def _images_in(batch: Any) -> int | None:
    """Return the length of the first array in a batch; `None` without any."""
    lengths = (leaf.shape[0] for leaf in tf.nest.flatten(batch) if len(getattr(leaf, "shape", ())) > 0)
    return next(map(int, lengths), None)


def _source(data: Any, batch_size: int, steps_at_once: int) -> Source:
    if isinstance(data, tf.data.Dataset):
        return _DatasetSource(data, batch_size)
    if isinstance(data, keras.utils.PyDataset):
        return _PyDatasetSource(data, batch_size, steps_at_once)
    if _is_list_of_batches(data):
        return _IterableSource(data, batch_size, steps_at_once)
    if _is_arrays(data):
        source = _DatasetSource(_array_dataset(data, batch_size), batch_size)
        images = int(tf.nest.flatten(data)[0].shape[0])
        source.most_images, source.count = images, math.ceil(images / batch_size)
        return source
    if hasattr(data, "__iter__"):
        return _IterableSource(data, batch_size, steps_at_once)
    raise GuardError(
        f"the data is a {type(data).__name__}; allowed is what `model.fit` takes: tf.data.Dataset, PyDataset, arrays"
    )


def _is_list_of_batches(data: Any) -> bool:
    """Return whether this is no `[x, y]`: batches are tuples, lists or dicts themselves."""
    return isinstance(data, list) and bool(data) and all(isinstance(each, (tuple, list, dict)) for each in data)


def _is_arrays(data: Any) -> bool:
    leaves = [leaf for leaf in tf.nest.flatten(data) if leaf is not None]  # as of a loader without sample weights
    return bool(leaves) and all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)


def _array_dataset(data: Any, batch_size: int) -> tf.data.Dataset:
    from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter  # what `fit` makes of arrays

    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return ArrayDataAdapter(x, y, sample_weight, batch_size=batch_size, shuffle=True).get_tf_dataset()


class _DatasetSource:
    is_single_use = False

    def __init__(self, dataset: tf.data.Dataset, batch_size: int) -> None:
        self._dataset = dataset
        self._first: Any = None
        leaves = tf.nest.flatten(dataset.element_spec)
        batches = int(dataset.cardinality())
        self.count = batches if batches >= 0 else None
        rest = batch_size - 1 if leaves[0].shape.rank and leaves[0].shape[0] is not None else 0
        self.most_images = None if self.count is None else self.count * batch_size + rest
        if leaves[0].shape.rank and leaves[0].shape[0] is None:
            dataset = dataset.filter(lambda *parts: _length(tf.nest.flatten(parts)[0]) == batch_size)
        self._full = dataset.repeat()

    def first_batch(self) -> Any:
        if self._first is None:
            self._first = next(iter(self._dataset), None)
        return self._first

    def fit_arguments(self) -> dict[str, Any]:
        return {"x": self._full, "steps_per_epoch": _ENDLESS, "shuffle": False}

    def batches(self) -> Iterator[Any]:
        return iter(self._full)

    fit_batches = batches

    def cached(self) -> dict[str, Any]:
        specification = self._full.element_spec

        def relax(*parts: Any) -> Any:
            batch = parts if type(specification) is tuple else parts[0]  # as `map` unpacks it
            return tf.nest.map_structure(_with_shape_of, batch, specification)

        cached = tf.data.Dataset.from_tensors(self._first).map(relax).cache().repeat()
        return {"x": cached, "steps_per_epoch": _ENDLESS, "shuffle": False}


def _with_shape_of(tensor: Any, specification: Any) -> Any:
    """Forget of `tensor`'s shape what `specification` does not know, such as the batch size."""
    if not isinstance(tensor, tf.Tensor):  # sparse or ragged
        return tensor
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=specification.shape)


def _length(array: Any) -> Any:
    """Return the first dimension of a dense, sparse or ragged tensor."""
    if isinstance(array, tf.SparseTensor):
        return array.dense_shape[0]
    return array.nrows() if isinstance(array, tf.RaggedTensor) else tf.shape(array)[0]


class _PyDatasetSource:
    is_single_use = False

    def __init__(self, dataset: Any, batch_size: int, steps_at_once: int) -> None:
        self.count = count = batches_of(dataset)
        self.most_images = None if count is None else count * batch_size
        self._first = dataset[0] if count != 0 else None
        self._full = _FullBatches(dataset, count, batch_size, steps_at_once) if count else dataset

    def first_batch(self) -> Any:
        return self._first

    def fit_arguments(self) -> dict[str, Any]:
        return {"x": self._full, "epochs": _ENDLESS}

    def batches(self) -> Iterator[Any]:
        for index in itertools.count():
            yield self._full[index if self.count is None else index % len(self._full)]

    def fit_batches(self) -> Iterator[Any]:
        from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter  # what `fit` makes of it

        adapter = PyDatasetAdapter(self._full, shuffle=True)
        # Asks the project's data for batches: while workers are forked, these would find its locks taken for ever.
        batches = adapter.get_tf_dataset()
        while True:
            getattr(adapter, "on_epoch_begin", lambda: None)()  # Keras before 3.5 has none
            try:
                yield from batches
            finally:
                adapter.on_epoch_end()

    def cached(self) -> dict[str, Any]:
        return {"x": _OneBatch(self._first), "epochs": 1}


class _FullBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    def __init__(self, dataset: Any, count: int, batch_size: int, passes: int) -> None:
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self._dataset = dataset
        last = _images_in(dataset[count - 1]) or 0
        self._count = max(1, count - (last < batch_size))
        self._passes = passes

    def __len__(self) -> int:
        return self._count * self._passes

    def __getitem__(self, index: int) -> Any:
        return self._dataset[index % self._count]

    def on_epoch_begin(self) -> None:
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._dataset.on_epoch_end()


class _OneBatch(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    def __init__(self, batch: Any) -> None:
        super().__init__()
        self._batch = batch

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, index: int) -> Any:
        return self._batch


class _IterableSource:
    """A generator, or something iterable such as a torch `DataLoader`; only the latter can be repeated."""

    most_images: int | None = None

    def __init__(self, data: Any, batch_size: int, steps_at_once: int) -> None:
        self._data = data
        self._batch_size = batch_size
        self._steps_at_once = steps_at_once
        self.is_single_use = iter(data) is data
        self.count = batches_of(data)

    def first_batch(self) -> Any:
        if not self.is_single_use:
            return next(iter(self._data), None)
        first = next(self._data, None)
        self._data = itertools.chain([first], self._data)
        return first

    def fit_arguments(self) -> dict[str, Any]:
        if self.is_single_use or isinstance(self._data, list):
            return {"x": self.batches(), "steps_per_epoch": _ENDLESS, "shuffle": False}
        if self._steps_at_once > 1:
            # As Keras takes them of a generator; a torch `DataLoader` yields lists.
            batches = (tuple(batch) if isinstance(batch, list) else batch for batch in self.batches())
            return {"x": batches, "steps_per_epoch": _ENDLESS, "shuffle": False}
        return {"x": self._data, "epochs": _ENDLESS}

    def batches(self) -> Iterator[Any]:
        while True:
            yield from filter(self._is_full, self._data)
            if self.is_single_use:
                return

    fit_batches = batches

    def _is_full(self, batch: Any) -> bool:
        return _images_in(batch) == self._batch_size

    def cached(self) -> None:
        return None
