"""Guard training against running out of memory, getting slower or ceasing to learn.

Importing this package imports neither pytest nor TensorFlow nor YAML; the public names below are loaded
when they are first used.

PYTEST_DONT_REWRITE: no plugin of ours asserts, and pytest would warn in the processes of cases, where this package
is imported before pytest starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_batchguard.core.model import Measurement
    from pytest_batchguard.plugin.guard import BatchGuard

__all__ = ["BatchGuard", "Measurement", "__version__"]

__version__ = "0.1.0"

_PUBLIC = {
    "BatchGuard": "pytest_batchguard.plugin.guard",
    "Measurement": "pytest_batchguard.core.model",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
