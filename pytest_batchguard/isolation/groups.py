"""Pause, resume and kill a child with all that it has started."""

from __future__ import annotations

import contextlib
import os
import signal


def pause(pid: int) -> None:
    """Stop a process group where it stands."""
    _to_group(pid, "SIGSTOP", "suspend")


def resume(pid: int) -> None:
    """Let a process group go on."""
    _to_group(pid, "SIGCONT", "resume")


def kill(pid: int) -> None:
    """Kill a process group; one that is gone already is none of it."""
    _to_group(pid, "SIGKILL", "kill")


def _to_group(pid: int, name: str, method: str) -> None:
    """Send a signal to a process group; where there are none, do it to the process and its descendants."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, getattr(signal, name))
        return
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for descendant in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.NoSuchProcess):
                getattr(descendant, method)()
