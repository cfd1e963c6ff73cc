"""The table at the end of the demo: plain text that a person can read and a log can keep."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of the table; cells longer than ``width`` are wrapped."""

    title: str
    width: int
    number: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """Draw the table; a row of one empty cell draws a line between groups."""
    widths = [
        min(
            c.width,
            max([len(c.title), *(len(line) for r in rows if len(r) > i for line in r[i].split("\n"))]),
        )
        for i, c in enumerate(columns)
    ]
    lines = [_rule(widths, "┌┬┐"), *_row([c.title for c in columns], widths, columns), _rule(widths, "├┼┤")]
    for row in rows:
        lines += _row(row, widths, columns) if any(row) else [_rule(widths, "├┼┤")]
    return "\n".join([*lines, _rule(widths, "└┴┘")])


def _rule(widths: Sequence[int], ends: str) -> str:
    return ends[0] + ends[1].join("─" * (w + 2) for w in widths) + ends[2]


def _row(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> list[str]:
    wrapped = [
        [part for line in cell.split("\n") for part in (textwrap.wrap(line, width) or [""])]
        for cell, width in zip(cells, widths, strict=True)
    ]
    height = max(len(lines) for lines in wrapped)
    drawn = []
    for i in range(height):
        parts = [
            (lines[i] if i < len(lines) else "").rjust(width)
            if column.number
            else (lines[i] if i < len(lines) else "").ljust(width)
            for lines, width, column in zip(wrapped, widths, columns, strict=True)
        ]
        drawn.append("│ " + " │ ".join(parts) + " │")
    return drawn


def number(value: int) -> str:
    """Digits in groups of three."""
    return f"{value:,}"
