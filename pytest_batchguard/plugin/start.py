"""Start what runs the guards: a session that judges them, or one that tunes them."""

from __future__ import annotations

import pytest

from pytest_batchguard.errors import BatchguardError
from pytest_batchguard.plugin import options


def start(config: pytest.Config) -> None:
    """Prepare a run with guards; whatever is wrong with what was asked for ends it here.

    Raises:
        pytest.UsageError: Says what was found and what is allowed.
    """
    if config.getoption("collectonly") or config.getoption("setupplan"):
        return
    if config.getoption("setuponly"):
        raise pytest.UsageError("--setup-only runs no test, so there is nothing to guard: leave it out")
    try:
        session = _session(config)
    except BatchguardError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(session, "batchguard-session")


def _session(config: pytest.Config) -> object:
    if options.value(config, "batchguard_tune"):
        from pytest_batchguard.plugin.tune import TuneSession

        return TuneSession(config)
    from pytest_batchguard.plugin.session import GuardSession

    return GuardSession(config)
