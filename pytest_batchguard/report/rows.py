"""Results become rows of text once; the terminal, the failure and the update's summary only lay them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_batchguard.core.model import Baseline, CaseResult, Check, Verdict
from pytest_batchguard.core.quantities import LOSS_DECREASES, NOISY_QUANTITIES, QUANTITIES
from pytest_batchguard.core.units import (
    format_bytes,
    format_change,
    format_loss,
    format_percent,
    format_rate,
    format_seconds,
)

SUMMARY_HEAD = ("case", "verdict", "peak memory", "images/s", "loss")
CHECK_HEAD = ("", "measured", "baseline", "change", "limit")
UPDATE_HEAD = ("case", "peak memory", "images/s", "loss decrease")
NOTHING = "–"


@dataclass(frozen=True)
class CaseRow:
    """One line of the table at the end of the run."""

    case: str
    verdict: Verdict
    cells: tuple[str, ...]


def short_name(node_id: str) -> str:
    """Return the test's name with its case, without file and classes."""
    name, bracket, case = node_id.partition("::")[2].partition("[")
    return name.rsplit("::", 1)[-1] + bracket + case


def case_names(node_ids: Sequence[str]) -> dict[str, str]:
    """Return what each case is called: its short name where no other has it, its node id otherwise."""
    counts = Counter(map(short_name, set(node_ids)))
    return {each: short_name(each) if counts[short_name(each)] == 1 else each for each in node_ids}


def summary_row(result: CaseResult, name: str) -> CaseRow:
    """Return case, verdict, peak memory against budget, images/s with change, loss first → last."""
    measurement = result.measurement
    memory = throughput = loss = NOTHING
    if measurement and measurement.memory:
        memory = format_bytes(measurement.memory.peak_bytes)
    if result.limits.memory_budget:
        memory += f" of {format_bytes(result.limits.memory_budget)}"
    if measurement and measurement.throughput:
        throughput = format_rate(measurement.throughput.images_per_second).removesuffix(" images/s")
        change = speed_change(result)
        throughput += f" ({change})" if change else ""
    if measurement and measurement.loss:
        loss = f"{format_loss(measurement.loss.first)} → {format_loss(measurement.loss.last)}"
    verdict = "recorded" if result.recorded else result.judgement.verdict.value
    cells = (name, verdict, memory, throughput, loss)
    return CaseRow(result.node_id, result.judgement.verdict, cells)


def speed_change(result: CaseResult) -> str:
    """Return how much faster than the baseline, in pace, so that the machine's drift is out; empty without one."""
    check = next((check for check in result.judgement.checks if check.quantity == "pace"), None)
    if check is None or check.baseline is None:
        return ""
    return format_change(check.baseline / check.measured)


def check_rows(checks: Sequence[Check]) -> list[tuple[str, ...]]:
    """Return a row a check: metric, measured, baseline, change, limit."""
    rows: list[tuple[str, ...]] = []
    for check in checks:
        quantity = QUANTITIES[check.quantity]
        baseline = change = NOTHING
        signs = "<>" if check.excludes_its_limit else "≤≥"
        limit = f"{signs[0] if quantity.lower_is_better else signs[1]} {quantity.format(check.limit)}"
        if check.baseline is not None:
            baseline = quantity.format(check.baseline)
            change = format_change(check.measured / check.baseline) if check.baseline > 0 else NOTHING
            sign = "+" if quantity.lower_is_better else "−"
            limit += f" ({sign}{format_percent(check.allowance or 0.0)})"
        rows.append((quantity.label, quantity.format(check.measured), baseline, change, limit))
    return rows


def throughput_row(result: CaseResult) -> tuple[str, ...] | None:
    """Return images per second beside the baseline's, as a reader's bridge to the pace."""
    measurement = result.measurement
    if not measurement or not measurement.throughput:
        return None
    accepted = result.baseline.throughput if result.baseline else None
    rate = measurement.throughput.images_per_second
    if accepted is None:
        return ("throughput", format_rate(rate), NOTHING, NOTHING, NOTHING)
    change = format_change(rate / accepted.images_per_second)
    return ("throughput", format_rate(rate), format_rate(accepted.images_per_second), change, "judged by pace")


def time_line(result: CaseResult) -> str:
    """Return where the time of a step goes, or an empty text."""
    breakdown = result.measurement.breakdown if result.measurement else None
    if breakdown is None:
        return ""
    pipeline = (
        "" if breakdown.pipeline_seconds is None else f"pipeline alone {format_seconds(breakdown.pipeline_seconds)}, "
    )
    return (
        f"a step takes {format_seconds(breakdown.step_seconds)}: {pipeline}"
        f"model alone {format_seconds(breakdown.model_seconds)}"
    )


def attempt_lines(result: CaseResult) -> list[str]:
    """Return what every attempt measured, where there was more than one; of the loss only if one breached its limit."""
    if len(result.attempts) < 2:  # noqa: PLR2004 -- one attempt is the figure itself
        return []
    lines = []
    breached = {check.quantity for attempt in result.attempts for check in attempt.breaches}
    of_interest = NOISY_QUANTITIES - (LOSS_DECREASES - breached)
    for number, attempt in enumerate(result.attempts, 1):
        shown = [
            f"{QUANTITIES[check.quantity].label} {QUANTITIES[check.quantity].format(check.measured)}"
            for check in attempt.checks
            if check.quantity in of_interest
        ]
        lines.append(", ".join([f"attempt {number}: {attempt.verdict.value}", *dict.fromkeys(shown)]))
    return lines


def update_row(name: str, old: Baseline | None, new: Baseline) -> tuple[str, ...]:
    """Return old → new of one recorded case."""

    def memory(baseline: Baseline) -> str:
        return format_bytes(baseline.memory.peak_bytes) if baseline.memory else NOTHING

    def throughput(baseline: Baseline) -> str:
        if not baseline.throughput:
            return NOTHING
        return format_rate(baseline.throughput.images_per_second).removesuffix(" images/s")

    def decrease(baseline: Baseline) -> str:
        return format_percent(baseline.loss.decrease) if baseline.loss else NOTHING

    cells = [show(new) if old is None else f"{show(old)} → {show(new)}" for show in (memory, throughput, decrease)]
    return (name, *cells)
