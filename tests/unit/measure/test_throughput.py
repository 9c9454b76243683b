"""The meter under a scripted clock: the events it sees are steps of known length and yardsticks of known length.

Lengths are multiples of powers of two, so that sums of them are exact.
"""

import math

import pytest

from pytest_batchguard.core.figures import Contention
from pytest_batchguard.measure import yardstick
from pytest_batchguard.measure.contention import CpuTimes
from pytest_batchguard.measure.throughput import (
    FEWEST_ROUGHLY,
    FEWEST_WINDOWS,
    MOST_SECONDS,
    MOST_WINDOWS,
    QUIET,
    SHORTEST_WINDOW_SECONDS,
    SLOW_HANDOFF,
    YARDSTICK_SHARE,
    ThroughputMeter,
)
from pytest_batchguard.measure.warmup import LONGEST_WARMUP
from pytest_batchguard.measure.yardstick import Reading

YARD = 0.25
HANDOFF = 2**-15
PREFETCHED = 2**-10


class Scene:
    """A clock that training and the yardstick move on and nothing else, and a diary of what happened.

    Args:
        yardsticks: Seconds of the first readings.
        stolen: Shares of the processor that others have in the first windows.
        beside: Shares that they have while the yardstick is first timed.
        core: Seconds of its arithmetic on one core; `None` where it is another training.
        handoffs: Seconds that waking a thread takes in its first readings; `None` where it is not timed.
    """

    def __init__(self, yardsticks=(), stolen=(), beside=(), core=0.0625, handoffs=None):
        self.core = core
        self.handoffs = handoffs and list(handoffs)
        self.stolen = list(stolen)
        self.beside = list(beside)
        self.cpu = CpuTimes(0.0, 0.0, 0.0, 0.0)
        self.window_begin = None
        self.now = 128.0
        self.diary = []
        self.yardsticks = list(yardsticks)
        self.asked_to_last = []
        self.steps_beside = []

    def clock(self):
        return self.now

    def read_cpu(self):
        """Return times of one core, taken at a window's begin and end in turn."""
        if self.window_begin is None:
            self.window_begin = self.now
        else:
            passed = self.now - self.window_begin
            stolen = passed * (self.stolen.pop(0) if self.stolen else 0.0)
            total = self.cpu.total + passed
            self.cpu = CpuTimes(total, 0.0, self.cpu.stolen + stolen, self.cpu.own + passed - stolen)
            self.window_begin = None
        return self.cpu

    def read(self, at_least=0.0, steps=0):
        taken = self.yardsticks.pop(0) if self.yardsticks else YARD
        self.diary.append("yardstick")
        self.asked_to_last.append(at_least)
        self.steps_beside.append(steps)
        self.now += taken
        handoff = None if self.handoffs is None else self.handoffs.pop(0) if self.handoffs else HANDOFF
        return Reading(taken, self.beside.pop(0) if self.beside else 0.0, self.core, handoff)

    def build_yardstick(self):
        self.diary.append("build")
        self.now += 64.0
        return self

    def meter(self, *, batch_size=32, warmup=3, steps=12, tolerance=0.1, **settings):
        tools = (self.clock, self.read_cpu, self.build_yardstick)
        return ThroughputMeter(batch_size, warmup, steps, tolerance, *tools, **settings)

    def synchronise(self):
        self.diary.append("sync")

    def step(self, meter, seconds):
        """Let `steps_at_once` steps of this length pass; return whether the meter has enough."""
        self.diary.append("step")
        self.now += seconds * meter.steps_at_once
        return meter.step_ended(self.synchronise)

    def train(self, meter, step_seconds):
        """Train to the end, at most 1,000 steps; the first after every pause finds prefetched data and is very short.

        Args:
            meter: Is told of every step.
            step_seconds: Returns the length of a step, given how many windows are full.
        """
        for call in range(1, 1001):
            after_pause = self.diary[-1:] == ["yardstick"]
            windows = max(0, self.diary.count("yardstick") - 1)
            if self.step(meter, PREFETCHED if after_pause else step_seconds(windows)):
                return call
        return pytest.fail("the meter never has enough")


@pytest.mark.parametrize(("mix", "pace"), [(1.0, 2.0), (0.5, 4.0), (0.0, 8.0)])
def test_yardstick_is_its_two_parts_weighed_by_the_mix(mix, pace):
    scene = Scene()
    meter = scene.meter(mix=mix)
    scene.train(meter, steady(0.5))
    figures = meter.figures()
    assert (figures.pace, figures.mix, figures.core_pace) == (pytest.approx(pace), mix, 8.0)


