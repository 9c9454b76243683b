from dataclasses import replace

import pytest

from pytest_batchguard.core.model import Case, ImageSize
from pytest_batchguard.measure.contention import CpuTimes
from pytest_batchguard.measure.yardstick import (
    CORE_SHARE,
    MOST_PIXELS,
    MOST_PIXELS_ON_GPU,
    WARMUP_RUNS,
    OwnYardstick,
    Reading,
    YardstickBeside,
    case_beside,
)


def nobody():
    raise AssertionError("nobody builds one here")


class Machine:
    """Computes in the times it is told to, and then in a second a run, on a clock of its own."""

    def __init__(self, *seconds):
        self.now = 8.0
        self.runs = 0
        self.core_runs = 0
        self.left = list(seconds)

    def clock(self):
        return self.now

    def read_cpu(self):
        """Return times of one core, a quarter of them stolen."""
        return CpuTimes(self.now, 0.0, self.now / 4, self.now * 3 / 4)

    def yardstick(self):
        return OwnYardstick(self.compute, self.compute_on_core, self.clock, self.read_cpu)

    def compute(self):
        self.runs += 1
        self.now += self.left.pop(0) if self.left else 1.0

    def compute_on_core(self):
        self.core_runs += 1
        self.now += 0.125


def test_first_step_after_a_pause_does_not_count():
    machine = Machine(64.0, 2.0)
    assert machine.yardstick().read().seconds == 2.0
    assert machine.runs == 2


def test_figure_is_the_mean_of_the_steps_so_that_bursts_count():
    machine = Machine(1.0, 1.0, 1.0, 4.0)
    assert machine.yardstick().read(at_least=6.0).seconds == 2.0


def test_waking_a_thread_is_timed_where_it_can_be():
    own = Machine().yardstick()
    assert own.read().handoff_seconds is None
    assert replace(own, hand_over=lambda: 0.5).read().handoff_seconds == 0.5


def test_it_goes_on_for_the_time_asked():
    machine = Machine()
    assert machine.yardstick().read(at_least=7.5).seconds == 1.0
    assert machine.runs == 1 + 8


def test_arithmetic_on_one_core_is_timed_for_a_share_of_that_time():
    machine = Machine()
    assert machine.yardstick().read().core_seconds == 0.125
    assert machine.core_runs == 1
    machine.yardstick().read(at_least=5.0)
    assert machine.core_runs == 1 + CORE_SHARE * 5.0 / 0.125


def test_share_that_others_had_is_told():
    assert Machine().yardstick().read(at_least=4.0).disturbance == 0.25


def test_each_figure_is_taken_anew():
    machine = Machine(1.0, 4.0, 1.0)
    yardstick = machine.yardstick()
    assert (yardstick.read().seconds, yardstick.read().seconds) == (4.0, 1.0)


def test_warming_up_computes_without_timing():
    machine = Machine()

    def no_clock():
        pytest.fail("the clock was read")

    OwnYardstick(machine.compute, machine.compute_on_core, no_clock, no_clock).warm_up()
    assert machine.runs == machine.core_runs == WARMUP_RUNS > 0


def test_yardstick_beside_is_asked_for_the_time_and_the_steps_wanted():
    asked = []

    def ask(question):
        asked.append(question)
        return {"kind": "reading", "seconds": 0.25, "disturbance": 0.5, "core_seconds": 0.125, "handoff_seconds": 1.0}

    assert YardstickBeside(ask, nobody).read(at_least=1.5, steps=6) == Reading(0.25, 0.5, 0.125, 1.0)
    assert asked == [{"kind": "yardstick", "at_least": 1.5, "steps": 6}]


def test_where_there_is_no_room_beside_one_is_built_here_and_nobody_asked_again():
    machine = Machine(0.5)
    asked, built = [], []

    def ask(question):
        asked.append(question)
        return {"kind": "no-yardstick"}

    def build_here():
        built.append(machine.yardstick())
        return built[-1]

    beside = YardstickBeside(ask, build_here)
    for _ in range(2):
        beside.read(at_least=1.5)
    assert len(asked) == len(built) == 1
    assert machine.runs > 2


def test_another_training_beside_has_no_arithmetic_on_one_core():
    reading = {"kind": "reading", "seconds": 0.25, "disturbance": 0.5}
    assert YardstickBeside(lambda _question: reading, nobody).read() == Reading(0.25, 0.5, None)


@pytest.mark.parametrize(("on_gpu", "most"), [(False, MOST_PIXELS), (True, MOST_PIXELS_ON_GPU)])
def test_it_has_the_sizes_of_the_case_up_to_a_limit_of_memory(on_gpu, most):
    largest = Case(most // (16 * 32), ImageSize(16, 32))
    assert case_beside(largest, on_gpu=on_gpu) == largest
    assert case_beside(Case(largest.batch_size + 1, largest.image_size), on_gpu=on_gpu) == largest


def test_it_trains_at_least_one_image():
    assert case_beside(Case(8, ImageSize(10**4, 10**4)), on_gpu=False).batch_size == 1
