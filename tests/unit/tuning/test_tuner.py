"""What is measured, in which order, and what an interrupted or failing run keeps."""

import math
import re
from dataclasses import replace

import pytest

from pytest_batchguard.core.figures import Breakdown, MemoryFigures, ThroughputFigures
from pytest_batchguard.core.model import Case, Device, Failure, FailureKind, ImageSize, Measurement, ModelFingerprint
from pytest_batchguard.core.plan import Pass, Plan
from pytest_batchguard.core.tuning import Tuning
from pytest_batchguard.tuning.found import Found
from pytest_batchguard.tuning.tuner import Settings, Tuner, not_measured

MB = 10**6
SIZE = ImageSize(32, 32)
CPU = Device("cpu-test-2c", "Test CPU", 1000 * MB)
SGD = ModelFingerprint(parameters=5, optimizer="SGD", learning_rate=0.1)
PLAN = Plan(Case(32, SIZE), Pass.MEMORY, CPU, steps=20, warmup=5, seed=0, throughput_tolerance=0.1)


class Project:
    """A project with data, a model and a machine that answer by formulas."""

    def __init__(self, *, slope=2 * MB, images=10_000, model=SGD, why_not="", trouble=None):
        self.plans = []
        self._slope = slope
        self._images = images
        self._model = model
        self._why_not = why_not
        self._trouble = trouble or {}

    def measure(self, plan):
        self.plans.append(plan)
        size = plan.case.batch_size
        if plan.kind in self._trouble:
            return self._trouble[plan.kind]
        blank = Measurement(size, SIZE, data_images=self._images, model=self._model)
        if size > self._images:
            failure = Failure(FailureKind.FEW_IMAGES, "the data set is smaller than a batch")
            return Found(replace(blank, failure=failure))
        return getattr(self, plan.kind.value)(plan, blank)

    def memory(self, plan, blank):
        peak = 50 * MB + self._slope * plan.case.batch_size
        if peak > (plan.budget_bytes or CPU.memory_bytes):
            return Found(replace(blank, failure=Failure(FailureKind.OOM, "out of memory")))
        return Found(replace(blank, memory=MemoryFigures(peak, held_bytes=50 * MB)))

    def throughput(self, plan, blank):
        size = plan.case.batch_size
        seconds = 0.01 + size / 10_000
        figures = ThroughputFigures(size / seconds, seconds / 0.02, 2, seconds / 0.021, seconds / 0.019)
        return Found(replace(blank, throughput=figures, breakdown=Breakdown(seconds, seconds)))

    def whole(self, plan, blank):
        memory = self.memory(plan, blank).measurement.memory
        return Found(replace(self.throughput(plan, blank).measurement, memory=memory))

    def noise(self, _plan, blank):
        norms = [{"small_squares": [6.0, 4.0], "large_square": 3.0}] * 10
        message = {"why_not": self._why_not, "small_batch": 8, "before": norms, "after": norms}
        return Found(blank, {"noise": message})

    def trial(self, plan, blank):
        steps = round(plan.trial_images / plan.case.batch_size)
        figures = {"loss": 0.5, "metrics": {"accuracy": 0.9}, "steps": steps, "images": steps * plan.case.batch_size}
        return Found(blank, {"trial": {"why_not": self._why_not, **figures}})


def tuned(project, *, plan=PLAN, declared=(32, 64), settings=Settings(1, 60.0)):  # noqa: B008 -- frozen
    tuner = Tuner(Tuning("test_x.py::test_x", SIZE, declared), plan, settings, project.measure, lambda _text: None)
    tuner.run()
    return tuner


def sizes_of(project, kind):
    return [plan.case.batch_size for plan in project.plans if plan.kind is kind]


def test_every_part_is_found():
    tuning = tuned(Project()).tuning

    assert tuning.largest.batch_size in range(465, 476)
    assert tuning.curve
    assert len(tuning.noise) == 2
    assert tuning.trials
    assert tuning.recommended is not None
    assert tuning.missing == ()
    assert list(not_measured(tuning)) == []


def test_every_process_is_told_that_it_probes():
    project = Project()
    tuned(project)

    assert all(plan.is_probe for plan in project.plans)


