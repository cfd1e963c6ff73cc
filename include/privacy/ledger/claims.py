"""Claims: which run works on which requests."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_many
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import Request, Run
from include.privacy.ledger.requests import read, step
from include.privacy.ledger.rows import RequestRow
from include.privacy.ledger.runs import load_run
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.states import WAITING, WORKING

LEASE = timedelta(hours=6)
"""A claim that has recorded nothing for so long belongs to a dead run."""

_BY_HAND = (*sorted(WAITING), "failed")


def claim_requests(
    session: Session,
    sealer: Sealer,
    run_id: UUID,
    right: str,
    request_ids: Collection[UUID] | None = None,
    *,
    lease: timedelta = LEASE,
) -> list[RequestRow]:
    """Give the run every request for ``right`` that waits, the earliest due first.

    That is: assessed or extended ones, held ones (the holds are asked again), and those in work whose
    run is this one, is over, or has shown no life for ``lease``. With ``request_ids`` only those, and
    then failed ones too. What waits for a decision waits. No two open runs ever hold the same
    request; a request that another transaction is changing is left for the next run. A dry run sees the
    same and claims none.
    """
    run = load_run(session, run_id)
    lock_for(session, "claim")
    resumable = and_(
        Request.state.in_(tuple(WORKING)),
        or_(
            Request.run_id.is_(None),
            Request.run_id == run_id,
            Request.claimed_at < func.now() - lease,
            Request.run_id.in_(select(Run.id).where(Run.finished_at.is_not(None))),
        ),
    )
    query = select(Request.id).where(Request.right == right)
    if request_ids is None:
        query = query.where(or_(Request.state.in_(tuple(WAITING)), resumable))
    else:
        query = query.where(Request.id.in_(tuple(request_ids)), or_(Request.state.in_(_BY_HAND), resumable))
    found = session.scalars(query.with_for_update(skip_locked=True)).all()
    if not run.dry_run:
        fresh = session.scalars(
            select(Request).where(Request.id.in_(found), Request.run_id.is_distinct_from(run_id))
        ).all()
        steps = [(r.id, step(session, r, r.state, "executing", "claimed", "engine")) for r in fresh]
        session.execute(
            update(Request)
            .where(Request.id.in_(found))
            .values(state="executing", reason=None, run_id=run_id, claimed_at=func.now()),
            execution_options={"synchronize_session": False},
        )
        append_many(session, "request_state", run_id, steps)
    return read(
        session, sealer, select(Request).where(Request.id.in_(found)).order_by(Request.due_at, Request.id)
    )


def renew_claims(session: Session, run_id: UUID) -> None:
    """The run is alive: its claims start anew. Recording an outcome does this too."""
    # Shards report at once: skipping what another one renews, none waits and none deadlocks.
    mine = (
        select(Request.id)
        .where(Request.run_id == run_id, Request.state.in_(tuple(WORKING)))
        .with_for_update(skip_locked=True)
    )
    session.execute(
        update(Request).where(Request.id.in_(mine)).values(claimed_at=func.now()),
        execution_options={"synchronize_session": False},
    )
