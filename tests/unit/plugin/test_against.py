"""How a comparison ends, its processes being plain objects here."""

import math
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_batchguard.core.model import Case, Failure, FailureKind, ImageSize, Limits
from pytest_batchguard.core.noise import MARGIN, USUAL_NOISE, interval
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.isolation import messages
from pytest_batchguard.isolation.supervise import Ending, EndingKind
from pytest_batchguard.measure import yardstick
from pytest_batchguard.measure.device import cpu_device
from pytest_batchguard.plugin import against as module
from pytest_batchguard.plugin.against import Against
from pytest_batchguard.plugin.conversation import Attempt, Conversation
from pytest_batchguard.plugin.policy import Policy
from tests.unit.samples import GPU, NODE_ID, measurement, throughput

JOB = SimpleNamespace(payload=SimpleNamespace(temporary_directory="/nowhere/batchguard"))
MAIN = SimpleNamespace(reference="main", commit="1234567")
POLICY = Policy(Case(32, ImageSize(180, 180)), Limits(), steps=20, warmup=5, seed=0, timeout_seconds=60.0)


class Base:
    """A child that is ready for its first question and then waits."""

    def __init__(self, channel):
        self.channel = channel
        self.pid = 0
        self.told = []

    def pause(self):
        self.told.append("pause")

    def resume(self):
        self.told.append("resume")

    def kill(self):
        self.told.append("kill")


class Runner:
    """Has the base's case, and is interrupted while the head trains."""

    def __init__(self, base):
        self.base = base

    def run_pass(self, *_, **__):
        return Attempt([], measurement())

    def job(self, *_, **__):
        return JOB

    def launch(self, *_):
        return self.base

    def conversation(self, start_beside):
        return Conversation(SimpleNamespace(), print, start_beside)

    def measure(self, _item, _policy, start_beside):
        start_beside().ask({"kind": "window"}, SimpleNamespace(pause=lambda: None, resume=lambda: None))
        raise KeyboardInterrupt


def test_interrupt_does_not_wait_for_the_base():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        base = Base(ours)
        theirs.sendall(messages.encode({"kind": "ready"}) + messages.encode({"kind": "reading"}))
        against = Against(Runner(base), cpu_device(), MAIN, 300.0)
        against._cases = {NODE_ID}

        with pytest.raises(KeyboardInterrupt):
            against.measure(SimpleNamespace(nodeid=NODE_ID), POLICY)

    assert base.told == ["pause", "kill"]


FULL = measurement(failure=Failure(FailureKind.OOM, "out of memory"))


def paced(pace):
    return measurement(throughput=throughput(pace, yardstick=yardstick.VERSION))


class SmallCard:
    """Runs either tree, but not both at once: whichever is told to runs out of memory once the base has started.

    One that runs out as a device lets no second process on it, as in exclusive mode.

    Attributes:
        told: What was run, in order.
    """

    def __init__(self, *, runs_out, head_alone=None):
        self.runs_out = runs_out
        self.head_alone = head_alone or paced(3.0)
        self.told = []

    def run_pass(self, _item, plan, _timeout_seconds, *, checkout):
        assert plan.kind is Pass.WHOLE
        assert not plan.answers
        self.told.append(f"{checkout.reference} alone")
        return Attempt([], paced(2.0))

    def job(self, *_):
        return JOB

    def conversation(self, start_beside):
        return Conversation(SimpleNamespace(), print, start_beside)

    def launch(self, *_):
        return Base(SimpleNamespace(close=lambda: None))

    def measure(self, _item, _policy, start_beside=None):
        if start_beside is None or self.runs_out is None:
            self.told.append("head alone")
            return Attempt([], self.head_alone)
        self.told.append("side by side")
        beside = start_beside()
        if self.runs_out == "base":
            beside.attempt.measurement = FULL
            beside.problem = "the process beside it ended"
        elif self.runs_out == "device":
            beside.problem = "CUDA_ERROR_DEVICE_UNAVAILABLE: CUDA-capable device(s) is/are busy or unavailable"
            return Attempt([], None)
        return Attempt([], FULL)


def compare(card, times=1):
    """Return what came of each of several attempts at one case on a GPU."""
    against = Against(card, GPU, MAIN, 300.0)
    against._cases = {NODE_ID}
    return [against.measure(SimpleNamespace(nodeid=NODE_ID), POLICY) for _ in range(times)]


@pytest.mark.parametrize("runs_out", ["base", "head", "device"])
def test_what_does_not_fit_side_by_side_is_measured_one_after_the_other(runs_out):
    card = SmallCard(runs_out=runs_out)

    (attempt,) = compare(card)

    assert card.told == ["side by side", "main alone", "head alone"]
    assert attempt.base_problem == ""
    assert attempt.base.throughput.pace == 1.0
    assert attempt.measurement.throughput.pace == 1.5
    assert "do not fit the device side by side" in attempt.measurement.notes[0]
    low, _ = interval(attempt.measurement.throughput, attempt.base.throughput)
    assert 1.5 / low == pytest.approx(math.exp(MARGIN * USUAL_NOISE * math.sqrt(2)))  # the noise of two processes


def test_what_did_not_fit_side_by_side_is_not_tried_so_again():
    card = SmallCard(runs_out="head")

    compare(card, times=2)

    assert card.told == ["side by side", *["main alone", "head alone"] * 2]


def test_head_that_does_not_fit_alone_is_not_run_again():
    card = SmallCard(runs_out=None, head_alone=FULL)

    (attempt,) = compare(card)

    assert card.told == ["head alone"]
    assert attempt.measurement is FULL


def test_base_that_skips_itself_is_told_with_its_reason():
    class Skipping(SmallCard):
        def run_pass(self, *_, **__):
            skipped = pytest.TestReport("", ("", 0, ""), {}, "skipped", ("test_it.py", 3, "Skipped: no photos"), "call")
            return Attempt([skipped], None)

    against = Against(Skipping(runs_out=None), cpu_device(), MAIN, 300.0)
    against._cases = {NODE_ID}
    attempt = against.measure(SimpleNamespace(nodeid=NODE_ID), POLICY)
    assert attempt.base_problem == "broken base: main: it skipped itself: no photos"


def test_cases_of_the_base_are_collected_within_the_time_of_the_run_and_not_of_one_guard(monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "supervise", lambda _child, seconds, _take: seen.append(seconds) or Ending(EndingKind.COMPLETE)
    )
    monkeypatch.setattr(module, "replace", lambda job, **_: job)
    card = SmallCard(runs_out=None)
    Against(card, GPU, MAIN, 300.0).measure(SimpleNamespace(nodeid=NODE_ID), replace(POLICY, timeout_seconds=20.0))
    assert seen == [300.0]
