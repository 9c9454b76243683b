"""A training that runs its windows when asked, under a scripted clock."""

import pytest

from pytest_batchguard.measure.answering import AnsweringMeter
from pytest_batchguard.measure.contention import CpuTimes

STEP = 0.25


class Parent:
    """Asks the questions it is given, one after the other, then says that it has had enough."""

    def __init__(self, *steps):
        self.now = 16.0
        self.questions = [{"steps": count} for count in steps]
        self.readings = []
        self.steps = 0
        self.synchronised_at = []

    def ask(self, reading):
        self.readings.append(reading)
        self.now += 64.0  # somebody else's turn
        return self.questions.pop(0) if self.questions else {"enough": True}

    def read_cpu(self):
        """Return times of one core, a quarter of them stolen."""
        return CpuTimes(self.now, 0.0, self.now / 4, self.now * 3 / 4)

    def train(self, *, warmup=3, steps=4, step_seconds=STEP, first_after_pause=STEP, steps_at_once=1):
        """Train to the end, at most 1,000 steps; return the meter."""
        meter = AnsweringMeter(8, warmup, steps, self.ask, lambda: self.now, self.read_cpu, steps_at_once)
        for _ in range(1000):
            before = len(self.readings)
            self.steps += 1
            self.now += first_after_pause if self.readings and self._is_first else step_seconds
            ended = meter.step_ended(lambda: self.synchronised_at.append(self.steps))
            self._is_first = len(self.readings) > before
            if ended:
                return meter
        pytest.fail("it never ended")

    _is_first = False


def test_it_is_ready_after_the_warm_up_and_answers_every_question():
    parent = Parent(4, 4)
    parent.train()
    assert [reading["kind"] for reading in parent.readings] == ["ready", "reading", "reading"]
    assert [reading["seconds"] for reading in parent.readings[1:]] == [STEP, STEP]


def test_warm_up_lasts_until_the_length_of_a_step_is_known():
    parent = Parent(4)
    parent.train(warmup=5, steps_at_once=8, step_seconds=8 * STEP, first_after_pause=8 * STEP)
    assert parent.synchronised_at[:2] == [1, 2]
    assert [reading["seconds"] for reading in parent.readings[1:]] == [STEP]


def test_share_of_the_processor_that_others_had_in_a_window_is_told():
    parent = Parent(4)
    parent.train()
    assert parent.readings[1]["disturbance"] == 0.25


def test_time_of_other_turns_and_the_step_after_it_are_in_no_window():
    parent = Parent(4, 4)
    parent.train(first_after_pause=2**-6)
    assert [reading["seconds"] for reading in parent.readings[1:]] == [STEP, STEP]


@pytest.mark.parametrize("count", [2, 5])
def test_window_has_the_steps_asked_for_and_is_not_interrupted(count):
    parent = Parent(count)
    parent.train(warmup=3, steps=1)
    assert parent.synchronised_at == [1, 2, 3, 4, 4 + count]


def test_loss_is_followed_to_the_end_though_the_parent_has_had_enough():
    parent = Parent(2)
    parent.train(warmup=2, steps=50)
    assert parent.steps == 52


def test_parent_that_asks_nothing_ends_the_windows_at_once():
    parent = Parent()
    parent.train(warmup=2, steps=3)
    assert parent.readings == [{"kind": "ready"}]
    assert parent.steps == 5


def test_speed_is_shown_by_the_last_window():
    assert Parent(4).train().images_per_second == 8 / STEP


def test_figures_are_counted_in_its_own_steps():
    parent = Parent(4, 4)
    figures = parent.train().figures()
    assert figures.images_per_second == 8 / STEP
    assert figures.pace == 1.0
    assert figures.step_seconds == (STEP, STEP)


def test_without_windows_there_are_no_figures():
    assert Parent().train().figures() is None
