"""What the promise report reads from the ledger, and where it is kept. Counts, codes and dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence_rows import PromiseReport
from include.privacy.ledger.models import Breach, Evidence, Request, Run


@dataclass(frozen=True)
class LastRun:
    """The newest live run of a kind that has ended."""

    as_of: datetime
    finished_at: datetime
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class BreachFacts:
    """A breach, open or resolved."""

    rule: str
    store: str
    count: int
    opened_at: datetime
    resolved_at: datetime | None


def last_runs(session: Session) -> dict[str, LastRun]:
    """Kind → its newest live run that has ended."""
    live = (Run.dry_run.is_(False), Run.finished_at.is_not(None))
    newest = (
        select(Run.kind, func.max(Run.started_at).label("started_at"))
        .where(*live)
        .group_by(Run.kind)
        .subquery()
    )
    of_kind = (newest.c.kind == Run.kind) & (newest.c.started_at == Run.started_at)
    query = select(Run).join(newest, of_kind).where(*live)
    return {
        row.kind: LastRun(row.as_of, row.finished_at, row.summary or {})
        for row in session.scalars(query)
        if row.finished_at is not None
    }


def last_evidence(session: Session) -> dict[str, tuple[datetime, int]]:
    """Kind of evidence → when the newest row was written, and how many there are."""
    rows = session.execute(select(Evidence.kind, func.max(Evidence.at), func.count()).group_by(Evidence.kind))
    return {kind: (at, count) for kind, at, count in rows}


def breaches_since(session: Session, since: datetime) -> list[BreachFacts]:
    """Open breaches, and those that were resolved since then; the oldest first."""
    query = (
        select(Breach)
        .where(Breach.resolved_at.is_(None) | (Breach.resolved_at >= since))
        .order_by(Breach.opened_at, Breach.id)
    )
    return [BreachFacts(b.rule, b.store, b.count, b.opened_at, b.resolved_at) for b in session.scalars(query)]


def request_margins(session: Session, as_of: datetime, since: datetime) -> list[tuple[timedelta, bool]]:
    """How long before its due date each request was answered, or still has (negative: late); whether open."""
    query = select(Request.due_at, Request.closed_at).where(
        Request.closed_at.is_(None) | (Request.closed_at >= since)
    )
    return [(due - (closed or as_of), closed is None) for due, closed in session.execute(query)]


def keep_report(
    session: Session, run_id: UUID, as_of: datetime, location: str, body: Mapping[str, Any]
) -> None:
    """Keep a report's figures; written again by a retry, the first stays."""
    values = {"run_id": run_id, "as_of": as_of, "location": location, "body": dict(body)}
    session.execute(insert(PromiseReport).values(values).on_conflict_do_nothing())


def newest_report(session: Session) -> tuple[datetime, str, Mapping[str, Any]] | None:
    """The last one: its instant, where its page lies, its figures."""
    found = session.scalar(select(PromiseReport).order_by(PromiseReport.as_of.desc()).limit(1))
    return (found.as_of, found.location, found.body) if found else None