def test_sizes_are_timed_in_few_windows_and_in_fewer_where_a_step_is_long():
    project = Project(slope=0.01 * MB)
    tuned(project, declared=(32, 4096))

    timed = {plan.case.batch_size: plan for plan in project.plans if plan.kind is Pass.THROUGHPUT}
    assert {plan.good_pace for plan in timed.values()} == {math.inf}
    assert (timed[32].throughput_tolerance, timed[4096].throughput_tolerance) == (0.1, 0.5)


def test_memory_that_others_held_where_a_size_did_not_fit_is_told():
    class Crowded(Project):
        def memory(self, plan, blank):
            found = super().memory(plan, blank)
            return replace(found, others_bytes=300 * 2**20) if found.measurement.failure else found

    (first, *_) = tuned(Crowded()).tuning.missing

    assert re.fullmatch(r"a card of its own: other processes held 300 MiB of it when a batch of \d+ did not fit", first)


@pytest.mark.parametrize(("others_bytes", "lasting"), [(0, True), (2**30, False)])
def test_batch_that_did_not_fit_beside_others_may_fit_another_time(others_bytes, lasting):
    measurement = Measurement(64, SIZE, failure=Failure(FailureKind.OOM, "out of memory"))
    assert Found(measurement, others_bytes=others_bytes).is_lasting is lasting


def test_why_nothing_is_recommended_is_said():
    class Full(Project):
        def memory(self, plan, blank):
            peak = CPU.memory_bytes * 97 // 100 + plan.case.batch_size
            return Found(replace(blank, memory=MemoryFigures(peak, held_bytes=peak - 1)))

    tuning = tuned(Full(images=100)).tuning

    assert tuning.recommended is None
    assert tuning.missing[-1] == "recommendation: no size that was timed leaves 5 % free"


def test_recommended_size_was_trained_and_its_memory_measured():
    project = Project()
    tuning = tuned(project).tuning

    assert tuning.recommended.batch_size in sizes_of(project, Pass.MEMORY)
    assert tuning.recommended.batch_size in tuning.peaks


def test_size_whose_memory_cannot_be_measured_gives_way_to_another():
    class Forgetful(Project):
        def memory(self, plan, blank):
            timed = any(each.kind is Pass.THROUGHPUT for each in self.plans)
            if timed and plan.case.batch_size in broken:
                return Found(replace(blank, failure=Failure(FailureKind.CRASH, "it died")))
            return super().memory(plan, blank)

    broken = set()
    first = tuned(Forgetful(why_not="no validation_data"), declared=(48,)).tuning.recommended.batch_size
    broken.add(first)
    tuning = tuned(Forgetful(why_not="no validation_data"), declared=(48,)).tuning

    assert tuning.recommended.batch_size != first
    assert tuning.recommended.batch_size in tuning.peaks
    assert f"memory at {first}: it died" in tuning.missing


def test_memory_of_a_size_that_the_validation_led_to_is_measured_too():
    class Unlearning(Project):
        def trial(self, plan, blank):
            found = super().trial(plan, blank)
            found.findings["trial"]["loss"] = plan.case.batch_size
            return found

    project = Unlearning()
    tuning = tuned(project, declared=(48,)).tuning

    assert tuning.recommended.batch_size == min(trial.batch_size for trial in tuning.trials)
    assert tuning.recommended.batch_size in tuning.peaks
    assert "headroom to what" in tuning.recommended.reasons[0]


def test_sizes_share_one_yardstick():
    project = Project()
    tuned(project)

    assert {plan.yardstick_case for plan in project.plans if plan.kind is Pass.THROUGHPUT} == {Case(32, SIZE)}


def test_declared_sizes_are_timed():
    project = Project()
    tuned(project, declared=(48, 400))

    assert {48, 400} <= set(sizes_of(project, Pass.THROUGHPUT))


def test_budget_takes_the_place_of_the_device():
    tuning = tuned(Project(), plan=replace(PLAN, budget_bytes=300 * MB)).tuning

    assert tuning.largest.limit_bytes == 300 * MB
    assert tuning.largest.batch_size in range(122, 126)


