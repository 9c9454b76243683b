"""Lay rows out in columns for a terminal of some width."""

from __future__ import annotations

from collections.abc import Sequence

_GAP = 2


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return lines with aligned columns; rows too wide for `width` put their first cell on a line of its own.

    Args:
        head: The columns' names.
        rows: As many cells each as the head.
        width: Characters a line may have.
    """
    table = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    if sum(widths) + _GAP * (len(widths) - 1) <= width:
        return [_line(row, widths) for row in table]
    lines = ["  " + _line(head[1:], widths[1:])]
    for row in rows:
        lines += [row[0], "  " + _line(row[1:], widths[1:])]
    return lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * _GAP).join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