def test_training_beside_another_has_no_pace_in_arithmetic():
    scene = Scene(core=None)
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert meter.figures().core_pace is None


def test_training_beside_another_is_as_fast_where_every_third_window_of_both_is_slowed_down():
    scene = Scene(core=None, yardsticks=[0.5, 0.5, 1.0] * MOST_WINDOWS)
    meter = scene.meter()
    scene.train(meter, lambda windows: 1.0 if windows % 3 == 0 else 0.5)
    assert meter.figures().pace == 1.0


def steady(seconds):
    return lambda _: seconds


def test_throughput_and_pace_are_exact_under_a_scripted_clock():
    scene = Scene()
    meter = scene.meter(batch_size=32)
    scene.train(meter, steady(0.5))
    figures = meter.figures()
    assert figures.images_per_second == 64.0
    assert figures.pace == 2.0
    assert (figures.pace_low, figures.pace_high) == (2.0, 2.0)
    assert set(figures.step_seconds) == {0.5}
    assert set(figures.yardstick_seconds) == {YARD}
    assert figures.yardstick == yardstick.VERSION
    assert figures.settled


def test_steady_training_is_measured_in_the_fewest_windows():
    scene = Scene()
    meter = scene.meter(warmup=3, steps=12)
    calls = scene.train(meter, steady(0.5))
    figures = meter.figures()
    assert len(figures.step_seconds) == len(figures.yardstick_seconds) == FEWEST_WINDOWS
    assert calls == 3 + FEWEST_WINDOWS * (1 + figures.window_steps)


@pytest.mark.parametrize("steps", [4, 12, 13, 20, 25])
def test_windows_hold_at_least_the_steps_asked_for(steps):
    scene = Scene()
    meter = scene.meter(steps=steps)
    scene.train(meter, steady(0.5))
    figures = meter.figures()
    assert len(figures.step_seconds) * figures.window_steps >= steps


def test_window_of_long_steps_holds_two():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert meter.figures().window_steps == 2


def test_noise_is_held_against_the_pace_and_not_against_the_yardstick():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, lambda windows: 2.0 if windows % 2 else 2.0625)
    assert len(meter.figures().step_seconds) == FEWEST_WINDOWS


def test_noisy_training_is_measured_for_longer_until_the_noise_has_averaged_out():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, lambda windows: 0.75 if windows in {1, 3, 5, 7} else 0.5)
    count = len(meter.figures().step_seconds)
    assert FEWEST_WINDOWS < count < MOST_WINDOWS
    assert meter.figures().pace == 2.0


@pytest.mark.parametrize(("tolerance", "count"), [(0.5, FEWEST_ROUGHLY), (0.49, FEWEST_WINDOWS), (0.1, MOST_WINDOWS)])
def test_what_is_judged_finely_is_measured_for_longer(tolerance, count):
    scene = Scene()
    meter = scene.meter(tolerance=tolerance, steps=4)
    scene.train(meter, lambda windows: 0.625 if windows % 2 else 0.5)
    assert len(meter.figures().step_seconds) == count


@pytest.mark.parametrize(
    ("good_pace", "count"), [(2.5, FEWEST_WINDOWS), (2.49, MOST_WINDOWS), (math.inf, FEWEST_WINDOWS)]
)
def test_pace_that_is_known_to_be_good_is_measured_no_longer(good_pace, count):
    scene = Scene()
    meter = scene.meter(good_pace=good_pace)
    scene.train(meter, lambda windows: 0.625 if windows % 2 else 0.5)
    assert len(meter.figures().step_seconds) == count


@pytest.mark.parametrize(("good_pace", "count"), [(2.5, MOST_WINDOWS), (math.inf, FEWEST_WINDOWS)])
def test_disturbed_windows_prove_no_pace_good_unless_any_is(good_pace, count):
    scene = Scene(stolen=[0.5] * 100)
    meter = scene.meter(good_pace=good_pace)
    scene.train(meter, steady(0.5))
    assert len(meter.figures().step_seconds) == count


