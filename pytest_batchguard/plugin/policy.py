"""From options and marker to what a case is trained and judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_batchguard.core.model import Case, Device, Limits
from pytest_batchguard.core.plan import ROUGH_TOLERANCE, Pass, Plan
from pytest_batchguard.core.units import parse_size
from pytest_batchguard.errors import ConfigurationError
from pytest_batchguard.plugin import options
from pytest_batchguard.plugin.markers import GuardOptions

COMPARED_TOLERANCE = 0.05
"""Of throughput where base and head are trained in turn, and neither marker, flag nor ini set one: the two share the
machine's moods, so less is noise."""


@dataclass(frozen=True)
class Policy:
    """What one case is trained and judged by.

    Attributes:
        case: Its sizes.
        limits: What it is judged by.
        steps: Training steps to measure.
        warmup: Training steps before.
        seed: Set before the model is built.
        timeout_seconds: For each process of the case.
        good_pace: With which it passes at once; see `Plan`.
        mix: Of the yardstick's parts; see `Plan`.
    """

    case: Case
    limits: Limits
    steps: int
    warmup: int
    seed: int
    timeout_seconds: float
    good_pace: float = 0.0
    mix: float = 1.0

    def plan(self, kind: Pass, device: Device) -> Plan:
        """Return what a process of this case has to do."""
        limits = self.limits
        is_compared = not math.isinf(self.good_pace)
        return Plan(
            self.case,
            kind,
            device,
            self.steps,
            self.warmup,
            self.seed,
            limits.throughput_tolerance if is_compared else ROUGH_TOLERANCE,
            self.good_pace,
            self.mix,
            limits.memory_budget,
        )


def policy_of(item: pytest.Item, case: Case, device: Device, *, compares: bool = False) -> Policy:
    """Return the policy of a case: flag beats marker beats ini beats default.

    Args:
        item: The case as pytest knows it.
        case: Its sizes.
        device: What to train on.
        compares: Whether it is trained in turn with another commit.

    Raises:
        ConfigurationError: A budget is a percentage of more than there is, or no size.
    """
    config = item.config
    marker = item.get_closest_marker("batchguard")
    guard = GuardOptions.from_marker(marker) if marker else GuardOptions()

    def pick(name: str) -> Any:
        return _first(
            options.flag_value(config, f"batchguard_{name}"), getattr(guard, name), lambda: _ini(config, name)
        )

    is_silent = guard.throughput_tolerance is None and not options.is_given(config, "batchguard_throughput_tolerance")
    limits = Limits(
        memory_budget=_bytes(pick("memory_budget"), device),
        max_memory=_bytes(guard.max_memory, device),
        min_throughput=guard.min_throughput,
        min_loss_decrease=0.0 if guard.min_loss_decrease is None else guard.min_loss_decrease,
        throughput_tolerance=COMPARED_TOLERANCE if compares and is_silent else pick("throughput_tolerance"),
        memory_tolerance=pick("memory_tolerance"),
        loss_tolerance=pick("loss_tolerance"),
    )
    return Policy(case, limits, pick("steps"), pick("warmup"), pick("seed"), pick("timeout"))


def session_budget(config: pytest.Config, device: Device) -> int | None:
    """Return the budget that flag or ini set for all cases, in bytes, or `None`.

    Raises:
        ConfigurationError: It is not a size.
    """
    text = options.value(config, "batchguard_memory_budget")
    try:
        return _bytes(text, device)
    except ConfigurationError as error:
        raise ConfigurationError(f"{options.source(config, 'batchguard_memory_budget')}: {error}") from None


def _ini(config: pytest.Config, name: str) -> Any:
    return options.ini_value(config, f"batchguard_{name}")


def _first(flag: Any, marker: Any, otherwise: Any) -> Any:
    if flag is not None:
        return flag
    return marker if marker is not None else otherwise()


def _bytes(size: str | int | None, device: Device) -> int | None:
    return parse_size(size, device.memory_bytes) if isinstance(size, str) else size
