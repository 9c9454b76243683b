"""A machine that is quiet, or shared with somebody who burns one core at random intervals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CONDITIONS = ("quiet", "noisy")

_BURNS = """
import os, random, time
parent = os.getppid()
while os.getppid() == parent:
    end = time.monotonic() + random.uniform(0.2, 2)
    while time.monotonic() < end:
        pass
    time.sleep(random.uniform(0.2, 3))
"""


@contextmanager
def surroundings(condition: str) -> Iterator[None]:
    """Let a neighbour burn a core where the condition says so."""
    if condition == "quiet":
        yield
        return
    with subprocess.Popen([sys.executable, "-c", _BURNS]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()
