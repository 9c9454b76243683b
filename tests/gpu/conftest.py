"""Tests that need a GPU skip themselves without one; with BATCHGUARD_REQUIRE_GPU=1 they fail instead."""

from __future__ import annotations

import os

import pytest

from pytest_batchguard.core.model import Device
from pytest_batchguard.errors import DeviceError
from pytest_batchguard.measure.device import choose_device
from tests.integration.conftest import new_project  # noqa: F401 -- a fixture

REQUIRED = "BATCHGUARD_REQUIRE_GPU"


@pytest.fixture(scope="session")
def gpu() -> Device:
    """The first GPU."""
    try:
        return choose_device("gpu", os.environ)
    except DeviceError as error:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1: {error}", pytrace=False)
        pytest.skip(f"needs a GPU: {error}")
