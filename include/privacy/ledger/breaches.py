"""Breaches: something personal is past its limit, whatever the reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import text
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import Breach
from include.privacy.ledger.rows import BreachRow
from include.privacy.ledger.runs import load_run


def record_breach(
    session: Session,
    run_id: UUID,
    rule: str,
    store: str,
    count: int,
    oldest_overdue: timedelta | None,
    note: str,
) -> UUID:
    """Open a breach, or renew the open one of that rule and store with today's figures.

    ``oldest_overdue`` is how far the oldest is past its limit. ``note`` says why, if known.
    """
    as_of = load_run(session, run_id).as_of
    lock_for(session, "breach", rule, store)
    clean = text(note)
    breach = session.scalar(_open(rule, store))
    if breach is None:
        breach = Breach(
            id=uuid4(),
            rule=rule,
            store=store,
            first_run_id=run_id,
            last_run_id=run_id,
            count=count,
            oldest_overdue=oldest_overdue,
            note=clean,
            opened_at=as_of,
            last_seen_at=as_of,
        )
        session.add(breach)
    elif (breach.last_run_id, breach.count, breach.oldest_overdue, breach.note) == (
        run_id,
        count,
        oldest_overdue,
        clean,
    ):
        return breach.id
    else:
        breach.last_run_id, breach.last_seen_at = run_id, max(breach.last_seen_at, as_of)
        breach.count, breach.oldest_overdue, breach.note = count, oldest_overdue, clean
    session.flush()
    body = {
        "breach": breach.id,
        "rule": rule,
        "store": store,
        "count": count,
        "oldest_overdue_s": oldest_overdue,
        "note": clean,
    }
    append_evidence(session, "breach", body, run_id=run_id)
    return breach.id


def resolve_breaches(session: Session, rule: str, store: str, as_of: datetime) -> int:
    """Nothing is past its limit any more; returns how many breaches that ended (0 or 1)."""
    lock_for(session, "breach", rule, store)
    breach = session.scalar(_open(rule, store))
    if breach is None:
        return 0
    breach.resolved_at = as_of
    append_evidence(
        session, "breach_resolved", {"breach": breach.id, "rule": rule, "store": store, "as_of": as_of}
    )
    return 1


def open_breaches(session: Session) -> list[BreachRow]:
    """Breaches not yet resolved, the oldest first."""
    rows = session.scalars(
        select(Breach).where(Breach.resolved_at.is_(None)).order_by(Breach.opened_at, Breach.id)
    )
    return [
        BreachRow(
            id=b.id,
            rule=b.rule,
            store=b.store,
            count=b.count,
            oldest_overdue=b.oldest_overdue,
            note=b.note,
            opened_at=b.opened_at,
            last_seen_at=b.last_seen_at,
            first_run_id=b.first_run_id,
            last_run_id=b.last_run_id,
        )
        for b in rows
    ]


def _open(rule: str, store: str) -> Select[Breach]:
    return select(Breach).where(Breach.rule == rule, Breach.store == store, Breach.resolved_at.is_(None))
