"""Every figure and verdict of a run as JSON, for other tools."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_batchguard.core.model import CaseResult, Device
from pytest_batchguard.core.plain import to_plain

SCHEMA = 1


def write(path: Path, device: Device, results: Sequence[CaseResult]) -> None:
    """Write the results of a run; what is not finite becomes its name as text, since JSON has no such numbers."""
    document = {"schema": SCHEMA, "device": to_plain(device), "cases": [to_plain(result) for result in results]}
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
