"""A case in pytest's own process, for `--pdb` and `--trace`: nothing is isolated and no budget is enforced."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from pytest_batchguard.core.model import Device, Measurement
from pytest_batchguard.core.plain import from_plain
from pytest_batchguard.core.plan import Parent, Pass
from pytest_batchguard.plugin.child import ACTIVE
from pytest_batchguard.plugin.conversation import Attempt
from pytest_batchguard.plugin.policy import Policy


def wanted(config: pytest.Config) -> bool:
    """Return whether the user wants to debug, which needs the tests in this process."""
    return bool(config.getoption("usepdb", False) or config.getoption("trace", False))


def measure_here(item: pytest.Item, nextitem: pytest.Item | None, policy: Policy, device: Device) -> Attempt:
    """Run the item here; on the CPU memory is not measured, since the allocator is chosen when a process starts."""
    attempt = Attempt()

    def take(message: dict[str, Any]) -> None:
        if message["kind"] == "measurement":
            attempt.measurement = from_plain(Measurement, message["measurement"])

    kind = Pass.WHOLE if device.is_gpu else Pass.THROUGHPUT
    item.config.stash[ACTIVE] = (policy.plan(kind, device), Parent(take))
    try:
        attempt.reports = runtestprotocol(item, log=False, nextitem=nextitem)
    finally:
        del item.config.stash[ACTIVE]
    return attempt
