"""What the engine says it did, read from the ledger with plain SQL, for each promise and store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

PLANS = """
SELECT p.store, p.action, p.rule, p.state, p.body, r.kind,
       (SELECT jsonb_agg(o.body) FROM ledger.outcome o WHERE o.plan_id = p.id) AS outcomes,
       (SELECT b.body FROM ledger.probe b WHERE b.plan_id = p.id AND b.done_at IS NOT NULL
         ORDER BY b.done_at LIMIT 1) AS probe
  FROM ledger.plan p JOIN ledger.run r ON r.id = p.run_id
 WHERE NOT r.dry_run
 ORDER BY p.saved_at
"""
# What each rule's last run reported, whoever planned it.
RULES = """
SELECT DISTINCT ON (rule.key) rule.key, rule.value
  FROM ledger.run r, jsonb_each(r.summary->'rules') AS rule
 WHERE NOT r.dry_run AND r.finished_at IS NOT NULL
 ORDER BY rule.key, r.finished_at DESC
"""
REQUESTS = """
SELECT q.id, q.external_id, q."right", q.state, q.reason, q.received_at, q.due_at, q.residual_until,
       extract(epoch FROM max(e.at) - min(e.at))::float,
       (SELECT string_agg(r.recipient || ' ' || r.state || coalesce(' until ' || r.until::date, ''), ', '
                          ORDER BY r.recipient)
          FROM ledger.recipient_outcome r WHERE r.request_id = q.id),
       (SELECT string_agg(l.kind, ', ' ORDER BY l.claimed_at) FROM ledger.letter l
         WHERE l.request_id = q.id AND l.state = 'sent')
  FROM ledger.request q LEFT JOIN ledger.evidence e ON e.request_id = q.id
 GROUP BY q.id ORDER BY q.received_at
"""
HOLDS = "SELECT scope, count(*) AS n FROM ledger.hold WHERE released_at IS NULL GROUP BY scope"


@dataclass
class Line:
    """One line of the table: everything done to one store for one reason."""

    why: str
    store: str
    promise: str = ""
    action: str = ""
    bucket: bool = False
    due: int = 0
    people: int = 0
    removed: int = 0
    anonymised: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    held: int = 0
    blocked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    probed: bool = False
    remaining: int = 0
    overdue: str = "–"
    seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    """A person's request as the ledger knows it; nothing personal."""

    id: UUID
    external_id: str
    right: str
    state: str
    reason: str
    received: str
    due: str
    residual_until: str
    seconds: float
    recipients: str
    letters: str


def read_lines(ledger_dsn: str) -> list[Line]:
    """The lines by promise; plans that were not carried out are left out."""
    lines: dict[tuple[str, str], Line] = {}
    with psycopg.connect(ledger_dsn, row_factory=dict_row) as conn:
        for plan in conn.execute(PLANS).fetchall():
            if plan["outcomes"] is None and plan["state"] == "planned":
                continue
            key = (plan["rule"] or plan["kind"], plan["store"])
            _add(lines.setdefault(key, Line(*key)), plan)
        for hold in conn.execute(HOLDS).fetchall():
            kept = {f"{hold['n']} {hold['scope']}": "until the legal hold is released"}
            lines["hold", hold["scope"]] = Line("place_legal_hold", "every store", promise="P4.4", kept=kept)
        for row in conn.execute(RULES).fetchall():
            for line in [line for line in lines.values() if line.why == row["key"]]:
                _judge(line, row["value"])
    return sorted(lines.values(), key=lambda line: (line.promise or "P6.3", line.why, line.store))


def _add(line: Line, plan: dict[str, Any]) -> None:
    body = plan["body"]
    line.action = plan["action"]
    line.bucket |= any("/" in step["table"] for group in body["groups"] for step in group)
    line.due += body["matched"]
    line.people += body["subjects"]
    if line.action == "expire_objects":
        line.notes += [note for note in body["notes"] if note not in line.notes]
    for outcome in plan["outcomes"] or []:
        line.removed += sum(outcome["removed"].values())
        line.anonymised += sum(outcome["anonymised"].values())
        line.kept |= {name: why.split(";")[0] for name, why in outcome["kept"].items()}
        line.held += outcome["held_subjects"]
        line.blocked += [b for b in outcome["blocked"] if b not in line.blocked]
        line.seconds += outcome["seconds"]
    if plan["probe"] is not None:
        line.probed = True
        line.remaining += sum(plan["probe"]["remaining"].values())


def _judge(line: Line, figures: dict[str, Any]) -> None:
    line.promise = figures["promise"]
    line.held = max(line.held, figures.get("held", 0))
    count, oldest = figures.get("overdue", 0), figures.get("oldest_overdue_s")
    line.overdue = f"{count}, oldest {timedelta(seconds=oldest or 0)}" if count else "none"


def read_requests(ledger_dsn: str) -> list[Request]:
    """Every request, the first received first."""
    with psycopg.connect(ledger_dsn) as conn:
        return [
            Request(
                row[0],
                row[1],
                row[2],
                row[3],
                row[4] or "",
                f"{row[5]:%Y-%m-%d}",
                f"{row[6]:%Y-%m-%d}",
                f"{row[7]:%Y-%m-%d}" if row[7] else "",
                row[8] or 0.0,
                row[9] or "",
                row[10] or "",
            )
            for row in conn.execute(REQUESTS)
        ]


def open_breaches(ledger_dsn: str) -> int:
    """Breaches of a limit that are not resolved."""
    with psycopg.connect(ledger_dsn) as conn:
        row = conn.execute("SELECT count(*) FROM ledger.breach WHERE resolved_at IS NULL").fetchone()
        return int(row[0]) if row else 0


def last_audit(ledger_dsn: str) -> tuple[int, int]:
    """At how many places the last audit of recipients looked, and how many alarms it left."""
    with psycopg.connect(ledger_dsn) as conn:
        row = conn.execute(
            "SELECT summary->>'looked_at', jsonb_array_length(summary->'red') FROM ledger.run"
            " WHERE kind = 'recipient_audit' AND NOT dry_run AND finished_at IS NOT NULL"
            " ORDER BY finished_at DESC LIMIT 1"
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)
