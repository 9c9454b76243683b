"""The server that children are forked from: what it has loaded, how it dies, and how little that matters."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation.supervise import Ending, EndingKind, supervise
from tests.isolation import entries
from tests.isolation.processes import has_ended, job_of, processes_with

PARENT_THAT_WAITS = """
import signal, sys
from pytest_batchguard.isolation.launch import ForkLauncher
from tests.isolation.processes import job_of
from tests.isolation import entries

launcher = ForkLauncher((), {}, sys.path, sys.argv[1])
child = launcher.launch(job_of(entries.hang_with_program))
child.channel.recv(4096)
print("waiting", flush=True)
signal.pause()
"""


class Poison:
    """Cannot be read back from its pickle."""

    def __reduce__(self):
        return exec, ("raise RuntimeError('unreadable')",)


def only_server():
    """Return the one fork server that runs."""
    children = psutil.Process().children()
    # By its session and not by its command line, which the system does not show for a moment after it has begun.
    (server,) = [child for child in children if os.getsid(child.pid) == child.pid]
    return server


def kill(server):
    """Kill the server and wait until it is dead, without taking its exit code from whom it belongs to."""
    server.kill()
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)


def test_modules_named_are_loaded_before_the_child_begins(new_fork_launcher, run):
    _, (message,) = run(new_fork_launcher(preload=("colorsys",)), entries.tell_loaded, ["colorsys", "wave"])
    assert message["modules"] == ["colorsys"]


def test_programs_that_a_child_starts_inherit_no_module_path(new_fork_launcher, run, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    _, (message,) = run(new_fork_launcher(), entries.tell_surroundings, ["PYTHONPATH"])
    assert message["environment"] == {"PYTHONPATH": "/of/the/user"}


def test_children_are_forked_from_one_server(fork_launcher):
    parents = set()
    for _ in range(3):
        child = fork_launcher.launch(job_of(entries.hang))
        parents.add(psutil.Process(child.pid).ppid())
        child.kill()
        child.channel.close()
    assert parents == {only_server().pid}


def test_server_begins_to_load_before_the_first_job(fork_launcher):
    assert only_server().is_running()


def test_module_that_cannot_be_loaded_is_an_error_with_the_reason(new_fork_launcher):
    launcher = new_fork_launcher(preload=("no_such_module",))
    with pytest.raises(IsolationError, match="No module named 'no_such_module'"):
        launcher.launch(job_of(entries.count, 1))


def test_module_that_cannot_be_loaded_is_an_error_every_time(new_fork_launcher):
    launcher = new_fork_launcher(preload=("no_such_module",))
    for _ in range(2):
        with pytest.raises(IsolationError, match="No module named 'no_such_module'"):
            launcher.launch(job_of(entries.count, 1))


def test_server_that_died_between_jobs_is_started_anew(fork_launcher, run):
    assert run(fork_launcher, entries.count, 1)[0].kind is EndingKind.COMPLETE
    first = only_server()
    kill(first)
    assert run(fork_launcher, entries.echo, 5) == (Ending(EndingKind.COMPLETE, 0), [{"kind": "echo", "payload": 5}])
    assert only_server().pid != first.pid


def test_child_whose_server_died_still_has_its_timeout(fork_launcher, run, clock):
    def kill_server(_message):
        kill(only_server())
        clock.put_forward_after()

    ending, messages = run(fork_launcher, entries.hang_with_program, on_message=kill_server)
    assert ending.kind is EndingKind.TIMEOUT
    assert len(messages) == 1
    assert run(fork_launcher, entries.count, 1)[0] == Ending(EndingKind.COMPLETE, 0)


def test_child_whose_server_died_may_come_to_its_end(fork_launcher, run):
    def kill_server(message):
        if message["number"] == 0:
            kill(only_server())

    ending, messages = run(fork_launcher, entries.count, 5, on_message=kill_server)
    assert ending.kind is EndingKind.COMPLETE
    assert len(messages) == 5
    assert run(fork_launcher, entries.count, 1)[0] == Ending(EndingKind.COMPLETE, 0)


def test_server_that_cannot_read_a_job_is_an_error_and_started_anew(fork_launcher, run):
    with pytest.raises(IsolationError, match="process server"):
        fork_launcher.launch(job_of(entries.echo, Poison()))
    assert run(fork_launcher, entries.count, 1)[0] == Ending(EndingKind.COMPLETE, 0)


def test_two_servers_at_once_have_environments_of_their_own(new_fork_launcher):
    told = {}
    launchers = {name: new_fork_launcher(environment={"BATCHGUARD_SERVER": name}) for name in ("first", "second")}
    children = {
        name: launcher.launch(job_of(entries.tell_surroundings, ["BATCHGUARD_SERVER"]))
        for name, launcher in launchers.items()
    }
    for name in ("second", "first"):
        ending = supervise(children[name], 60, lambda message, name=name: told.update({name: message["environment"]}))
        assert ending == Ending(EndingKind.COMPLETE, 0)
    assert told == {name: {"BATCHGUARD_SERVER": name} for name in launchers}


def test_closing_a_server_kills_the_child_it_still_runs(fork_launcher, token):
    child = fork_launcher.launch(job_of(entries.hang_with_program))
    child.channel.recv(4096)
    started = processes_with(token)
    assert len(started) == 3
    fork_launcher.close()
    child.channel.close()
    assert all(has_ended(process.pid) for process in started)


def test_server_can_be_closed_twice_and_unused(fork_launcher):
    server = only_server()
    fork_launcher.close()
    fork_launcher.close()
    assert not server.is_running()


def test_death_of_the_parent_ends_server_child_and_programs(token, tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT_THAT_WAITS, str(tmp_path / "output")],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with parent:
        assert parent.stdout.readline() == b"waiting\n"
        started = processes_with(token)
        assert len(started) == 4
        parent.kill()
    assert all(has_ended(process.pid) for process in started)


def test_interrupt_at_the_keyboard_is_the_parents_to_handle(fork_launcher, run):
    """A terminal sends SIGINT to its foreground group; neither server nor child are in it."""
    run(fork_launcher, entries.count, 1)
    assert os.getpgid(only_server().pid) != os.getpgid(0)
    _, (told,) = run(fork_launcher, entries.tell_surroundings, [])
    assert told["session"] != os.getsid(0)


def test_signals_of_a_child_have_their_ordinary_effect(fork_launcher, run):
    """The server listens for the end of its children; a child that waits for programs of its own must not."""
    assert run(fork_launcher, entries.die_by_signal, signal.SIGTERM)[0] == Ending(EndingKind.DIED, -signal.SIGTERM)
    assert run(fork_launcher, entries.end_with_program)[0] == Ending(EndingKind.COMPLETE, 0)
