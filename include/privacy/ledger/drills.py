"""Drills: begun once a week, one at a time, moved on step by step, each step on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.privacy.ledger.drill_models import Drill
from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal, text
from include.privacy.ledger.keys import create_key, destroy_key, open_key, opened_json, unwrapped
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import SealingKey
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.states import check

ENDED = frozenset({"passed", "failed"})
EVIDENCE = "drill"
"""Kind of the row that each step leaves."""


@dataclass(frozen=True)
class DrillRow:
    """A drill; ``planted`` is ``None`` before anybody was planted, and once it has ended."""

    id: UUID
    state: str
    began_at: datetime
    moved_at: datetime
    ended_at: datetime | None
    failure: str | None
    notes: Mapping[str, Any]
    planted: Mapping[str, Any] | None = field(repr=False, default=None)


def begin_drill(session: Session, sealer: Sealer, run_id: UUID, as_of: datetime) -> DrillRow:
    """A new drill, or the one that is under way."""
    lock_for(session, "drill")
    found = session.scalar(select(Drill).where(Drill.ended_at.is_(None)))
    if found is None:
        key = create_key(session, sealer, "drill")
        found = Drill(id=uuid4(), state="planting", began_at=as_of, moved_at=as_of, notes={}, key_id=key.id)
        session.add(found)
        session.flush()
        append_evidence(session, EVIDENCE, {"drill": found.id, "state": found.state}, run_id)
    return _row(session, sealer, found)


def move_drill(
    session: Session,
    sealer: Sealer,
    drill_id: UUID,
    seen: str,
    state: str,
    run_id: UUID,
    as_of: datetime,
    *,
    facts: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    planted: Mapping[str, Any] | None = None,
    failure: str | None = None,
) -> DrillRow:
    """Move a drill that is still in the state ``seen``; if another run has moved it, nothing is done.

    ``facts`` go into the evidence of this step, ``notes`` stay with the drill until it ends, ``planted`` is
    sealed. Ending it destroys its key.
    """
    row = session.get(Drill, drill_id, with_for_update=True)
    if row is None:
        raise NotInLedger(f"drill {drill_id} is not in the ledger")
    if row.state != seen:
        return _row(session, sealer, row)
    check("drill", seen, state)
    if planted is not None:
        key = open_key(session, sealer, row.key_id, f"drill {drill_id}")
        row.planted_sealed = key.seal_json(planted, _context(drill_id))
    if notes:
        row.notes = {**row.notes, **impersonal(notes)}
    if failure is not None:
        row.failure = text(failure)
    # The table's rules look at the whole row: everything changes in one statement.
    row.state, row.moved_at = state, as_of
    if state in ENDED:
        shredded, row.ended_at, row.key_id, row.planted_sealed = row.key_id, as_of, None, None
        destroy_key(session, shredded)
    session.flush()
    body = {"drill": row.id, "state": state, **(facts or {})}
    append_evidence(session, EVIDENCE, body | ({"failure": row.failure} if failure else {}), run_id)
    return _row(session, sealer, row)


def latest_drill(session: Session, sealer: Sealer) -> DrillRow | None:
    """The drill that began last, ended or not."""
    found = session.scalar(select(Drill).order_by(Drill.began_at.desc()).limit(1))
    return _row(session, sealer, found) if found is not None else None


def _row(session: Session, sealer: Sealer, row: Drill) -> DrillRow:
    stored = session.get(SealingKey, row.key_id) if row.key_id is not None else None
    key = unwrapped(sealer, row.key_id, stored.wrapped if stored else None)
    planted = opened_json(key, row.planted_sealed, _context(row.id))
    return DrillRow(
        row.id, row.state, row.began_at, row.moved_at, row.ended_at, row.failure, dict(row.notes), planted
    )


def _context(drill_id: UUID) -> str:
    return f"drill {drill_id} planted"
