"""Launchers of both kinds, jobs, and the proof after every test that nothing is left running."""

import multiprocessing.resource_tracker
import sys
import uuid

import pytest

from pytest_batchguard.isolation import supervise as supervising
from pytest_batchguard.isolation.launch import ForkLauncher, SpawnLauncher
from pytest_batchguard.isolation.supervise import supervise
from tests.isolation.processes import TOKEN, has_ended, job_of, processes_with

LONG = 60
"""Seconds that no test here waits for."""


@pytest.fixture(scope="session", autouse=True)
def _tracker_of_multiprocessing_started():
    """It starts with the first spawned process and stays for good: it is no process that a test leaves behind."""
    multiprocessing.resource_tracker.ensure_running()


@pytest.fixture
def token(monkeypatch):
    """Mark what the test starts, and make sure that none of it outlives the test."""
    if sys.platform != "linux":
        pytest.skip("forks, and watches processes by descriptors of theirs, as only Linux has them")
    made = uuid.uuid4().hex
    monkeypatch.setenv(TOKEN, made)
    yield made
    left = [process for process in processes_with(made) if not has_ended(process.pid)]
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
def new_fork_launcher(token, tmp_path):
    """Start a fork server; every one is closed when the test ends."""
    launchers = []

    def start(preload=(), environment=None):
        output = str(tmp_path / f"server-{len(launchers)}")
        launchers.append(ForkLauncher(preload, environment or {}, sys.path, output))
        return launchers[-1]

    yield start
    for launcher in launchers:
        launcher.close()


@pytest.fixture(params=["fork", "spawn"])
def launcher(request, token, new_fork_launcher):
    """Return a launcher of each kind."""
    return new_fork_launcher() if request.param == "fork" else SpawnLauncher()


@pytest.fixture
def fork_launcher(new_fork_launcher):
    """Return a launcher that forks."""
    return new_fork_launcher()


class Clock:
    """Supervision's clock, which a test can put forward, past every timeout.

    Args:
        real: The clock that it goes by.
    """

    def __init__(self, real):
        self._real = real
        self._ahead = self._then = 0.0

    def monotonic(self):
        now = self._real() + self._ahead
        self._ahead, self._then = self._ahead + self._then, 0.0
        return now

    def put_forward(self, _message=None):
        """Let the time pass now, before a message counts as handed on."""
        self._ahead += 10 * LONG

    def put_forward_after(self, _message=None):
        """Let the time pass once supervision has noted that the message is handed on."""
        self._then = 10 * LONG


@pytest.fixture
def clock(monkeypatch):
    """Give supervision a clock that a test can put forward."""
    scripted = Clock(supervising.time.monotonic)
    monkeypatch.setattr(supervising, "time", scripted)
    return scripted


@pytest.fixture
def run():
    """Run an entry to its end; return how it ended and what it sent."""

    def run_to_its_end(launcher, entry, payload=None, *, seconds=LONG, on_message=None, **settings):
        messages = []

        def take(message):
            messages.append(message)
            if on_message is not None:
                on_message(message)

        ending = supervise(launcher.launch(job_of(entry, payload, **settings)), seconds, take)
        return ending, messages

    return run_to_its_end
