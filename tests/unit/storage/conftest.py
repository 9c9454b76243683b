"""Lock files go where the test's other files go, and not into the machine's folder for temporary files."""

import tempfile

import pytest


@pytest.fixture(autouse=True)
def _locks_of_its_own(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("locks")))
