"""What the run says at its end: one table, then what a reader must not miss."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_batchguard.core.model import Baseline, CaseResult, Verdict
from pytest_batchguard.report import rows
from pytest_batchguard.report.layout import columns


def summary_lines(results: Sequence[CaseResult], width: int) -> list[str]:
    """Return the table and the notes of the cases that did not fail; failures speak for themselves."""
    lines = columns(rows.SUMMARY_HEAD, [rows.summary_row(result).cells for result in results], width)
    for result in results:
        name = rows.short_name(result.node_id)
        if not result.judgement.verdict.fails:
            lines += [f"{name}: {note}" for note in result.judgement.notes]
        if result.judgement.verdict is Verdict.INCONCLUSIVE:
            lines.append(f"{name}: INCONCLUSIVE: {result.judgement.reason}")
        if len(result.attempts) > 1 and not result.judgement.verdict.fails:
            lines += [f"{name}: {line}" for line in rows.attempt_lines(result)]
    return lines


def without_baseline_lines(results: Sequence[CaseResult], file: str) -> list[str]:
    """Return the loud word on cases that were compared with nothing, or nothing."""
    missing = [result for result in results if result.judgement.verdict is Verdict.NO_BASELINE and not result.recorded]
    if not missing:
        return []
    cases = "1 case was" if len(missing) == 1 else f"{len(missing)} cases were"
    return [
        f"NOTHING WAS COMPARED: {cases} trained, but have no baseline in {file}",
        "fit and loss were judged; to record memory, throughput and loss: pytest --batchguard-update-new",
    ]


def update_lines(
    changes: Sequence[tuple[str, Baseline | None, Baseline]], dropped: Sequence[str], file: str, width: int
) -> list[str]:
    """Return old → new of what an update wrote."""
    lines = []
    if changes:
        table = [rows.update_row(*change) for change in changes]
        lines += [f"wrote {file}", *columns(rows.UPDATE_HEAD, table, width)]
    lines += [f"dropped {node_id}: no such case" for node_id in dropped]
    return lines
