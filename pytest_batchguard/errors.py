"""Every error that pytest-batchguard raises on purpose.

::

    BatchguardError
    ├── ConfigurationError    an option, an ini key or a marker argument that cannot be used
    ├── BaselineFileError     a baselines file that cannot be read or written
    ├── TuningFileError       the file that tuning writes cannot be read or written
    ├── DeviceError           the device asked for is not there
    ├── GuardError            the guard itself is at fault: it never trains, its data has no batch, …
    │   └── DataTooSmallError     the data has fewer images than a batch
    └── IsolationError        the process of a case could not be started or spoken to
"""

from __future__ import annotations


class BatchguardError(Exception):
    """The root of this package's errors."""


class ConfigurationError(BatchguardError):
    """An option, an ini key or a marker argument cannot be used; says what was found and what is allowed."""


class BaselineFileError(BatchguardError):
    """A baselines file cannot be read or written; names the file, and the line and key where there is one."""


class TuningFileError(BatchguardError):
    """The file that tuning writes cannot be read or written; names the file."""


class DeviceError(BatchguardError):
    """The device asked for is not there; says which devices are."""


class GuardError(BatchguardError):
    """The guard itself is at fault, so that nothing can be said of the training."""


class DataTooSmallError(GuardError):
    """The data has fewer images than a batch.

    Args:
        message: For people.
        images: At most how many it has; `None` where all that is known is that they fill no batch.
    """

    def __init__(self, message: str, images: int | None) -> None:
        super().__init__(message)
        self.images = images


class IsolationError(BatchguardError):
    """The process of a case could not be started, or what it sent could not be read."""


def last_line(text: str) -> str:
    """Return the last line of a text that ends with what matters, as a traceback does; empty where there is none."""
    return next(reversed(text.strip().splitlines()), "")
