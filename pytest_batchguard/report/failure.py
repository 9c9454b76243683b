"""The message of a failed case: what was breached in a short table, and underneath what changed."""

from __future__ import annotations

import re
import textwrap

from pytest_batchguard.core.model import CaseResult
from pytest_batchguard.report import rows
from pytest_batchguard.report.layout import columns

_OUTPUT_LINES = 8
_MACHINERY = re.compile(
    r'^Extension modules: |^  File "(?:<frozen |.*/(?:site-packages|pytest_batchguard|lib/python3\.\d+)/)'
)
"""What Python's fault handler tells of frames that are not the project's."""


def headline(result: CaseResult) -> str:
    """Return the failure in one line, for pytest's short summary."""
    return f"{result.judgement.verdict.value}: {result.judgement.reason}"


def failure_text(result: CaseResult, width: int = 80) -> str:
    """Return the whole message.

    Args:
        result: Of a case that fails.
        width: Characters a line may have.
    """
    judgement = result.judgement
    blocks = [textwrap.wrap(headline(result), width)]
    if judgement.breaches:
        table = rows.check_rows(judgement.breaches)
        bridge = rows.throughput_row(result)
        if bridge and any(check.quantity == "pace" for check in judgement.breaches):
            table.append(bridge)
        blocks.append(columns(rows.CHECK_HEAD, table, width))
    blocks.append(_list("", rows.attempt_lines(result), width))
    blocks.append(_list("changed since the baseline: ", list(judgement.changes), width))
    is_compared = result.baseline is not None and any(check.baseline is not None for check in judgement.breaches)
    if is_compared and not judgement.changes:
        blocks.append(["nothing that is recorded changed since the baseline"])
    blocks.append(_list("", [line for line in (rows.time_line(result),) if line], width))
    blocks.append(_list("note: ", list(judgement.notes), width))
    words = [line for line in result.output.strip().splitlines() if not _MACHINERY.search(line)][-_OUTPUT_LINES:]
    if words:
        blocks.append(["the process's last words:", *(f"  {line[: width - 2]}" for line in words)])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _list(prefix: str, phrases: list[str], width: int) -> list[str]:
    return [line for phrase in phrases for line in textwrap.wrap(prefix + phrase, width, subsequent_indent="  ")]
