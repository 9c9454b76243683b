"""The sources keep the style that `pyproject.toml` states."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command", [("ruff", "check"), ("ruff", "format", "--check", "--diff"), ("mypy",)], ids=" ".join
)
def test_sources_satisfy(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
