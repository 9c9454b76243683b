"""What the end of a case's process means: a timeout, a crash, out of memory on the device or on the host."""

from __future__ import annotations

import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

from pytest_batchguard.core.model import Device, Failure, FailureKind
from pytest_batchguard.core.units import format_bytes, format_seconds
from pytest_batchguard.errors import last_line
from pytest_batchguard.isolation.supervise import Ending, EndingKind
from pytest_batchguard.training import oom

_OUTPUT_BYTES = 2**16
"""Read of the end of an output: Python's dump of every thread may stand behind what the framework said."""

_NOTICEABLE = 0.02
"""Share of a card that others hold from which on they may be why memory ran out."""

_OWN_ERROR = re.compile(r"^pytest_batchguard\.errors\.\w+: ")


def failure_of(ending: Ending, output: str, timeout_seconds: float, phase: str, *, killed_by_kernel: bool) -> Failure:
    """Return the failure that the end of a process means.

    Args:
        ending: That is not complete.
        output: The last that the process wrote.
        timeout_seconds: That it had.
        phase: What it was doing when it last spoke.
        killed_by_kernel: Whether the kernel has killed processes for memory meanwhile.
    """
    if ending.kind is EndingKind.TIMEOUT:
        message = f"no end after {format_seconds(timeout_seconds)}, {phase}; its processes were killed; see `timeout`"
        return Failure(FailureKind.TIMEOUT, message, phase=phase)
    if ending.kind is EndingKind.ERROR:
        last_words = last_line(str(ending.detail)) or "its process ended with an error that it did not tell"
        return Failure(FailureKind.ERROR, _OWN_ERROR.sub("", last_words), phase=phase)
    if ending.kind is EndingKind.GARBAGE:
        return Failure(FailureKind.CRASH, f"{ending.detail}, {phase}", phase=phase)
    if killed_by_kernel and ending.code == -signal.SIGKILL:
        return Failure(FailureKind.HOST_OOM, f"killed by the kernel, out of host memory, {phase}", phase=phase)
    how = _how_it_died(ending)
    memory = oom.classify_text(output)
    if memory is not None:
        return replace(memory, message=f"{memory.message} ({how})", certain=False, phase=phase)
    return Failure(FailureKind.CRASH, f"its process {how}, {phase}", phase=phase)


def _how_it_died(ending: Ending) -> str:
    if ending.code is None:
        return ending.detail
    if ending.code >= 0:
        return f"ended by itself with exit code {ending.code}"
    return f"died by {signal.Signals(-ending.code).name}"


def is_crowded(failure: Failure, device: Device, used_before: int) -> bool:
    """Return whether others held so much of the card before a case began that they may be why its memory ran out."""
    return failure.kind is FailureKind.OOM and used_before >= _NOTICEABLE * device.memory_bytes


def with_strangers(failure: Failure, device: Device, used_before: int) -> Failure:
    """Return a failure that says how much of the card others held before the case began, where it ran out of memory.

    Args:
        failure: Of the case.
        device: What it trained on.
        used_before: Bytes of the device in use then.
    """
    if not is_crowded(failure, device, used_before):
        return failure
    held = f"{format_bytes(used_before)} of the card's {format_bytes(device.memory_bytes)}"
    own = "; pytest's own may be one, it has imported TensorFlow" if "tensorflow" in sys.modules else ""
    return replace(failure, message=f"{failure.message}; other processes held {held} before it began{own}")


def kernel_kills() -> int:
    """Return how many processes the kernel has killed for memory since it booted; zero where it does not say."""
    try:
        counters = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in counters.splitlines() if line.startswith("oom_kill ")), 0)


def tail(path: str | None) -> str:
    """Return the end of what a process has written."""
    if path is None or not Path(path).exists():
        return ""
    with Path(path).open("rb") as file:
        file.seek(max(0, Path(path).stat().st_size - _OUTPUT_BYTES))
        return file.read().decode(errors="replace")
