"""Who else used the processor, as shares of all cores' time."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from pytest_batchguard.core.figures import Contention
from pytest_batchguard.measure.contention import CpuClock, CpuTimes


def contention(begin, end):
    return CpuTimes(*begin).contention_until(CpuTimes(*end))


def test_what_is_neither_own_nor_idle_was_used_by_others():
    assert contention((100, 40, 5, 10), (108, 43, 5, 13)) == Contention(0.25, 0.0)


def test_stolen_time_is_told_apart():
    assert contention((100, 40, 5, 10), (108, 43, 7, 13)) == Contention(0.0, 0.25)


def test_share_is_of_both():
    assert Contention(0.25, 0.125).share == 0.375


def test_clock_ticks_do_not_make_shares_negative():
    assert contention((0, 0, 0, 0), (4, 2, 0, 2.5)) == Contention(0.0, 0.0)


def test_no_time_says_nothing():
    assert contention((4, 2, 0, 2), (4, 2, 0, 2)) is None


def test_system_is_read():
    clock = CpuClock()
    first = clock.read()
    sum(range(10**6))
    second = clock.read()
    assert 0 < first.own < second.own
    assert 0 < first.total < second.total
    assert 0 < first.idle <= second.idle


def test_work_of_a_descendant_that_has_ended_stays_the_own():
    with subprocess.Popen([sys.executable, "-c", "input(); sum(range(10**7))"], stdin=subprocess.PIPE) as descendant:
        clock = CpuClock()
        begin = clock.read()
        descendant.communicate(b"\n")
    assert clock.read().own > begin.own + 0.02


def test_work_of_a_descendant_that_came_in_place_of_one_that_has_ended_is_the_own():
    working = "sum(range(3 * 10**7)); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as first:
        clock = CpuClock()
        begin = clock.read()
        with subprocess.Popen([sys.executable, "-c", working], **pipes) as second:
            second.stdout.readline()
            first.communicate(b"\n")
            spent = clock.read().own - begin.own
            second.communicate(b"\n")
    assert spent > 0.15


def test_own_work_is_not_held_against_others():
    """What this process used is not in the share: however busy the machine is, the two are at most the whole."""
    clock = CpuClock()
    begin = clock.read()
    while clock.read().own < begin.own + 0.5:
        sum(range(10**5))
    end = clock.read()
    own = (end.own - begin.own) / (end.total - begin.total)
    assert begin.contention_until(end).share + own == pytest.approx(
        1 - (end.idle - begin.idle) / (end.total - begin.total), abs=0.1
    )


def test_only_the_cores_that_the_process_is_bound_to_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1, 2}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _name: 4, raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    cores = [SimpleNamespace(idle=10.0 * number, steal=float(number)) for number in range(4)]
    monkeypatch.setattr(psutil, "cpu_times", lambda *, percpu: cores if percpu else None)
    clock = CpuClock()
    begin, before = clock.read(), time.perf_counter()
    assert (begin.idle, begin.stolen) == (10.0 + 20.0, 1.0 + 2.0)
    assert begin.total == pytest.approx(2 * before, abs=1)


@pytest.mark.parametrize(
    ("bound_to", "present"),
    [({0, 1, 2, 3}, 4), ({1, 2}, 64)],
    ids=["bound to all", "a container's own list, or cores that are offline"],
)
def test_all_cores_count_where_the_own_ones_are_not_known(monkeypatch, bound_to, present):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: bound_to, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _name: present, raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(psutil, "cpu_times", lambda: SimpleNamespace(idle=70.0, steal=3.0))
    begin, before = CpuClock().read(), time.perf_counter()
    assert (begin.idle, begin.stolen) == (70.0, 3.0)
    assert begin.total == pytest.approx(4 * before, abs=1)


def test_work_of_a_descendant_that_came_after_all_were_gone_is_the_own():
    working = "sum(range(3 * 10**7)); print(flush=True); input()"
    clock = CpuClock()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as first:
        clock.read()
        first.communicate(b"\n")
    begin = clock.read()
    with subprocess.Popen([sys.executable, "-c", working], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as second:
        second.stdout.readline()
        end = clock.read()
        second.communicate(b"\n")
    assert end.own > begin.own + 0.05
