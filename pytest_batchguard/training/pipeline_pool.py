"""What the input pipeline keeps in the CPU's measured pool, which on a GPU lies in the host's memory."""

from __future__ import annotations

import gc
from typing import Any

import tensorflow as tf

from pytest_batchguard.core.plan import Plan
from pytest_batchguard.training import runtime


class PoolBeside:
    """Tells what reading the first batch left in the pool: arrays as tensors, what `Dataset.cache` holds.

    Args:
        plan: Says whether there is such a pool.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._before = runtime.pool_bytes(plan) if plan.has_cpu_pool else 0

    def beside(self, first_batch: Any) -> int:
        """Return the bytes that came in since, but for the batch that is trained on."""
        if not self._plan.has_cpu_pool:
            return 0
        gc.collect()  # the iterator may be in a reference cycle
        return max(0, runtime.pool_bytes(self._plan) - self._before - _bytes_of(first_batch))


def _bytes_of(batch: Any) -> int:
    leaves = tf.nest.flatten(batch, expand_composites=True)
    return sum(int(tf.size(leaf)) * leaf.dtype.size for leaf in leaves if isinstance(leaf, tf.Tensor))
