"""What one process found out for tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_batchguard.core.model import FailureKind, Measurement


@dataclass(frozen=True)
class Found:
    """What one process found out.

    Attributes:
        measurement: What was measured; with a `failure` where it did not come to its end.
        findings: What it told beside, by kind: `noise`, `trial`.
        problem: What is wrong with the guard itself, or an empty text.
        others_bytes: What other processes held of the card, where that may be why memory ran out.
    """

    measurement: Measurement | None = None
    findings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""
    others_bytes: int = 0

    @property
    def is_lasting(self) -> bool:
        """Whether another run would find the same: it trained, or memory ran out with nobody beside it."""
        if self.measurement is None or self.others_bytes:
            return False
        failure = self.measurement.failure
        return failure is None or failure.kind is FailureKind.OOM
