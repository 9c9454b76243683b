"""What the clock says to a pace: whether the images per second confirm it.

On a CPU they need not: training and yardstick become slower and faster together. An upgrade may alter the yardstick
alone. Beside a GPU so does the host, which launches the yardstick's small kernels while a larger training keeps the
card at work: what is slower by one of the two only is not known to be slower. See docs/gpu.md for what was measured.
"""

from __future__ import annotations

from pytest_batchguard.core.explain import changes_of_the_yardstick
from pytest_batchguard.core.figures import ThroughputFigures
from pytest_batchguard.core.model import Baseline, Limits, Measurement
from pytest_batchguard.core.noise import tolerated
from pytest_batchguard.core.units import format_percent


def faster_yardstick(measurement: Measurement, baseline: Baseline, limits: Limits) -> str:
    """Return what may have made a faster yardstick of a slower pace; empty where nothing may, or the clock confirms it.

    Args:
        measurement: Its pace is slower than the baseline's.
        baseline: What it is held against.
        limits: The policy.
    """
    measured, accepted = measurement.throughput, baseline.throughput
    if measured is None or accepted is None:
        return ""
    if _rate(measured, accepted) <= 1 / (1 + tolerated(limits.throughput_tolerance, accepted)):
        return ""
    upgrades = ", ".join(changes_of_the_yardstick(baseline, measurement))
    if upgrades:
        return f"the yardstick itself may have become faster ({upgrades})"
    if not _follows_the_host(measurement, accepted):
        return ""
    gain = _rate(measured, accepted) * measured.pace / accepted.pace
    return f"the yardstick became {format_percent(gain - 1)} faster, as it does beside a faster host"


def slower_yardstick(measurement: Measurement, baseline: Baseline, limits: Limits) -> str:
    """Return a note where a slower yardstick beside a GPU may hide a slowdown: the pace keeps its limit, the clock not.

    Args:
        measurement: What was measured.
        baseline: What it is held against.
        limits: The policy.
    """
    measured, accepted = measurement.throughput, baseline.throughput
    if measured is None or accepted is None or not _follows_the_host(measurement, accepted):
        return ""
    most = 1 + tolerated(limits.throughput_tolerance, accepted)
    rate = _rate(measured, accepted)
    if rate >= 1 / most or measured.pace > accepted.pace * most:
        return ""
    return (
        f"images per second are {format_percent(1 - rate)} fewer than the baseline's, which the pace does not confirm: "
        "the yardstick became slower as well, as it does beside a slower host"
    )


def denies_improvement(measurement: Measurement, accepted: ThroughputFigures, limits: Limits) -> bool:
    """Return whether a better pace beside a GPU may be a slower yardstick: the images per second are not as many more.

    Args:
        measurement: Its pace is better than the baseline's.
        accepted: The baseline's figures.
        limits: The policy.
    """
    measured = measurement.throughput
    if measured is None or not _follows_the_host(measurement, accepted):
        return False
    return _rate(measured, accepted) * (1 - tolerated(limits.throughput_tolerance, accepted)) <= 1


def _rate(measured: ThroughputFigures, accepted: ThroughputFigures) -> float:
    return measured.images_per_second / accepted.images_per_second


def _follows_the_host(measurement: Measurement, accepted: ThroughputFigures) -> bool:
    """Return whether both were counted in a training beside a GPU, and not in the base of a comparison in turn."""
    is_same = measurement.throughput is not None and measurement.throughput.yardstick == accepted.yardstick
    return is_same and measurement.provenance.host is not None and bool(accepted.runs)
