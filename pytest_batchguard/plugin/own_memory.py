"""The card's memory in pytest's own process, where tests may use TensorFlow beside the guards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_batchguard.core.model import Device

_GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"


class OwnMemory:
    """Lets TensorFlow take memory as it needs it: by itself it takes the whole card at its first operation.

    A variable that is set already stays as it is.

    Args:
        device: What the guards train on; nothing is changed for a CPU.
    """

    def __init__(self, device: Device) -> None:
        self._grows = device.is_gpu and _GROWTH not in os.environ
        self._grow()

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """Leave what is started meanwhile its environment: a process of a case decides by itself."""
        self.close()
        try:
            yield
        finally:
            self._grow()

    def close(self) -> None:
        """Leave the environment as it was."""
        if self._grows:
            os.environ.pop(_GROWTH, None)

    def _grow(self) -> None:
        if self._grows:
            os.environ[_GROWTH] = "true"
