"""What the run says at its end: one table, then what a reader must not miss."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pytest_batchguard.core.model import Baseline, CaseResult, Verdict
from pytest_batchguard.core.noise import tolerated, tolerated_memory
from pytest_batchguard.core.units import format_percent
from pytest_batchguard.report import rows
from pytest_batchguard.report.layout import columns


def summary_lines(results: Sequence[CaseResult], width: int) -> list[str]:
    """Return the table and the notes of the cases that did not fail; failures speak for themselves."""
    names = _names(results)
    table = [rows.summary_row(result, names[result.node_id]).cells for result in results]
    lines = columns(rows.SUMMARY_HEAD, table, width)
    for result in results:
        remarks = _remarks(result)
        if remarks:
            lines.append(f"{names[result.node_id]}:")
        for remark in remarks:
            lines += textwrap.wrap(remark, width, initial_indent="  ", subsequent_indent="    ")
    return lines


def _names(results: Sequence[CaseResult]) -> dict[str, str]:
    return rows.case_names([result.node_id for result in results])


def _remarks(result: CaseResult) -> list[str]:
    if result.judgement.verdict.fails:
        return []
    remarks = list(result.judgement.notes)
    if result.judgement.verdict is Verdict.INCONCLUSIVE:
        remarks.insert(0, f"INCONCLUSIVE: {result.judgement.reason}")
    if any(attempt.breaches for attempt in result.attempts):
        remarks += rows.attempt_lines(result)
    return remarks


def tolerance_lines(results: Sequence[CaseResult], width: int) -> list[str]:
    """Return by how much each case's pace may be slower than the baseline, the commonest tolerance first."""
    names = _names(results)
    cases: dict[str, list[str]] = {}
    for result in results:
        baseline = result.recorded or result.baseline
        if baseline is not None and baseline.throughput is not None:
            allowance = tolerated(result.limits.throughput_tolerance, baseline.throughput)
            why = "" if allowance == result.limits.throughput_tolerance else ", for the noise of its baseline"
            cases.setdefault(f"{format_percent(allowance)}{why}", []).append(names[result.node_id])
    if not cases:
        return []
    usual, *others = sorted(cases, key=lambda tolerance: -len(cases[tolerance]))
    phrases = [f"throughput tolerance: {usual}", *(f"{', '.join(cases[each])}: {each}" for each in others)]
    return textwrap.wrap("; ".join(phrases), width, subsequent_indent="  ")


def memory_tolerance_lines(results: Sequence[CaseResult], width: int) -> list[str]:
    """Return which cases' peaks may grow by more than was asked, as their baseline's own processes differ by that."""
    names = _names(results)
    wider = []
    for result in results:
        accepted = (result.recorded or result.baseline or Baseline()).memory
        asked = result.limits.memory_tolerance
        if accepted is not None and (allowance := tolerated_memory(asked, accepted)) > asked:
            wider.append(
                f"{names[result.node_id]}: {format_percent(allowance)}, by which its baseline's processes differ"
            )
    if not wider:
        return []
    return textwrap.wrap(f"memory tolerance: {'; '.join(wider)}", width, subsequent_indent="  ")


def without_baseline_lines(results: Sequence[CaseResult], file: str) -> list[str]:
    """Return the loud word on cases that were compared with nothing, or nothing."""
    missing = [result for result in results if result.judgement.verdict is Verdict.NO_BASELINE and not result.recorded]
    if not missing:
        return []
    cases = "1 case was" if len(missing) == 1 else f"{len(missing)} cases were"
    what = "NOTHING WAS COMPARED" if len(missing) == len(results) else f"NOT COMPARED, {len(missing)} OF {len(results)}"
    return [
        f"{what}: {cases} trained, but there is no baseline in",
        f"  {file}",
        "Fit and loss were judged; to record the rest: pytest --batchguard-update-new",
    ]


def without_base_lines(results: Sequence[CaseResult], gone: Sequence[str], width: int) -> list[str]:
    """Return the loud word on cases that stand on one side of a comparison only, or whose base did not run."""
    names = _names(results)
    cases: dict[str, list[str]] = {}
    for result in results:
        if result.judgement.verdict is Verdict.NO_BASELINE:
            reason = result.judgement.reason.partition(": ")[2]
            cases.setdefault(reason, []).append(names[result.node_id])
    if gone:
        cases["only the base has"] = list(gone)
    return [
        line
        for reason, names in cases.items()
        for line in textwrap.wrap(f"NOT COMPARED: {reason}: {', '.join(names)}", width, subsequent_indent="  ")
    ]


def update_lines(
    changes: Sequence[tuple[str, Baseline | None, Baseline]], dropped: Sequence[str], file: str, width: int
) -> list[str]:
    """Return old → new of what an update wrote."""
    if not changes and not dropped:
        return []
    lines = [f"wrote {file}"]
    if changes:
        names = rows.case_names([node_id for node_id, _, _ in changes])
        table = [rows.update_row(names[node_id], old, new) for node_id, old, new in changes]
        lines += columns(rows.UPDATE_HEAD, table, width)
    lines += [f"dropped {node_id}: no such case" for node_id in dropped]
    return lines
