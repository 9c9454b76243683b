import math
from dataclasses import replace

import pytest

from pytest_batchguard.core.model import Case, ImageSize, Limits
from pytest_batchguard.core.plan import ROUGH_TOLERANCE, Pass, Plan
from pytest_batchguard.errors import ConfigurationError
from pytest_batchguard.plugin.policy import COMPARED_TOLERANCE, policy_of, session_budget
from tests.unit.plugin.configuration import Configuration, item
from tests.unit.samples import CPU, GPU

CASE = Case(32, ImageSize(8, 8))
LAYERED = [
    ("steps", "8", 12, "16", 8, 12, 16, 20),
    ("warmup", "2", 3, "4", 2, 3, 4, 5),
    ("seed", "2", 3, "4", 2, 3, 4, 0),
]


def policy(flags=None, ini=None, device=CPU, *, compares=False, **marker):
    return policy_of(item(Configuration(flags, ini), **marker), CASE, device, compares=compares)


def test_defaults_are_those_of_the_design():
    defaults = policy()
    assert defaults.limits == Limits(None, None, None, 0.0, 0.1, 0.05, 0.3)
    assert (defaults.steps, defaults.warmup, defaults.seed, defaults.timeout_seconds) == (20, 5, 0, 300.0)
    assert defaults.case == CASE


@pytest.mark.parametrize(("good_pace", "tolerance"), [(0.0, 0.1), (2.1, 0.1), (math.inf, ROUGH_TOLERANCE)])
def test_pace_that_nothing_is_held_against_is_measured_roughly(good_pace, tolerance):
    plan = replace(policy(), good_pace=good_pace).plan(Pass.THROUGHPUT, CPU)
    assert plan.throughput_tolerance == tolerance


@pytest.mark.parametrize(("name", "flag", "marker", "ini", "by_flag", "by_marker", "by_ini", "default"), LAYERED)
def test_flag_beats_marker_beats_ini_beats_default(name, flag, marker, ini, by_flag, by_marker, by_ini, default):
    assert getattr(policy({name: flag}, {name: ini}, **{name: marker}), name) == by_flag
    assert getattr(policy(None, {name: ini}, **{name: marker}), name) == by_marker
    assert getattr(policy(None, {name: ini}), name) == by_ini
    assert getattr(policy(), name) == default


@pytest.mark.parametrize("name", ["throughput_tolerance", "memory_tolerance", "loss_tolerance"])
def test_tolerance_on_a_marker_beats_ini(name):
    assert getattr(policy(None, {name: "20%"}, **{name: 0.5}).limits, name) == 0.5
    assert getattr(policy(None, {name: "20%"}).limits, name) == 0.2
    assert getattr(policy({name: "40%"}, {name: "20%"}, **{name: 0.5}).limits, name) == 0.4


def test_base_and_head_are_compared_more_finely_unless_a_tolerance_was_set():
    def tolerance(flags=None, ini=None, **marker):
        return policy(flags, ini, compares=True, **marker).limits.throughput_tolerance

    assert tolerance() == COMPARED_TOLERANCE < Limits().throughput_tolerance
    assert tolerance(throughput_tolerance=0.2) == 0.2
    assert tolerance(None, {"throughput_tolerance": "20%"}) == 0.2
    assert tolerance({"throughput_tolerance": "20%"}) == 0.2


def test_zero_on_a_marker_is_given():
    assert policy({}, {"seed": "7", "memory_tolerance": "0.5"}, seed=0, memory_tolerance=0).seed == 0
    assert policy({}, {"seed": "7", "memory_tolerance": "0.5"}, seed=0, memory_tolerance=0).limits.memory_tolerance == 0


def test_budget_is_taken_of_the_devices_memory():
    assert policy(memory_budget="50%").limits.memory_budget == CPU.memory_bytes // 2
    assert policy(memory_budget="50%", device=GPU).limits.memory_budget == GPU.memory_bytes // 2
    assert policy(memory_budget=4096).limits.memory_budget == 4096
    assert policy({"memory_budget": "1GiB"}, memory_budget=4096).limits.memory_budget == 2**30


def test_limits_that_only_a_marker_sets():
    limits = policy(max_memory="1GiB", min_throughput=5, min_loss_decrease=0.25).limits
    assert (limits.max_memory, limits.min_throughput, limits.min_loss_decrease) == (2**30, 5.0, 0.25)


def test_plan_is_what_one_process_has_to_do():
    plan = policy(memory_budget=4096, steps=8, seed=3).plan(Pass.MEMORY, CPU)
    assert plan == Plan(CASE, Pass.MEMORY, CPU, steps=8, warmup=5, seed=3, throughput_tolerance=0.1, budget_bytes=4096)


def test_budget_of_the_session_is_that_of_flag_or_ini():
    assert session_budget(Configuration(), CPU) is None
    assert session_budget(Configuration({"memory_budget": "1GiB"}), CPU) == 2**30
    assert session_budget(Configuration(None, {"memory_budget": "50%"}), CPU) == CPU.memory_bytes // 2


@pytest.mark.parametrize("text", ["12 potatoes", "101%", "0GB", "12"])
def test_budget_that_is_no_size_is_refused_by_the_name_of_the_option(text):
    with pytest.raises(ConfigurationError, match="--batchguard-memory-budget: ") as caught:
        session_budget(Configuration({"memory_budget": text}), CPU)
    assert repr(text) in str(caught.value)
