"""What a run was made with, as far as the parent knows it."""

from __future__ import annotations

import datetime as dt
import subprocess
from dataclasses import replace
from pathlib import Path

from pytest_batchguard.core.model import Device, Provenance
from pytest_batchguard.measure.device import cpu_device
from pytest_batchguard.measure.nvml import driver_versions, opened_nvml


class ProvenanceStamp:
    """Adds date, commit, driver and host to what a child knows; each is looked up once a run.

    Args:
        device: What the run trains on.
        rootdir: Inside the project's git repository, if it has one.

    Attributes:
        date: Of today, as in `2026-11-22`.
    """

    def __init__(self, device: Device, rootdir: Path) -> None:
        self.date = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
        self._commit = _commit(rootdir)
        self._driver: str | None = None
        self._cuda: str | None = None
        self._host: str | None = None
        if device.is_gpu:
            self._host = cpu_device().key
            with opened_nvml() as pynvml:
                if pynvml is not None:
                    self._driver, self._cuda = driver_versions(pynvml)

    def complete(self, provenance: Provenance) -> Provenance:
        """Return `provenance` with what the parent knows."""
        return replace(
            provenance, date=self.date, commit=self._commit, driver=self._driver, cuda=self._cuda, host=self._host
        )


def _commit(rootdir: Path) -> str | None:
    """Return the short hash of HEAD, `-dirty` behind it where the tree differs; `None` outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=rootdir, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
