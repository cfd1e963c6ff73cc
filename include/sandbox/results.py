"""What the engine says it did, read from the ledger with plain SQL, for each promise and store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

PLANS = """
SELECT p.id, p.store, p.action, p.rule, p.state, p.reason, p.body, p.saved_at, r.kind, r.dry_run,
       (SELECT jsonb_agg(o.body) FROM ledger.outcome o WHERE o.plan_id = p.id) AS outcomes,
       (SELECT b.body FROM ledger.probe b WHERE b.plan_id = p.id AND b.done_at IS NOT NULL
         ORDER BY b.done_at LIMIT 1) AS probe,
       (SELECT min(b.due_at) FROM ledger.probe b WHERE b.plan_id = p.id AND b.done_at IS NULL) AS next_probe
  FROM ledger.plan p JOIN ledger.run r ON r.id = p.run_id
 WHERE NOT r.dry_run AND p.cohort_id IS NOT DISTINCT FROM p.cohort_id
 ORDER BY p.saved_at
"""


@dataclass
class Line:
    """One line of the table: everything done to one store for one reason."""

    why: str
    store: str
    due: int = 0
    people: int = 0
    removed: int = 0
    anonymised: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    held: int = 0
    blocked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    probed: int = 0
    remaining: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True)
class Request:
    """A person's request as the ledger knows it; nothing personal."""

    id: UUID
    external_id: str
    state: str
    due: str
    residual_until: str
    seconds: float


def read_lines(ledger_dsn: str) -> list[Line]:
    """The lines in the order in which they were planned; plans that did nothing are left out."""
    lines: dict[tuple[str, str], Line] = {}
    with psycopg.connect(ledger_dsn, row_factory=dict_row) as conn:
        for plan in conn.execute(PLANS).fetchall():
            if plan["outcomes"] is None and plan["state"] == "planned":
                continue
            key = (plan["rule"] or plan["kind"], plan["store"])
            _add(lines.setdefault(key, Line(*key)), plan)
    return list(lines.values())


def _add(line: Line, plan: dict[str, Any]) -> None:
    body = plan["body"]
    line.due += body["matched"]
    line.people += body["subjects"]
    line.states.add(plan["state"])
    line.notes += [note for note in body["notes"] if note not in line.notes]
    for outcome in plan["outcomes"] or []:
        line.removed += sum(outcome["removed"].values())
        line.anonymised += sum(outcome["anonymised"].values())
        line.kept |= outcome["kept"]
        line.held += outcome["held_subjects"]
        line.blocked += [b for b in outcome["blocked"] if b not in line.blocked]
        line.seconds += outcome["seconds"]
        line.longest = max(line.longest, outcome["longest_transaction_s"])
    if plan["probe"] is not None:
        line.probed += plan["probe"].get("checked_subjects", 0)
        line.remaining += sum(plan["probe"].get("remaining", {}).values())


def read_requests(ledger_dsn: str) -> list[Request]:
    """Every request, the first received first."""
    with psycopg.connect(ledger_dsn) as conn:
        return [
            Request(
                row[0],
                row[1],
                row[2],
                f"{row[3]:%Y-%m-%d}",
                f"{row[4]:%Y-%m-%d}" if row[4] else "",
                row[5] or 0.0,
            )
            for row in conn.execute(
                "SELECT id, external_id, state, due_at, residual_until,"
                " extract(epoch FROM closed_at - received_at)::float FROM ledger.request ORDER BY received_at"
            )
        ]


def open_breaches(ledger_dsn: str) -> int:
    """Breaches of a limit that are not resolved."""
    with psycopg.connect(ledger_dsn) as conn:
        row = conn.execute("SELECT count(*) FROM ledger.breach WHERE resolved_at IS NULL").fetchone()
        return int(row[0]) if row else 0
