"""Judges measured attempts by the guard's rules and, beside it, by what others gate on; for false_alarms.py."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev

from pytest_batchguard.core.attempts import Attempted, conclude, wants_another_attempt
from pytest_batchguard.core.explain import explain_slowdown
from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Baseline, Limits, Measurement, Verdict
from pytest_batchguard.core.noise import MOST_ATTEMPTS
from pytest_batchguard.core.repeats import combine
from pytest_batchguard.core.statistics import median_interval
from pytest_batchguard.measure.throughput import FEWEST_WINDOWS, windows_that_count

REPEATS = 5
BASELINES = 20
TOLERANCES = (0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25)
DEFAULT_TOLERANCE = 0.1
QUIET = "quiet"
WINDOWS = (24, 16, 12, 8)

Key = tuple[str, str, float]
"""Case, condition of the machine, planted slowdown."""

Rule = Callable[[Sequence[Measurement], Sequence[Measurement], float], Verdict]


def guard(attempts: Sequence[Measurement], accepted: Sequence[Measurement], tolerance: float) -> Verdict:
    """Return what the guard says of these attempts, as many as it asks for, against a baseline of `accepted`."""
    return _guard(attempts, combine(accepted), tolerance)


def _guard(attempts: Sequence[Measurement], baseline: Baseline, tolerance: float) -> Verdict:
    limits = Limits(throughput_tolerance=tolerance)
    attempted: list[Attempted] = []
    for attempt in attempts:
        counted = _counted_as(baseline, attempt)
        attempted.append(Attempted(counted, baseline, judge(counted, baseline, limits)))
        if not wants_another_attempt(attempted, limits):
            break
    return conclude(attempted, limits).judgement.verdict


def _counted_as(baseline: Baseline, attempt: Measurement) -> Measurement:
    """Return the attempt with its pace counted in the baseline's mix, as it is where the baseline is known before."""
    throughput = attempt.throughput
    if throughput is None or baseline.throughput is None:
        return attempt
    mix = baseline.throughput.mix
    factor = throughput.pace_in(mix) / throughput.pace
    low, high = ((end or throughput.pace) * factor for end in (throughput.pace_low, throughput.pace_high))
    counted = replace(throughput, pace=throughput.pace * factor, mix=mix, pace_low=low, pace_high=high)
    return replace(attempt, throughput=counted)


def _simple(figure: Callable[[Sequence[float]], float]) -> Rule:
    """Return the rule of a figure of the first attempt's step times."""

    def rule(attempts: Sequence[Measurement], accepted: Sequence[Measurement], tolerance: float) -> Verdict:
        limit = (1 + tolerance) * median(figure(_steps(each)) for each in accepted)
        return Verdict.REGRESSED if figure(_steps(attempts[0])) > limit else Verdict.PASSED

    return rule


def _steps(measurement: Measurement) -> Sequence[float]:
    return measurement.throughput.step_seconds if measurement.throughput else ()


RULES: Mapping[str, Rule] = {
    "the guard": guard,
    "mean step": _simple(fmean),
    "fastest window": _simple(min),
    "median window": _simple(median),
}


@dataclass(frozen=True)
class Shares:
    """What a rule said of many runs.

    Attributes:
        alarms: The share that failed.
        unsure: The share that was inconclusive.
        runs: How many were judged.
    """

    alarms: float
    unsure: float
    runs: int


def judged(measured: Mapping[Key, Sequence[Measurement]], key: Key, rule: Rule, tolerance: float) -> Shares:
    """Begin a run with every attempt and judge it against several baselines that it has no part in.

    Args:
        measured: All attempts, in the order they were taken.
        key: What to judge.
        rule: By what.
        tolerance: How much slower may pass.
    """
    case, _, _ = key
    chance = random.Random(0)
    verdicts = []
    for in_turn in _runs(measured[key]):
        others = [each for each in measured[case, QUIET, 0.0] if each not in in_turn]
        verdicts += [rule(in_turn, chance.sample(others, REPEATS), tolerance) for _ in range(BASELINES)]
    runs = len(verdicts)
    return Shares(verdicts.count(Verdict.REGRESSED) / runs, verdicts.count(Verdict.INCONCLUSIVE) / runs, runs)


def _runs(attempts: Sequence[Measurement]) -> Iterator[list[Measurement]]:
    """Yield five attempts in a row for each, the first following the last."""
    for place in range(len(attempts)):
        yield list(itertools.islice(itertools.cycle(attempts), place, place + MOST_ATTEMPTS))


def rows(measured: Mapping[Key, Sequence[Measurement]]) -> Iterator[list[str]]:
    """Yield a row for each key: what was planted and seen, what varied, what each rule said."""
    for key, attempts in sorted(measured.items()):
        case, condition, slowdown = key
        unchanged = combine(measured[case, QUIET, 0.0])
        paces, rates = paces_of(attempts, unchanged), rates_of(attempts)
        in_training = [attempt.throughput.pace for attempt in attempts if attempt.throughput]
        usual = median(paces_of(measured[case, QUIET, 0.0], unchanged))
        shares = {name: judged(measured, key, rule, DEFAULT_TOLERANCE) for name, rule in RULES.items()}
        yield [
            case,
            condition,
            f"{slowdown:.0%}",
            f"{median(paces) / usual - 1:+.1%}",
            str(len(attempts)),
            f"{fmean(_others_share(each) for each in attempts):.0%}",
            f"{stdev(rates) / fmean(rates):.1%}",
            f"{stdev(paces) / fmean(paces):.1%}",
            f"{stdev(in_training) / fmean(in_training):.1%}",
            *(f"{share.alarms:.1%}" for share in shares.values()),
            f"{shares['the guard'].unsure:.1%}",
        ]


