"""What TensorFlow takes of the card in pytest's own process."""

import os

import pytest

from pytest_batchguard.core.model import Device
from pytest_batchguard.plugin.own_memory import OwnMemory

GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"
CPU = Device("cpu-test-2c", "Test CPU", 24 * 10**9)
GPU = Device("nvidia-h200", "NVIDIA H200", 150 * 10**9, 0, "GPU-1")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.setenv(GROWTH, "")  # so that it is as before at the end
    monkeypatch.delenv(GROWTH)


def test_memory_grows_beside_a_gpu_but_in_what_is_started_meanwhile():
    own = OwnMemory(GPU)
    assert os.environ[GROWTH] == "true"

    with own.as_before():
        assert GROWTH not in os.environ
    assert os.environ[GROWTH] == "true"

    own.close()
    assert GROWTH not in os.environ


def test_nothing_changes_on_a_cpu():
    own = OwnMemory(CPU)
    with own.as_before():
        assert GROWTH not in os.environ
    assert GROWTH not in os.environ


def test_what_is_set_stays(monkeypatch):
    monkeypatch.setenv(GROWTH, "false")
    own = OwnMemory(GPU)
    with own.as_before():
        assert os.environ[GROWTH] == "false"
    own.close()
    assert os.environ[GROWTH] == "false"
