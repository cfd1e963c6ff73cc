"""Insert-only record of what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.models import Evidence


def append_evidence(
    session: Session,
    kind: str,
    body: Mapping[str, Any],
    run_id: UUID | None = None,
    request_id: UUID | None = None,
) -> None:
    """Add a row for ever. ``body``: counts, codes, ids and dates; nothing about a person."""
    append_many(session, kind, run_id, [(request_id, body)])


def append_many(
    session: Session, kind: str, run_id: UUID | None, bodies: Sequence[tuple[UUID | None, Mapping[str, Any]]]
) -> None:
    """Add one row per ``(request id, body)``."""
    rows = [
        {"kind": kind, "run_id": run_id, "request_id": request_id, "body": impersonal(body)}
        for request_id, body in bodies
    ]
    if rows:
        session.execute(insert(Evidence), rows)


def append_numbered(session: Session, kind: str, body: Mapping[str, Any], request_id: UUID | None) -> int:
    """Add a row and return its id, for whoever has to find its place in the log."""
    row = {"kind": kind, "request_id": request_id, "body": impersonal(body)}
    return session.execute(insert(Evidence).values(row).returning(Evidence.id)).scalar_one()


def evidence(
    session: Session, *, run_id: UUID | None = None, request_id: UUID | None = None, kind: str | None = None
) -> list[Evidence]:
    """Rows of a run, a request and/or a kind, oldest first."""
    query = select(Evidence).order_by(Evidence.id)
    if run_id is not None:
        query = query.where(Evidence.run_id == run_id)
    if request_id is not None:
        query = query.where(Evidence.request_id == request_id)
    if kind is not None:
        query = query.where(Evidence.kind == kind)
    return list(session.scalars(query))
