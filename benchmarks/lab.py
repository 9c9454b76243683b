"""Measure guards outside an ordinary run: every collected guard is handed to a function, with a way to measure it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_batchguard.core.model import Case, Device
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.plugin.conversation import Attempt
from pytest_batchguard.plugin.policy import policy_of
from pytest_batchguard.plugin.runner import CaseRunner


class Bench:
    """One guard at one image size, ready to be measured.

    Args:
        item: As pytest knows it.
        device: What to train on.
        runner: Starts the processes.
    """

    def __init__(self, item: pytest.Item, device: Device, runner: CaseRunner) -> None:
        self.name = item.name
        self.parameters: dict[str, Any] = dict(item.callspec.params)  # type: ignore[attr-defined]
        self.case: Case = self.parameters.pop("batchguard")
        self._item = item
        self._device = device
        self._runner = runner

    def measure(self, kind: Pass, batch_size: int | None = None, **changes: Any) -> Attempt:
        """Run one pass in a process of its own.

        Args:
            kind: Of the pass.
            batch_size: In place of the declared one.
            changes: To other fields of the plan.
        """
        case = replace(self.case, batch_size=batch_size or self.case.batch_size)
        policy = policy_of(self._item, case, self._device)
        plan = replace(policy.plan(kind, self._device), **{"is_probe": True, **changes})
        return self._runner.run_pass(self._item, plan, policy.timeout_seconds)


class Lab:
    """A plugin that takes the place of the guarding.

    Args:
        device: What to train on.
        work: Is handed every guard.
    """

    def __init__(self, device: Device, work: Callable[[Bench], None]) -> None:
        self._device = device
        self._work = work
        self._runner: CaseRunner | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Start the process servers."""
        self._runner = CaseRunner(session.config, self._device, lambda _message: None)

    def pytest_unconfigure(self) -> None:
        """End them."""
        if self._runner is not None:
            self._runner.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        """Hand the guard on."""
        assert self._runner is not None  # the session has started
        self._work(Bench(item, self._device, self._runner))
        return True


def work_on(guards: str, device: Device, work: Callable[[Bench], None], module_path: Sequence[Path]) -> None:
    """Collect the guards of a source text and hand each to `work`.

    Args:
        guards: A test module.
        device: What to train on.
        work: Is handed every guard.
        module_path: Folders that the guards import from.

    Raises:
        RuntimeError: pytest did not come to its end.
    """
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_guards.py").write_text(guards, encoding="utf-8")
        paths = " ".join(map(str, module_path))
        Path(folder, "pytest.ini").write_text(f"[pytest]\npythonpath = {paths}\n", encoding="utf-8")
        os.chdir(folder)
        try:
            code = pytest.main(["-q", "-s", "-p", "no:cacheprovider"], plugins=[Lab(device, work)])
        finally:
            os.chdir(here)
            sys.modules.pop("test_guards", None)  # or the next guards would be these again
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise RuntimeError(f"pytest ended with exit code {int(code)}")
