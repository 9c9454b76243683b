"""What the fixture `batchguard` does when a guard asks for it."""

from __future__ import annotations

import pytest

from pytest_batchguard.errors import GuardError
from pytest_batchguard.plugin.child import ACTIVE
from pytest_batchguard.plugin.guard import BatchGuard


def open_guard(request: pytest.FixtureRequest) -> BatchGuard:
    """Return the case's guard, everything seeded for the model to be built.

    Raises:
        GuardError: The test is no guard, or guards do not run.
    """
    if request.node.get_closest_marker("batchguard") is None:
        raise GuardError(
            f"{request.node.nodeid} takes the fixture `batchguard` without the marker: add "
            "@pytest.mark.batchguard(batch_size=…, image_size=…)"
        )
    from pytest_batchguard.training import runtime

    plan, parent = request.config.stash[ACTIVE]
    runtime.seed_everything(plan.seed)
    return BatchGuard(plan, parent, request.config.rootpath)
