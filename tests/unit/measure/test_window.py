"""An unbroken run of steps, under a scripted clock."""

from pytest_batchguard.core.figures import Contention
from pytest_batchguard.measure.contention import CpuTimes
from pytest_batchguard.measure.window import Window


class Machine:
    """Two cores whose time passes as told; a quarter of it is another guest's."""

    def __init__(self):
        self.now = 16.0
        self.waited_at = []

    def run(self, window, *seconds):
        """Let steps as long as these end; return after how many calls the window was full."""
        for call, each in enumerate(seconds, start=1):
            self.now += each
            if window.step_ended(lambda call=call: self.waited_at.append(call)):
                return call
        return None

    def window(self, steps, steps_at_once=1):
        """Return a window on this machine."""
        return Window(steps, lambda: self.now, self.read_cpu, steps_at_once)

    def read_cpu(self):
        """Return its times."""
        return CpuTimes(2 * self.now, 0.0, self.now / 2, 2 * self.now - self.now / 2)


def test_step_that_found_its_batch_ready_is_not_counted():
    machine = Machine()
    window = machine.window(3)
    assert machine.run(window, 0.001, 0.25, 0.5, 0.75) == 4
    assert window.step_seconds == 0.5


def test_nothing_is_waited_for_between_its_edges():
    machine = Machine()
    machine.run(machine.window(4), *[0.25] * 5)
    assert machine.waited_at == [1, 5]


def test_steps_run_at_once_count_each():
    machine = Machine()
    window = machine.window(5, steps_at_once=4)
    assert machine.run(window, 1.0, 1.0, 1.0) == 3
    assert window.step_seconds == 0.25


def test_what_others_had_of_the_processor_is_told():
    machine = Machine()
    window = machine.window(2)
    machine.run(window, *[0.25] * 3)
    assert window.contention == Contention(0.0, 0.25)


def test_window_in_which_no_time_passed_had_nobody_beside_it():
    machine = Machine()
    window = machine.window(2)
    machine.run(window, *[0.0] * 3)
    assert window.contention == Contention(0.0, 0.0)