def test_data_bounds_the_search():
    tuning = tuned(Project(slope=1000, images=100)).tuning

    assert tuning.largest.batch_size == 100
    assert tuning.largest.smallest_failing is None
    assert tuning.largest.reason == "the data has no more images"


def test_first_size_larger_than_the_data_leads_to_the_data():
    assert tuned(Project(slope=1000, images=20), declared=(32,)).tuning.largest.batch_size == 20


def test_rough_count_of_the_data_is_made_exact_by_a_batch_that_is_too_large():
    class Rounded(Project):
        def memory(self, plan, blank):
            batches = -(-self._images // plan.case.batch_size)
            return super().memory(plan, replace(blank, data_images=batches * plan.case.batch_size))

    tuning = tuned(Rounded(slope=1000, images=1437), declared=(32,)).tuning

    assert tuning.largest.batch_size == tuning.data_images == 1437


def test_data_that_drops_the_remainder_is_bounded_in_few_trainings():
    class Dropping(Project):
        def measure(self, plan):
            found = super().measure(plan)
            return replace(found, measurement=replace(found.measurement, data_images=None))

    project = Dropping(slope=1000, images=1000)
    tuning = tuned(project, declared=(32,)).tuning

    assert 980 <= tuning.largest.batch_size <= 1000
    assert tuning.largest.reason == "the data has no more images"
    assert len(sizes_of(project, Pass.MEMORY)) <= 16


def test_data_that_grows_with_the_batch_bounds_nothing():
    class Growing(Project):
        def memory(self, plan, blank):
            return super().memory(plan, replace(blank, data_images=2 * plan.case.batch_size))

    tuning = tuned(Growing(), declared=(4,)).tuning

    assert tuning.largest.batch_size in range(465, 476)
    assert tuning.data_images is None


def test_multiple_bounds_every_size():
    project = Project()
    tuning = tuned(project, declared=(32,), settings=Settings(8, 60.0)).tuning

    assert tuning.largest.batch_size == 472
    assert all(size % 8 == 0 for size in sizes_of(project, Pass.MEMORY))


def test_nothing_fits_is_a_failure():
    tuner = tuned(Project(slope=2000 * MB))

    assert tuner.failure == "not even a batch of 1 fits"
    assert tuner.tuning.recommended is None


@pytest.mark.parametrize("kind", [FailureKind.CRASH, FailureKind.HOST_OOM, FailureKind.TIMEOUT, FailureKind.ERROR])
def test_anything_but_out_of_memory_ends_the_search_and_is_reported(kind):
    trouble = Found(Measurement(32, SIZE, failure=Failure(kind, "it went wrong")))
    tuner = tuned(Project(trouble={Pass.MEMORY: trouble}))

    assert tuner.failure == "a batch of 32 ended the search: it went wrong"


def test_guard_that_never_trains_is_reported():
    tuner = tuned(Project(trouble={Pass.MEMORY: Found(None, problem="the guard never trained")}))

    assert tuner.failure == "a batch of 32 ended the search: the guard never trained"


def test_crash_after_some_sizes_trained_keeps_the_largest_of_them():
    class Crashing(Project):
        def memory(self, plan, blank):
            if plan.case.batch_size > 100:
                return Found(replace(blank, failure=Failure(FailureKind.CRASH, "died by SIGSEGV")))
            return super().memory(plan, blank)

    tuning = tuned(Crashing()).tuning

    assert tuning.largest.batch_size == 32
    assert tuning.largest.smallest_failing is None
    assert "died by SIGSEGV" in tuning.largest.reason
    assert tuning.recommended.batch_size <= 32


def test_hand_written_step_has_no_noise_scale_and_no_validation():
    project = Project(model=ModelFingerprint(trainable=5))
    tuning = tuned(project).tuning

    assert tuning.missing == (
        "gradient noise scale: not available for a hand-written step",
        "validation: not available for a hand-written step",
    )
    assert sizes_of(project, Pass.NOISE) == sizes_of(project, Pass.TRIAL) == []
    assert tuning.recommended.learning_rate is None


def test_what_a_child_cannot_tell_is_missing_with_its_reason():
    tuning = tuned(Project(why_not="no data for it")).tuning

    assert tuning.missing == ("gradient noise scale: no data for it", "validation: no data for it")


def test_validation_that_cannot_be_had_is_missing_once_however_short_the_data_is():
    tuning = tuned(Project(why_not="no data for it", images=64)).tuning

    assert [why for why in tuning.missing if why.startswith("validation")] == ["validation: no data for it"]


def test_model_whose_optimizers_are_its_own_is_validated_without_a_learning_rate():
    project = Project(model=ModelFingerprint(parameters=5))
    tuning = tuned(project).tuning

    assert {plan.learning_rate_factor for plan in project.plans} == {1.0}
    assert {trial.learning_rate for trial in tuning.trials} == {None}
    assert tuning.recommended.learning_rate is None


def test_size_that_could_not_be_timed_is_missing():
    trouble = Found(Measurement(32, SIZE, failure=Failure(FailureKind.TIMEOUT, "no end after 300 s")))
    tuning = tuned(Project(trouble={Pass.THROUGHPUT: trouble})).tuning

    assert tuning.curve == ()
    assert "throughput at 8: no end after 300 s" in tuning.missing


def test_candidates_are_validated_at_equal_work_with_a_scaled_learning_rate():
    project = Project()
    tuning = tuned(project).tuning

    factors = {plan.case.batch_size: plan.learning_rate_factor for plan in project.plans if plan.kind is Pass.TRIAL}
    assert factors[64] == 2 * factors[32] == 2
    assert {trial.learning_rate for trial in tuning.trials if trial.batch_size == 64} == {0.2}
    most = max(trial.batch_size for trial in tuning.trials)
    assert all(abs(trial.images - tuning.trials[0].images) <= most for trial in tuning.trials)


def test_trials_stay_within_the_time_limit():
    project = Project()
    tuning = tuned(project, settings=Settings(1, 4.0)).tuning

    rates = {point.batch_size: point.images_per_second for point in tuning.curve}
    assert sum(trial.images / rates[trial.batch_size] for trial in tuning.trials) < 4.5


def test_time_limit_too_short_for_the_largest_is_said():
    tuning = tuned(Project(), settings=Settings(1, 0.5)).tuning

    assert any("the time limit and 5 epochs leave it fewer than 8 steps" in missing for missing in tuning.missing)


def test_trials_are_no_longer_than_five_epochs():
    project = Project(images=500)
    tuned(project, settings=Settings(1, 1e6))

    assert {plan.trial_images for plan in project.plans if plan.kind is Pass.TRIAL} == {2500}


def test_gpu_takes_memory_and_speed_in_one_process():
    gpu = replace(CPU, key="gpu-test", index=0)
    project = Project()
    tuning = tuned(project, plan=replace(PLAN, device=gpu)).tuning

    timed = [point.batch_size for point in tuning.curve]
    assert sizes_of(project, Pass.THROUGHPUT) == []
    assert sizes_of(project, Pass.WHOLE) == timed
    assert set(timed) <= tuning.peaks.keys()
    kinds = [plan.kind for plan in project.plans]
    assert Pass.MEMORY not in kinds[kinds.index(Pass.WHOLE) :]


def test_interrupted_run_keeps_what_was_measured_and_names_what_is_missing():
    class Interrupted(Project):
        def noise(self, _plan, _blank):
            raise KeyboardInterrupt

    tuner = Tuner(Tuning("test_x", SIZE, (32,)), PLAN, Settings(1, 60.0), Interrupted().measure, lambda _text: None)
    with pytest.raises(KeyboardInterrupt):
        tuner.run()

    assert tuner.tuning.largest is not None
    assert list(not_measured(tuner.tuning)) == ["the gradient noise scale", "the validation", "the recommendation"]


def test_what_is_being_done_is_told():
    told = []
    tuner = Tuner(Tuning("test_x", SIZE, (32,)), PLAN, Settings(1, 60.0), Project().measure, told.append)
    tuner.run()

    assert told[0] == "the largest batch: 32"
    assert "throughput at 8" in told
    assert "the gradient's noise" in told
