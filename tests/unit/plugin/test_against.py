"""How a comparison ends, its processes being plain objects here."""

import socket
from types import SimpleNamespace

import pytest

from pytest_batchguard.core.model import Case, ImageSize, Limits
from pytest_batchguard.isolation import messages
from pytest_batchguard.measure.device import cpu_device
from pytest_batchguard.plugin.against import Against
from pytest_batchguard.plugin.conversation import Attempt, Conversation
from pytest_batchguard.plugin.policy import Policy
from tests.unit.samples import NODE_ID, measurement

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
        return SimpleNamespace()

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
        against = Against(Runner(base), cpu_device(), SimpleNamespace(reference="main"))
        against._cases = {NODE_ID}

        with pytest.raises(KeyboardInterrupt):
            against.measure(SimpleNamespace(nodeid=NODE_ID), POLICY)

    assert base.told == ["pause", "kill"]
