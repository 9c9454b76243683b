"""Two children that take turns: one works, the other stands still."""

import os
import time

import psutil
import pytest

from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation import messages
from pytest_batchguard.isolation.supervise import Ending, EndingKind, supervise
from pytest_batchguard.isolation.turns import Companion
from tests.isolation import entries
from tests.isolation.processes import has_ended, job_of, processes_with

LONG = 60
SHORT = 0.2


@pytest.fixture
def asker(launcher):
    """A child whose turn it is as long as nobody is asked."""
    child = launcher.launch(job_of(entries.hang))
    child.channel.recv(4096)
    yield child
    child.kill()
    child.channel.close()


@pytest.fixture
def new_companion(launcher):
    """Launch companions; every one is closed when the test ends."""
    companions = []

    def launch(entry, payload=None, seconds=LONG):
        child = launcher.launch(job_of(entry, payload))
        companions.append(Companion(child, seconds))
        return companions[-1], child

    yield launch
    for companion in companions:
        companion.close()


def is_stopped(child):
    return psutil.Process(child.pid).status() == psutil.STATUS_STOPPED


def becomes(wanted, child):
    """Return whether a child comes to stand still, or to go on; a signal takes effect when the system gets to it."""
    deadline = time.monotonic() + LONG
    while is_stopped(child) is not wanted and time.monotonic() < deadline:
        os.sched_yield()
    return is_stopped(child) is wanted


def question(text):
    return {"kind": "question", "question": text}


def test_companion_answers_one_question_after_the_other(new_companion, asker):
    companion, child = new_companion(entries.answer)
    answers = [companion.ask(question(text), asker) for text in ("first", "second")]
    assert [(answer["number"], answer["question"]) for answer in answers] == [(1, "first"), (2, "second")]
    assert {answer["pid"] for answer in answers} == {child.pid}


def test_who_has_not_got_the_turn_is_stopped(new_companion, asker, monkeypatch):
    companion, child = new_companion(entries.answer)
    seen = []
    real = messages.encode
    monkeypatch.setattr(messages, "encode", lambda message: (seen.append(is_stopped(asker)), real(message))[1])
    companion.ask(question("anything"), asker)
    assert seen == [True]
    assert becomes(False, asker)
    assert becomes(True, child)


@pytest.mark.parametrize(
    ("entry", "payload", "reason"),
    [
        (entries.leave_instead_of_answering, 3, "ended"),
        (entries.fail_before_it_is_ready, "no such network", "ValueError: no such network"),
    ],
)
def test_companion_that_fails_is_an_error_and_the_asker_goes_on(new_companion, asker, entry, payload, reason):
    companion, _ = new_companion(entry, payload)
    with pytest.raises(IsolationError, match=reason):
        companion.ask(question("anything"), asker)
    assert becomes(False, asker)


def test_companion_that_gives_no_answer_is_not_waited_for_longer_than_allowed(new_companion, asker):
    companion, child = new_companion(entries.answer_nothing, seconds=SHORT)
    with pytest.raises(IsolationError, match=r"gave no answer in 0\.2 s"):
        companion.ask(question("anything"), asker)
    assert has_ended(child.pid), "it would disturb the asker"
    assert becomes(False, asker)


def test_closing_kills_a_companion_that_is_stopped(new_companion, asker):
    companion, child = new_companion(entries.answer)
    companion.ask(question("anything"), asker)
    companion.close()
    assert has_ended(child.pid)


def test_answer_reaches_the_child_that_asked(launcher):
    told = []
    child = launcher.launch(job_of(entries.ask_once, "how fast"))

    def take(message):
        told.append(message)
        if message["kind"] == "question":
            child.channel.sendall(messages.encode({"kind": "answer", "to": message["question"]}))

    assert supervise(child, LONG, take) == Ending(EndingKind.COMPLETE, 0)
    assert told[-1] == {"kind": "told", "answer": {"kind": "answer", "to": "how fast"}}


def test_child_that_asks_is_told_when_its_parent_has_gone(launcher, tmp_path):
    file = tmp_path / "told"
    child = launcher.launch(job_of(entries.ask_a_parent_that_has_gone, str(file)))
    child.channel.recv(4096)
    child.channel.close()
    assert child.wait(LONG) is not None
    assert file.read_text() == "it has gone"


def test_one_server_runs_several_children_and_tells_their_codes_apart(new_fork_launcher):
    launcher = new_fork_launcher()
    first, second = (launcher.launch(job_of(entries.leave, code)) for code in (3, 4))
    assert (second.wait(LONG), first.wait(LONG)) == (4, 3)
    for child in (first, second):
        child.channel.close()


def test_closing_a_server_kills_all_its_children(new_fork_launcher, token):
    launcher = new_fork_launcher()
    children = [launcher.launch(job_of(entries.hang)) for _ in range(2)]
    children[0].pause()
    started = processes_with(token)
    launcher.close()
    assert all(has_ended(process.pid) for process in started)
    for child in children:
        child.channel.close()


def test_companion_that_failed_once_has_failed(new_companion, asker):
    companion, _ = new_companion(entries.answer)
    companion.ask(question("first"), asker)
    assert not companion.has_failed
    companion.close()
    with pytest.raises(IsolationError):
        companion.ask(question("second"), asker)
    assert companion.has_failed
