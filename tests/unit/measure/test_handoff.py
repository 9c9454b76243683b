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


def test_where_threads_must_not_be_bound_nothing_is_timed(monkeypatch):
    def refuse(_pid, _cores):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert handoff.between_cores() is None


def test_one_core_wakes_nobody(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, _cores: None)
    assert handoff.between_cores() is None