HEAD = (
    "case",
    "machine",
    "planted",
    "median pace",
    "attempts",
    "others had of the processor",
    "images/s vary by",
    "pace varies by",
    "in the standard training alone",
    *(f"alarms: {name}" for name in RULES),
    "guard: inconclusive",
)


def named(measured: Mapping[Key, Sequence[Measurement]], key: Key) -> dict[str, float]:
    """Return how often an attempt is explained by the input pipeline alone, by it among others, by something else."""
    case, _, _ = key
    chance = random.Random(0)
    found = Counter[str]()
    for attempt in measured[key]:
        others = [each for each in measured[case, QUIET, 0.0] if each is not attempt]
        for _ in range(BASELINES):
            baseline = combine(chance.sample(others, REPEATS))
            said = explain_slowdown(baseline, _counted_as(baseline, attempt))
            slower = said.partition(" became slower")[0] if " became slower" in said else ""
            names_pipeline, names_model = "the input pipeline" in slower, "the model" in slower
            found["pipeline" if names_pipeline and not names_model else "both" if names_pipeline else "other"] += 1
    return {name: found[name] / found.total() for name in ("pipeline", "both", "other")}


def _others_share(measurement: Measurement) -> float:
    contention = measurement.throughput.contention if measurement.throughput else None
    return contention.share if contention else 0.0


def paces_of(attempts: Sequence[Measurement], baseline: Baseline) -> list[float]:
    """Return the pace of each attempt, counted as the baseline's is."""
    counted = [_counted_as(baseline, attempt).throughput for attempt in attempts]
    return [each.pace for each in counted if each]


def rates_of(attempts: Sequence[Measurement]) -> list[float]:
    """Return the images per second of each attempt."""
    return [each.throughput.images_per_second for each in attempts if each.throughput]


def curve(measured: Mapping[Key, Sequence[Measurement]], slowdown: float, rule: Rule) -> list[float]:
    """Return the share of alarms at each tolerance, over all cases and conditions."""
    keys = [key for key in measured if key[2] == slowdown]
    shares = []
    for tolerance in TOLERANCES:
        each = [judged(measured, key, rule, tolerance) for key in keys]
        shares.append(sum(share.alarms * share.runs for share in each) / sum(share.runs for share in each))
    return shares


def of_first_windows(attempt: Measurement, count: int) -> Measurement:
    """Return an attempt as it would have been had it ended after so many windows; its yardstick is the training."""
    throughput = attempt.throughput
    if throughput is None:
        return attempt
    steps, beside = throughput.step_seconds[:count], throughput.yardstick_seconds[:count]
    judged = windows_that_count(throughput.disturbances[:count], FEWEST_WINDOWS)
    paces = [steps[place] / beside[place] for place in judged]
    low, high = median_interval(paces)
    pace = median(paces)
    core_pace = throughput.core_pace and throughput.core_pace * pace / throughput.pace
    cut = replace(throughput, pace=pace, core_pace=core_pace, pace_low=low, pace_high=high, step_seconds=steps)
    return replace(attempt, throughput=cut)


def window_rows(measured: Mapping[Key, Sequence[Measurement]], case_prefix: str) -> Iterator[list[str]]:
    """Yield what the guard would have said after fewer windows, of the cases whose names begin so."""
    slowdowns = sorted({key[2] for key in measured})
    for count in WINDOWS:
        cut = {
            key: [of_first_windows(attempt, count) for attempt in attempts]
            for key, attempts in measured.items()
            if key[0].startswith(case_prefix)
        }
        shares = [curve(cut, slowdown, guard)[TOLERANCES.index(DEFAULT_TOLERANCE)] for slowdown in slowdowns]
        yield [str(count), *(f"{share:.1%}" for share in shares)]


def draw(measured: Mapping[Key, Sequence[Measurement]], path: Path) -> None:
    """Draw alarms against tolerance, a panel for each planted slowdown; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "false_alarms"
    from matplotlib import pyplot as plt

    slowdowns = sorted({key[2] for key in measured})
    figure, panels = plt.subplots(1, len(slowdowns), figsize=(4 * len(slowdowns), 3.4), sharey=True, squeeze=False)
    for panel, slowdown in zip(panels[0], slowdowns, strict=True):
        for name, rule in RULES.items():
            shares = [100 * share for share in curve(measured, slowdown, rule)]
            own = name == "the guard"
            panel.plot(
                [100 * tolerance for tolerance in TOLERANCES],
                shares,
                label=name,
                linewidth=2.5 if own else 1.2,
                marker="o" if own else None,
            )
        panel.set_title("unchanged: false alarms" if not slowdown else f"slowed down by {slowdown:.0%}: seen")
        panel.set_xlabel("tolerance in %")
        panel.set_ylim(-3, 103)
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("share of runs that fail, in %")
    panels[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
