"""Judges measured attempts by the guard's rules and, beside it, by what others gate on; for false_alarms.py."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev, variance

from pytest_batchguard.core.attempts import FEWEST_TO_FAIL, Attempted, conclude, wants_another_attempt
from pytest_batchguard.core.explain import explain_slowdown
from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Baseline, Limits, Measurement, Verdict
from pytest_batchguard.core.noise import SLOW_HANDOFF, hands_over_slowly, usual_of
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


@dataclass(frozen=True)
class Visit:
    """One case, measured in fresh processes one after the other.

    Attributes:
        block: When, as a number that grows.
        attempts: What the processes yielded.
    """

    block: int
    attempts: tuple[Measurement, ...]


Visits = Mapping[Key, Sequence[Visit]]
"""In the order of their blocks."""

Rule = Callable[[Sequence[Measurement], Sequence[Measurement], float], Verdict]


def baselines_before(known: Visits, case: str, block: int) -> list[list[Measurement]]:
    """Return what up to `BASELINES` baselines are made of: first attempts of quiet visits in a row before a block."""
    firsts = [visit.attempts[0] for visit in known.get((case, QUIET, 0.0), ()) if visit.block < block]
    rounds = [firsts[start : start + REPEATS] for start in range(len(firsts) - REPEATS + 1)]
    return rounds[-BASELINES:]


def wants_another(attempts: Sequence[Measurement], baselines: Sequence[Sequence[Measurement]]) -> bool:
    """Return whether the guard would measure a case once more against any of the baselines.

    Where it wants a second attempt there is a third, so that rules which ask for three can be compared.
    """
    if len(attempts) in {0, 2}:
        return True
    limits = Limits(throughput_tolerance=DEFAULT_TOLERANCE)
    return any(wants_another_attempt(_attempted(attempts, combine(each), limits), limits) for each in baselines)


def guard(attempts: Sequence[Measurement], accepted: Sequence[Measurement], tolerance: float) -> Verdict:
    """Return what the guard says of these attempts, as many as it asks for, against a baseline of `accepted`."""
    limits = Limits(throughput_tolerance=tolerance)
    attempted = _attempted(attempts, combine(accepted), limits)
    enough = next((n for n in range(1, len(attempted)) if not wants_another_attempt(attempted[:n], limits)), None)
    return conclude(attempted[:enough], limits).judgement.verdict


def blind_guard(attempts: Sequence[Measurement], accepted: Sequence[Measurement], tolerance: float) -> Verdict:
    """Return what the guard would say if it knew of no attempt or baseline how fast threads woke one another."""
    return guard(list(map(_without_handoff, attempts)), list(map(_without_handoff, accepted)), tolerance)


def _without_handoff(attempt: Measurement) -> Measurement:
    throughput = attempt.throughput
    return attempt if throughput is None else replace(attempt, throughput=replace(throughput, handoff_seconds=None))


def _attempted(attempts: Sequence[Measurement], baseline: Baseline, limits: Limits) -> list[Attempted]:
    counted = [_counted_as(baseline, attempt) for attempt in attempts]
    return [Attempted(each, baseline, judge(each, baseline, limits)) for each in counted]


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
    "the guard, blind to wake-ups": blind_guard,
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


def judged(known: Visits, key: Key, rule: Rule, tolerance: float) -> Shares:
    """Judge every visit against the baselines that were made before it.

    Args:
        known: All visits.
        key: What to judge.
        rule: By what.
        tolerance: How much slower may pass.
    """
    verdicts = [
        rule(visit.attempts, accepted, tolerance)
        for visit in known[key]
        for accepted in baselines_before(known, key[0], visit.block)
    ]
    runs = len(verdicts)
    if not runs:
        return Shares(math.nan, math.nan, 0)
    return Shares(verdicts.count(Verdict.REGRESSED) / runs, verdicts.count(Verdict.INCONCLUSIVE) / runs, runs)


def attempts_in(known: Visits) -> int:
    """Return how often a case was measured."""
    return sum(len(visit.attempts) for each in known.values() for visit in each)


def slowdowns(known: Visits) -> list[float]:
    """Return what was planted, nothing first."""
    return sorted({key[2] for key in known})


def rows(known: Visits) -> Iterator[list[str]]:
    """Yield a row for each key: what was planted and seen, what varied, what each rule said."""
    for key, visits in sorted(known.items()):
        case, condition, slowdown = key
        quiet = firsts_of(known[case, QUIET, 0.0])
        unchanged = combine(quiet)
        firsts = firsts_of(visits)
        paces, rates = paces_of(firsts, unchanged), rates_of(firsts)
        in_training = [attempt.throughput.pace for attempt in firsts if attempt.throughput]
        usual = median(paces_of(quiet, unchanged))
        shares = {name: judged(known, key, rule, DEFAULT_TOLERANCE) for name, rule in RULES.items()}
        yield [
            case,
            condition,
            f"{slowdown:.0%}",
            f"{median(paces) / usual - 1:+.1%}",
            str(len(visits)),
            f"{fmean(len(visit.attempts) for visit in visits):.1f}",
            f"{fmean(_others_share(each) for each in firsts):.0%}",
            *(_variation(values) for values in (rates, paces, in_training)),
            *(percent(share.alarms) for share in shares.values()),
            percent(shares["the guard"].unsure),
        ]


def apart_rows(known: Visits) -> Iterator[list[str]]:
    """Yield how far apart attempts in a row and visits are, of the planted cases: these are measured three times each.

    Source: one-way analysis of variance; the visits' own share is what is left of the variance of their means.
    """
    for key, visits in sorted(known.items()):
        several = [visit.attempts[:FEWEST_TO_FAIL] for visit in visits if len(visit.attempts) >= FEWEST_TO_FAIL]
        if not key[2] or len(several) < FEWEST_TO_FAIL:
            continue
        unchanged = combine(firsts_of(known[key[0], QUIET, 0.0]))
        logs = [[math.log(pace) for pace in paces_of(attempts, unchanged)] for attempts in several]
        within = fmean(variance(each) for each in logs)
        between = variance(fmean(each) for each in logs) - within / FEWEST_TO_FAIL
        shown = [f"{math.sqrt(max(0.0, each)):.1%}" for each in (within, between)]
        yield [key[0], key[1], f"{key[2]:.0%}", str(len(several)), *shown]


def state_rows(known: Visits) -> Iterator[list[str]]:
    """Yield the paces of each unchanged case, by how fast threads woke one another beside it.

    The usual wake-up is the quiet machine's.
    """
    for key, visits in sorted(known.items()):
        case, condition, slowdown = key
        if slowdown:
            continue
        quiet = known[case, QUIET, 0.0]
        unchanged = combine(firsts_of(quiet))
        usual = usual_of(each.throughput.handoff_seconds for each in _attempts_of(quiet) if each.throughput)
        attempts = _attempts_of(visits)
        slow = [each for each in attempts if each.throughput and hands_over_slowly(each.throughput, usual)]
        others = [each for each in attempts if each not in slow]
        longest = max((each.throughput.handoff_seconds or 0.0 for each in slow if each.throughput), default=0.0)
        shown = [f"{median(paces):.3g}" if (paces := paces_of(each, unchanged)) else "" for each in (others, slow)]
        wakeups = [_microseconds(usual), _microseconds(longest)]
        yield [case, condition, wakeups[0], str(len(others)), shown[0], str(len(slow)), wakeups[1], shown[1]]


def _attempts_of(visits: Sequence[Visit]) -> list[Measurement]:
    return [attempt for visit in visits for attempt in visit.attempts]


def _microseconds(seconds: float | None) -> str:
    return f"{1e6 * seconds:.1f} µs" if seconds else ""


STATE_HEAD = (
    "case",
    "machine",
    "usual wake-up",
    "attempts",
    "median pace",
    f"attempts {SLOW_HANDOFF:.0%} slower",
    "up to",
    "median pace",
)

APART_HEAD = ("case", "machine", "planted", "visits", "within a visit", "between visits")

HEAD = (
    "case",
    "machine",
    "planted",
    "median pace",
    "visits",
    "attempts at each",
    "others had of the processor",
    "images/s vary by",
    "pace varies by",
    "in the standard training alone",
    *(f"alarms: {name}" for name in RULES),
    "guard: inconclusive",
)


def named(known: Visits, key: Key) -> dict[str, float]:
    """Return how often a visit is explained by the input pipeline alone, by it among others, by something else."""
    found = Counter[str]()
    for visit in known[key]:
        for accepted in baselines_before(known, key[0], visit.block):
            baseline = combine(accepted)
            said = explain_slowdown(baseline, _counted_as(baseline, visit.attempts[0]))
            slower = said.partition(" became slower")[0] if " became slower" in said else ""
            names_pipeline, names_model = "the input pipeline" in slower, "the model" in slower
            found["pipeline" if names_pipeline and not names_model else "both" if names_pipeline else "other"] += 1
    return {name: found[name] / max(1, found.total()) for name in ("pipeline", "both", "other")}


def firsts_of(visits: Sequence[Visit]) -> list[Measurement]:
    """Return the first attempt of each."""
    return [visit.attempts[0] for visit in visits]


def percent(share: float) -> str:
    """Format a share; nothing where it is not known."""
    return "" if math.isnan(share) else f"{share:.1%}"


def _variation(values: Sequence[float]) -> str:
    return f"{stdev(values) / fmean(values):.1%}" if len(values) > 1 else ""


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


def curve(known: Visits, slowdown: float, rule: Rule) -> list[float]:
    """Return the share of alarms at each tolerance, over cases and conditions; not a number where none is judged."""
    keys = [key for key in known if key[2] == slowdown]
    shares = []
    for tolerance in TOLERANCES:
        each = [share for key in keys if (share := judged(known, key, rule, tolerance)).runs]
        runs = sum(share.runs for share in each)
        shares.append(sum(share.alarms * share.runs for share in each) / runs if runs else math.nan)
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


def window_rows(known: Visits, case_prefix: str) -> Iterator[list[str]]:
    """Yield what the guard would have said after fewer windows, of the cases whose names begin so."""
    for count in WINDOWS:
        cut = {
            key: [
                replace(visit, attempts=tuple(of_first_windows(each, count) for each in visit.attempts))
                for visit in visits
            ]
            for key, visits in known.items()
            if key[0].startswith(case_prefix)
        }
        at = TOLERANCES.index(DEFAULT_TOLERANCE)
        yield [str(count), *(percent(curve(cut, slowdown, guard)[at]) for slowdown in slowdowns(known))]


def draw(known: Visits, path: Path) -> None:
    """Draw alarms against tolerance, a panel for each planted slowdown; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "false_alarms"
    from matplotlib import pyplot as plt

    planted = slowdowns(known)
    figure, panels = plt.subplots(1, len(planted), figsize=(4 * len(planted), 3.4), sharey=True, squeeze=False)
    for panel, slowdown in zip(panels[0], planted, strict=True):
        for name, rule in RULES.items():
            shares = [100 * share for share in curve(known, slowdown, rule)]
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