@pytest.mark.parametrize(("tolerance", "count"), [(0.08, 38), (0.05, 96), (0.01, 96), (0.0, 96)])
def test_tolerance_below_a_tenth_may_take_up_to_four_times_as_many(tolerance, count):
    scene = Scene(yardsticks=[2**-8] * 200)
    meter = scene.meter(tolerance=tolerance)
    scene.train(meter, lambda windows: 0.0625 if windows % 2 else 0.125)
    assert len(meter.figures().step_seconds) == count


def test_noise_that_never_ends_does_not_keep_measuring_for_ever():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, lambda windows: 1.0 if windows % 2 else 0.5)
    figures = meter.figures()
    assert len(figures.step_seconds) == MOST_WINDOWS
    assert figures.pace_low < figures.pace < figures.pace_high


def test_steps_of_a_window_follow_one_another_without_yardstick_or_synchronising():
    scene = Scene()
    meter = scene.meter(warmup=1)
    scene.train(meter, steady(0.5))
    window = ["step", "sync", *["step"] * meter.figures().window_steps, "sync", "yardstick"]
    assert len(window) > 5
    assert scene.diary == ["step", "sync", "step", "sync", "build", "yardstick", *window * FEWEST_WINDOWS]


def test_yardstick_is_timed_before_between_and_after_the_windows():
    scene = Scene()
    scene.train(scene.meter(), steady(0.5))
    assert scene.diary.count("yardstick") == FEWEST_WINDOWS + 1
    assert scene.diary.count("build") == 1


def test_yardstick_lasts_a_share_of_the_window_before_it():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, lambda windows: 0.5 if windows < 3 else 0.5 + 2**-8)
    window_seconds = [seconds * meter.figures().window_steps for seconds in meter.figures().step_seconds]
    assert scene.asked_to_last[1:] == [YARDSTICK_SHARE * seconds for seconds in window_seconds]
    assert scene.asked_to_last[0] == YARDSTICK_SHARE * window_seconds[0]
    assert set(scene.steps_beside) == {meter.figures().window_steps}


def test_first_step_after_a_pause_is_in_no_window():
    """It takes PREFETCHED seconds here, so that one of them in a window would show in the throughput."""
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert set(meter.figures().step_seconds) == {0.5}


def test_slow_warm_up_is_in_no_window():
    scene = Scene()
    meter = scene.meter(warmup=3)
    scene.step(meter, 40.0)
    scene.step(meter, 20.0)
    scene.train(meter, steady(0.5))
    assert set(meter.figures().step_seconds) == {0.5}


def test_warm_up_lasts_the_steps_asked_for():
    scene = Scene()
    meter = scene.meter(warmup=3)
    for _ in range(2):
        scene.step(meter, 0.5)
    assert "yardstick" not in scene.diary
    scene.step(meter, 0.5)
    assert scene.diary[-1] == "yardstick"


@pytest.mark.parametrize("steps_at_once", [1, 8])
def test_warm_up_lasts_until_the_length_of_a_step_is_known(steps_at_once):
    scene = Scene()
    meter = scene.meter(warmup=1, steps_at_once=steps_at_once)
    scene.train(meter, steady(2**-6))
    assert meter.figures().images_per_second == 32 * 2**6
    assert meter.figures().window_steps == math.ceil(SHORTEST_WINDOW_SECONDS * 2**6)
    assert all(seconds > 0 for seconds in scene.asked_to_last)


def test_warm_up_goes_on_until_a_step_is_about_as_fast_as_the_fastest():
    scene = Scene()
    meter = scene.meter(warmup=3)
    for seconds in (8.0, 0.5, 1.0, 0.75):
        scene.step(meter, seconds)
    assert "yardstick" not in scene.diary
    scene.step(meter, 0.625)
    assert scene.diary[-1] == "yardstick"


def test_warm_up_that_never_settles_has_an_end():
    scene = Scene()
    meter = scene.meter(warmup=3)
    for step in range(1, LONGEST_WARMUP * 3 + 1):
        assert "yardstick" not in scene.diary
        scene.step(meter, 0.5 if step == 2 else 1.0)
    assert scene.diary[-1] == "yardstick"


def test_clock_too_coarse_for_the_warm_up_is_no_trouble():
    scene = Scene()
    meter = scene.meter(warmup=2)
    for _ in range(2):
        scene.step(meter, 0.0)
    scene.train(meter, steady(0.5))
    assert meter.figures().images_per_second == 64.0


