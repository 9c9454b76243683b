"""How long one thread takes to wake another."""

import os

import pytest

from pytest_batchguard.measure import handoff

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no thread to a core")


def test_waking_takes_microseconds_and_leaves_the_thread_free():
    cores = os.sched_getaffinity(0)
    between = handoff.between_cores()
    if between is None:
        pytest.skip("this machine has one core")
    assert 1e-7 < between.seconds() < 1e-1
    assert os.sched_getaffinity(0) == cores


def test_one_core_wakes_nobody(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    assert handoff.between_cores() is None
