"""The entry point: loaded with every pytest run, so it imports nothing heavy and does nothing without guards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_batchguard.plugin.options import add_options, guards_run, value

if TYPE_CHECKING:
    from pytest_batchguard.plugin.guard import BatchGuard

_MARKER = (
    "batchguard(batch_size, image_size, *, steps, warmup, seed, timeout, memory_budget, max_memory, min_throughput, "
    "min_loss_decrease, throughput_tolerance, memory_tolerance, loss_tolerance, cases): train this test's model at "
    "every batch and image size and judge memory, throughput and loss (with --batchguard)"
)
_SKIP_REASON = "a guard: run it with `pytest --batchguard`"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker and, where guards run, start what runs them."""
    config.addinivalue_line("markers", _MARKER)
    if guards_run(config) and not _is_child(config):
        from pytest_batchguard.plugin.start import start

        start(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say that guards are off; where they are on, the session says on what."""
    return None if guards_run(config) else "batchguard: off, `pytest --batchguard` runs the guards"


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn each guard into its cases."""
    marker = metafunc.definition.get_closest_marker("batchguard")
    if marker is not None:
        from pytest_batchguard.plugin.markers import parametrize

        parametrize(metafunc, marker, tunes=value(metafunc.config, "batchguard_tune"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the guards where they do not run."""
    if guards_run(config) or _is_child(config):
        return
    for item in items:
        if item.get_closest_marker("batchguard") is not None:
            item.add_marker(pytest.mark.skip(reason=_SKIP_REASON))


@pytest.fixture
def batchguard(request: pytest.FixtureRequest) -> BatchGuard:
    """The case at hand: `.batch_size`, `.image_size`, and `.train(model, data)` to measure a training."""
    from pytest_batchguard.plugin.fixture import open_guard

    return open_guard(request)


def _is_child(config: pytest.Config) -> bool:
    import sys

    child = sys.modules.get("pytest_batchguard.plugin.child")
    return child is not None and child.ACTIVE in config.stash