def test_short_steps_make_longer_windows():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, steady(2**-6))
    assert meter.figures().window_steps == math.ceil(SHORTEST_WINDOW_SECONDS * 2**6)
    assert meter.figures().images_per_second == 32 * 2**6


def test_steps_run_at_once_count_each():
    scene = Scene()
    meter = scene.meter(batch_size=32, warmup=4, steps_at_once=4)
    calls = scene.train(meter, steady(0.5))
    figures = meter.figures()
    assert figures.images_per_second == 64.0
    assert calls == 2 + len(figures.step_seconds) * (1 + math.ceil(figures.window_steps / 4))


def test_length_of_a_step_is_known_from_a_warm_up_of_steps_run_at_once():
    scene = Scene()
    meter = scene.meter(batch_size=32, warmup=12, steps_at_once=4)
    for _ in range(2):
        scene.step(meter, 0.5)
    assert meter.images_per_second == 64.0


@pytest.mark.parametrize(("steps_at_once", "steps_to_update", "rounds"), [(1, 1, 1), (3, 1, 3), (1, 7, 7), (4, 6, 12)])
def test_window_is_of_whole_rounds(steps_at_once, steps_to_update, rounds):
    scene = Scene()
    meter = scene.meter(warmup=5, steps_at_once=steps_at_once, steps_to_update=steps_to_update)
    scene.train(meter, steady(2**-5))
    fewest = math.ceil(SHORTEST_WINDOW_SECONDS * 2**5)
    assert meter.figures().window_steps == rounds * math.ceil(fewest / rounds)
    assert set(meter.figures().step_seconds) == {2**-5}


def test_each_window_is_paced_by_the_yardsticks_on_its_two_sides():
    scene = Scene(yardsticks=[0.25, 0.75] * MOST_WINDOWS)
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert set(meter.figures().yardstick_seconds) == {0.5}
    assert meter.figures().pace == 1.0


def test_drift_of_the_machine_cancels_in_the_pace():
    """The machine gets slower from window to window, training and yardstick alike."""
    slowness = [1, 1, 2, 2, *[4] * (FEWEST_WINDOWS - 3)]
    scene = Scene(yardsticks=[YARD * slow for slow in slowness])
    meter = scene.meter()
    scene.train(meter, lambda windows: 0.5 * (slowness[windows] + slowness[windows + 1]) / 2)
    figures = meter.figures()
    assert figures.pace == 2.0
    assert (figures.pace_low, figures.pace_high) == (2.0, 2.0)
    assert figures.settled
    assert max(figures.step_seconds) == 4 * min(figures.step_seconds)


def test_one_disturbed_window_moves_neither_median():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, lambda windows: 4.0 if windows == 2 else 0.5)
    assert max(meter.figures().step_seconds) == 4.0
    assert (meter.figures().images_per_second, meter.figures().pace) == (64.0, 2.0)


def test_first_window_much_slower_than_the_rest_has_not_settled():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, lambda windows: 0.75 if windows == 0 else 0.5)
    assert not meter.figures().settled


def test_first_window_a_little_slower_than_the_rest_has_settled():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, lambda windows: 0.625 if windows == 0 else 0.5)
    assert meter.figures().settled


def test_progress_shows_the_last_step_in_the_warm_up_and_then_the_last_window():
    scene = Scene()
    meter = scene.meter(batch_size=32, warmup=3)
    assert math.isnan(meter.images_per_second)
    scene.step(meter, 8.0)
    assert math.isnan(meter.images_per_second)
    scene.step(meter, 0.25)
    assert meter.images_per_second == 128.0
    scene.train(meter, lambda windows: 0.5 if windows < FEWEST_WINDOWS - 1 else 0.53125)
    assert meter.images_per_second == 32 / 0.53125


@pytest.mark.parametrize(("batch_size", "rate"), [(1, 2.0), (32, 64.0), (64, 128.0)])
def test_throughput_counts_images_and_not_steps(batch_size, rate):
    scene = Scene()
    meter = scene.meter(batch_size=batch_size)
    scene.train(meter, steady(0.5))
    assert meter.figures().images_per_second == rate


# What others do to the processor


def test_contention_is_that_of_the_windows():
    scene = Scene(stolen=[0.25] * MOST_WINDOWS, beside=[0.5] * 99)
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert meter.figures().contention == Contention(0.0, 0.25)


