"""What a child says, taken by its parent: messages become an attempt, and the yardstick answers questions."""

import socket
from types import SimpleNamespace

import pytest

from pytest_batchguard.core.plain import to_plain
from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation.messages import Decoder
from pytest_batchguard.plugin.conversation import Conversation
from tests.unit.samples import measurement

QUESTION = {"kind": "yardstick", "at_least": 0.5}


class Yardstick:
    """Answers with the number of the question; counts how often one was started."""

    def __init__(self, error=None):
        self.started = self.asked = 0
        self.askers = []
        self.error = error

    def start(self):
        self.started += 1
        return self

    def ask(self, question, asker):
        if self.error:
            raise IsolationError(self.error)
        self.asked += 1
        self.askers.append((question["at_least"], asker))
        return {"kind": "reading", "seconds": float(self.asked)}


@pytest.fixture
def child():
    """A child whose end of the channel the test reads."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield SimpleNamespace(channel=ours, theirs=theirs)


class Hook:
    """Reads reports as pytest itself does."""

    @staticmethod
    def pytest_report_from_serializable(*, config, data):
        assert config.hook is Hook
        return pytest.TestReport._from_json(data)


def conversation(yardstick=None, progress=print, **options):
    return Conversation(SimpleNamespace(hook=Hook), progress, (yardstick or Yardstick()).start, **options)


def report(outcome, longrepr=None, when="call"):
    made = pytest.TestReport("a.py::test_a", ("a.py", 1, "test_a"), {}, outcome, longrepr, when)
    plain = made._to_json()
    plain["longrepr"] = list(longrepr) if isinstance(longrepr, tuple) else longrepr
    return {"kind": "report", "report": plain}


def test_measurement_and_reports_become_the_attempt(child):
    talk = conversation()
    talk.take(child, report("passed"))
    talk.take(child, {"kind": "measurement", "measurement": to_plain(measurement())})
    assert [each.outcome for each in talk.attempt.reports] == ["passed"]
    assert talk.attempt.measurement == measurement()


def test_skip_has_its_place_and_reason_as_pytest_wants_them(child):
    talk = conversation()
    talk.take(child, report("skipped", ("a.py", 3, "Skipped: by itself")))
    assert talk.attempt.reports[0].longrepr == ("a.py", 3, "Skipped: by itself")


def test_progress_is_shown_and_tells_the_phase(child):
    shown = []
    talk = conversation(progress=shown.append)
    message = {"kind": "progress", "phase": "memory", "step": 3}
    talk.take(child, message)
    assert shown == [message]
    assert talk.phase == "in the memory pass, step 3"


def test_yardstick_is_started_once_and_answers_whoever_asks(child):
    yardstick = Yardstick()
    talk = conversation(yardstick)
    for _ in range(2):
        talk.take(child, QUESTION)
    answers = list(Decoder().feed(child.theirs.recv(4096)))
    assert [answer["seconds"] for answer in answers] == [1.0, 2.0]
    assert yardstick.askers == [(0.5, child)] * 2
    assert yardstick.started == 1


def test_child_that_died_while_the_yardstick_had_its_turn_gets_no_answer_and_ends_nothing(child):
    yardstick = Yardstick()
    child.theirs.close()
    conversation(yardstick).take(child, QUESTION)
    assert yardstick.asked == 1


def test_what_a_child_is_at_is_known(child):
    talk = conversation()
    talk.take(child, {"kind": "phase", "phase": "validating"})
    assert talk.phase == "validating"


def test_yardstick_that_nobody_asked_for_is_not_started(child):
    yardstick = Yardstick()
    conversation(yardstick).take(child, report("passed"))
    assert yardstick.started == 0


def test_yardstick_that_fails_is_named(child):
    with pytest.raises(IsolationError, match=r"^the yardstick failed: it ended$"):
        conversation(Yardstick("Traceback\nit ended")).take(child, QUESTION)


def no_room(why):
    return "no room" in why


def test_child_is_told_where_the_yardstick_found_no_room(child):
    talk = conversation(Yardstick("no room\n[[where]]"), lacks_room=no_room)
    talk.take(child, QUESTION)
    assert list(Decoder().feed(child.theirs.recv(4096))) == [{"kind": "no-yardstick"}]
    assert talk.has_no_yardstick


def test_yardstick_that_fails_for_another_reason_is_not_done_without(child):
    talk = conversation(Yardstick("it ended"), lacks_room=no_room)
    with pytest.raises(IsolationError, match=r"^the yardstick failed: it ended$"):
        talk.take(child, QUESTION)
    assert not talk.has_no_yardstick


def test_yardstick_is_ended_when_the_child_needs_it_no_more(child):
    ended = []
    talk = conversation(end_yardstick=lambda: ended.append(True))
    talk.take(child, QUESTION)
    assert not ended
    talk.take(child, {"kind": "yardstick", "enough": True})
    assert ended == [True]


def test_yardstick_that_has_answered_once_is_not_done_without(child):
    yardstick = Yardstick()
    talk = conversation(yardstick, lacks_room=no_room)
    talk.take(child, QUESTION)
    yardstick.error = "no room"
    with pytest.raises(IsolationError, match=r"^the yardstick failed: no room$"):
        talk.take(child, QUESTION)


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "progress"},
        {"kind": "measurement", "measurement": {"batch_size": "four"}},
        {"kind": "measurement", "measurement": None},
        {"kind": "report"},
    ],
)
def test_message_that_cannot_be_read_is_refused_with_its_kind(child, message):
    with pytest.raises(IsolationError, match=f"the process sent a {message['kind']} that cannot be read"):
        conversation().take(child, message)


def test_what_a_later_process_takes_turns_with_is_started_when_this_one_trains(child):
    yardstick = Yardstick()
    talk = conversation(when_it_trains=yardstick.start)
    talk.take(child, report("passed", when="setup"))
    assert yardstick.started == 0
    talk.take(child, {"kind": "phase", "phase": "in the memory pass"})
    assert yardstick.started == 1


def test_what_does_not_start_ahead_of_its_turn_is_told_when_it_is_needed(child):
    def start():
        raise IsolationError("it does not start")

    talk = conversation(when_it_trains=start)
    talk.take(child, {"kind": "phase", "phase": "in the memory pass"})
    assert talk.phase == "in the memory pass"
