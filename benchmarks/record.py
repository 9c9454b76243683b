"""Writes what a benchmark measured, with the command and the machine, to `benchmarks/results/`."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pytest_batchguard.core.units import format_bytes
from pytest_batchguard.measure.device import cpu_device

RESULTS = Path(__file__).parent / "results"


def record(name: str, command: str, lines: Sequence[str]) -> None:
    """Print `lines` and write them to `results/NAME.md`."""
    device = cpu_device()
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    versions = ", ".join(f"{package} {version(package)}" for package in ("tensorflow-cpu", "keras", "pytest"))
    head = [
        f"# {name}",
        "",
        f"`{command}`, {today}",
        "",
        f"{device.name}, {format_bytes(device.memory_bytes)}; Python {platform.python_version()}, {versions}",
        "",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    print("\n".join(lines))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
