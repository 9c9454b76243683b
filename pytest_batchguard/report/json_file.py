"""Every figure and verdict of a run as JSON, for other tools."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_batchguard.core.model import CaseResult, Device
from pytest_batchguard.core.plain import to_plain
from pytest_batchguard.errors import ConfigurationError

SCHEMA = 1


def check_writable(path: Path, source: str) -> None:
    """Raise `ConfigurationError` unless a file can be written there.

    Args:
        path: Of the file; its folders may still be missing.
        source: The flag or ini key that names it.
    """
    if path.is_dir():
        raise ConfigurationError(f"{source}: found the folder {path}; a file is allowed")
    if path.exists():
        if not os.access(path, os.W_OK):
            raise ConfigurationError(f"{source}: {path} cannot be written: no permission")
        return
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigurationError(f"{source}: {path} cannot be written: {folder} is no folder that may be written to")


def write(path: Path, device: Device, results: Sequence[CaseResult], *, is_complete: bool) -> None:
    """Write the results of a run; what is not finite becomes its name as text, since JSON has no such numbers.

    Args:
        path: Of the file.
        device: What was trained on.
        results: Of every case that was judged.
        is_complete: Whether the run came to its end.
    """
    cases = [to_plain(result) for result in results]
    document = {"schema": SCHEMA, "complete": is_complete, "device": to_plain(device), "cases": cases}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(document), indent=2) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
