"""What the demo says at its end: plain text that a person can read and a log can keep."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.sandbox.airflow import Airflow
from include.sandbox.results import Line, Request
from include.sandbox.verify import Check

WHY = {
    "erasure_requests": "requests for erasure",
    "snapshots_rds": "snapshots of RDS",
    "snapshots_cloud_sql": "backups of Cloud SQL",
}


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


def what_was_asked(requests: Sequence[Request], stories: Mapping[str, str]) -> str:
    """Every request: what the person did, when an answer is due, what became of it, who was told."""
    columns = [
        Column("What somebody did", 34), Column("Received", 10), Column("Due", 10), Column("Result", 30),
        Column("Stores and processors", 44), Column("Letters sent", 24), Column("s", 5, number=True),
    ]  # fmt: skip
    rows = []
    for r in requests:
        result = r.state.replace("_", " ") + (f": {r.reason}" if r.reason else "")
        if r.residual_until:
            result += f"; backups until {r.residual_until}"
        story = stories.get(r.external_id, f"the drill: {r.right}")
        rows.append(
            [story, r.received, r.due, result, r.recipients or "–", r.letters or "–", f"{r.seconds:.0f}"]
        )
    return "\n".join(["\nWhat people asked for (from the ledger)", table(columns, rows)])


def what_was_done(lines: Sequence[Line]) -> str:
    """Per promise and store, as the ledger has it."""
    columns = [
        Column("Promise", 7), Column("Rule or request", 27), Column("Store", 12),
        Column("Due", 13, number=True), Column("Removed", 9, number=True),
        Column("Anonym.", 8, number=True), Column("Kept, and why", 38), Column("Probed", 14),
        Column("Overdue", 14), Column("s", 5, number=True),
    ]  # fmt: skip
    done = table(columns, [_cells(line) for line in lines])
    return "\n".join(["\nWhat the engine did (from the ledger)", done])


def what_was_found(checks: Sequence[Check]) -> str:
    """Every statement about the stores, and whether it holds."""
    columns = [Column("", 1), Column("Promise", 9), Column("Statement", 78), Column("Found instead", 40)]
    rows = [["✓" if c.ok else "✗", c.promise, c.statement, "" if c.ok else c.detail or "no"] for c in checks]
    failed = sum(not c.ok for c in checks)
    verdict = f"{failed} of {len(checks)} statements do not hold." if failed else "Everything is as promised."
    return "\n".join(["\nWhat the stores say (asked without the engine)", table(columns, rows), verdict])


def where_to_look(airflow: Airflow, mailbox: str) -> str:
    """Addresses, login and commands."""
    ledger = "source .sandbox/env; psql ledger -c 'TABLE ledger.evidence'"
    return "\n".join(
        (
            "\nWhere to look",
            f"  Airflow   {airflow.url}   login: {airflow.user} / {airflow.password}",
            f"  Ledger    {ledger}",
            f"  Mailbox   {mailbox}   every letter that was sent; also .sandbox/mailbox/*.eml",
            "  Shell     source .sandbox/env; then airflow, psql and boto3 talk to this world",
            "  Logs      .sandbox/logs and .sandbox/airflow/logs",
            "  Stop      make stop",
        )
    )


def _cells(line: Line) -> list[str]:
    due = f"{line.due:,} {_unit(line)}" if line.action else "–"
    if line.people:
        due = f"{line.people:,} {'person' if line.people == 1 else 'people'}\n{due}"
    kept = [f"{name}: {why}" for name, why in line.kept.items()]
    kept += [f"{line.held} on legal hold"] if line.held else []
    kept += line.blocked + line.notes
    probed = f"still found: {line.remaining:,}" if line.remaining else "absent" if line.probed else "–"
    done = [f"{line.removed:,}", f"{line.anonymised:,}"] if line.action else ["–", "–"]
    return [
        line.promise or "P6.3", WHY.get(line.why, line.why), line.store, due, *done,
        "\n".join(kept) or "–", probed, line.overdue, f"{line.seconds:.1f}" if line.action else "–",
    ]  # fmt: skip


def _unit(line: Line) -> str:
    if line.action == "expire_objects" and not line.bucket:
        return "snapshots"
    return "objects" if line.bucket else "rows"
