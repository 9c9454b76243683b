import pytest

from pytest_batchguard.measure.yardstick import WARMUP_RUNS, Yardstick


class Machine:
    """Computes in the times it is told to, and then in a second a run, on a clock of its own."""

    def __init__(self, *seconds):
        self.now = 8.0
        self.runs = 0
        self.left = list(seconds)

    def clock(self):
        return self.now

    def compute(self):
        self.runs += 1
        self.now += self.left.pop(0) if self.left else 1.0


def test_figure_is_the_mean_of_the_runs_so_that_bursts_count():
    machine = Machine(1.0, 1.0, 4.0)
    assert Yardstick(machine.compute, machine.clock, fewest_runs=3).seconds() == 2.0


def test_it_runs_as_often_as_told():
    machine = Machine()
    assert Yardstick(machine.compute, machine.clock, fewest_runs=4).seconds() == 1.0
    assert machine.runs == 4


def test_it_goes_on_for_the_time_asked():
    machine = Machine()
    assert Yardstick(machine.compute, machine.clock, fewest_runs=4).seconds(at_least=7.5) == 1.0
    assert machine.runs == 8


def test_it_runs_as_often_as_told_although_the_time_is_up():
    machine = Machine()
    Yardstick(machine.compute, machine.clock, fewest_runs=4).seconds(at_least=1.0)
    assert machine.runs == 4


def test_each_figure_is_taken_anew():
    machine = Machine(4.0)
    yardstick = Yardstick(machine.compute, machine.clock, fewest_runs=1)
    assert (yardstick.seconds(), yardstick.seconds()) == (4.0, 1.0)


def test_warming_up_computes_without_timing():
    machine = Machine()

    def no_clock():
        pytest.fail("the clock was read")

    Yardstick(machine.compute, no_clock).warm_up()
    assert machine.runs == WARMUP_RUNS > 0
