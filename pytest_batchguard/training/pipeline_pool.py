"""What the input pipeline keeps in the CPU's measured pool, which beside a GPU lies in the host's memory."""

from __future__ import annotations

import gc
import math
from typing import Any

import tensorflow as tf

from pytest_batchguard.core.plan import Plan
from pytest_batchguard.training import runtime


class KeptByPipeline:
    """A context for reading the first batch: what that leaves in the pool, such as the elements of `Dataset.cache`.

    Arrays that were made tensors before are none of it: TensorFlow puts these on the GPU.

    Args:
        plan: Says whether there is such a pool.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._before = 0
        self._kept = 0

    def __enter__(self) -> None:
        """Note what lies in the pool before."""
        if self._plan.has_cpu_pool:
            self._before = runtime.pool_bytes(self._plan)

    def __exit__(self, *_: object) -> None:
        """Add what came in since."""
        if self._plan.has_cpu_pool:
            gc.collect()  # the iterator may be in a reference cycle
            self._kept += max(0, runtime.pool_bytes(self._plan) - self._before)

    def bytes_beside(self, batch: Any) -> int:
        """Return the bytes left in the pool but for those of `batch`, which is trained on."""
        leaves = tf.nest.flatten(batch, expand_composites=True)
        trained: int = sum(math.prod(leaf.shape) * leaf.dtype.size for leaf in leaves if isinstance(leaf, tf.Tensor))
        return max(0, self._kept - trained)