def test_window_is_as_disturbed_as_the_worst_of_itself_and_the_yardsticks_beside_it():
    scene = Scene(stolen=[0.0625, 0.0, 0.0], beside=[0.0, 0.0, 0.0, 0.03125])
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert meter.figures().disturbances[:5] == (0.0625, 0.0, 0.03125, 0.03125, 0.0)


def test_disturbed_windows_do_not_count_where_there_are_enough_quiet_ones():
    scene = Scene(stolen=[0.5, 0.5, 0.0, 0.5, 0.5, 0.5])
    meter = scene.meter()
    scene.train(meter, lambda windows: 0.5 if windows == 2 or windows > 5 else 1.0)
    figures = meter.figures()
    assert len(figures.step_seconds) == FEWEST_WINDOWS + 5
    assert (figures.images_per_second, figures.pace, figures.pace_high) == (64.0, 2.0, 2.0)
    assert not figures.settled


def test_windows_beside_which_threads_wake_slowly_do_not_count_where_there_are_enough_others():
    scene = Scene(handoffs=[HANDOFF * (1 + 2 * SLOW_HANDOFF)] * 4)
    meter = scene.meter()
    scene.train(meter, lambda windows: 1.5 if windows < 3 else 1.0)
    figures = meter.figures()
    assert figures.disturbances[:3] == pytest.approx((2 * QUIET,) * 3)
    assert (figures.images_per_second, figures.pace) == (32.0, 4.0)
    assert figures.handoff_seconds == HANDOFF


def test_where_waking_a_thread_is_not_timed_nothing_is_said_of_it():
    scene = Scene()
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert meter.figures().handoff_seconds is None


def test_rough_tolerance_needs_fewer_quiet_windows():
    scene = Scene(stolen=[0.5, 0.0, 0.5, 0.0, 0.0, 0.0])
    meter = scene.meter(tolerance=1.0, steps=4)
    scene.train(meter, lambda windows: 1.0 if windows in {0, 2} else 0.5)
    assert len(meter.figures().step_seconds) == FEWEST_ROUGHLY + 2
    assert meter.figures().pace_high == 2.0


def test_share_that_is_still_quiet_counts():
    scene = Scene(beside=[QUIET] * 99)
    meter = scene.meter()
    scene.train(meter, steady(0.5))
    assert len(meter.figures().step_seconds) == FEWEST_WINDOWS


def test_where_it_is_never_quiet_the_less_disturbed_half_counts():
    scene = Scene(stolen=[0.5, 0.25] * MOST_WINDOWS)
    meter = scene.meter()
    scene.train(meter, lambda windows: 0.5 if windows % 2 else 1.0)
    figures = meter.figures()
    assert len(figures.step_seconds) == MOST_WINDOWS
    assert (figures.images_per_second, figures.pace) == (64.0, 2.0)


def test_long_windows_are_not_added_for_ever():
    scene = Scene(stolen=[0.5] * MOST_WINDOWS)
    meter = scene.meter()
    scene.train(meter, steady(4.0))
    count = len(meter.figures().step_seconds)
    assert FEWEST_WINDOWS <= count < MOST_WINDOWS
    assert (count - 1) * 2 * 4.0 <= MOST_SECONDS


@pytest.mark.parametrize(("steps", "windows"), [(1, FEWEST_ROUGHLY), (13, 7)])
def test_very_long_windows_are_as_many_as_a_median_and_the_steps_need(steps, windows):
    scene = Scene(stolen=[0.5] * MOST_WINDOWS)
    meter = scene.meter(steps=steps)
    scene.train(meter, steady(64.0))
    assert len(meter.figures().step_seconds) == windows


def test_usual_reading_is_the_median_of_each_part_beside_the_windows():
    scene = Scene(yardsticks=[0.5])
    meter = scene.meter()
    assert meter.usual_reading is None
    scene.train(meter, steady(0.5))
    assert meter.usual_reading == Reading(YARD, 0.0, 0.0625)


def test_windows_are_planned_by_the_usual_step_and_not_by_one_that_found_prefetched_data():
    scene = Scene()
    meter = scene.meter(warmup=4)
    for seconds in (1.0, 2**-4, 2**-4, 2**-8):
        scene.step(meter, seconds)
    assert scene.diary[-1] == "yardstick"
    scene.train(meter, steady(2**-4))
    assert meter.figures().window_steps == math.ceil(SHORTEST_WINDOW_SECONDS * 2**4)
