"""Projects to run pytest in: one for a test, or one for a whole module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.project import TINY, Project


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Make a project of the given files, beside `tiny.py`."""

    def make(**files: str) -> Project:
        return _project(tmp_path_factory.mktemp("project"), files)

    return make


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with nothing but `tiny.py` in it."""
    return _project(tmp_path, {})


@pytest.fixture(autouse=True)
def _without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def _project(folder: Path, files: dict[str, str]) -> Project:
    project = Project(folder)
    project.write({"pytest.ini": "[pytest]\npythonpath = .\n", "tiny.py": TINY})
    project.write({f"{name}.py": text for name, text in files.items()})
    return project
