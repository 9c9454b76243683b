"""What one process found out for tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_batchguard.core.model import Measurement


@dataclass(frozen=True)
class Found:
    """What one process found out.

    Attributes:
        measurement: What was measured; with a `failure` where it did not come to its end.
        findings: What it told beside, by kind: `noise`, `trial`.
        problem: What is wrong with the guard itself, or an empty text.
    """

    measurement: Measurement | None = None
    findings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""
