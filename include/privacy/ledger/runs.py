"""Runs: one row per run of a use case, and the configuration it used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.models import PolicyVersion, Run
from include.privacy.ledger.rows import RunRow


def open_run(
    session: Session,
    kind: str,
    key: str,
    as_of: datetime,
    dry_run: bool,
    policy_version: str,
    policy_digest: str,
) -> UUID:
    """The run of that kind and key, opened at the first call.

    A retry finds the first call's row and must go on with *its* ``as_of``: see :func:`run`.
    """
    new: UUID | None = session.scalar(
        insert(Run)
        .values(
            id=uuid4(),
            kind=kind,
            key=key,
            as_of=as_of,
            dry_run=dry_run,
            policy_version=policy_version,
            policy_digest=policy_digest,
        )
        .on_conflict_do_nothing()
        .returning(Run.id)
    )
    if new is None:
        return session.scalars(select(Run.id).where(Run.kind == kind, Run.key == key)).one()
    append_evidence(
        session,
        "run_opened",
        {"kind": kind, "as_of": as_of, "dry_run": dry_run, "policy": policy_version, "digest": policy_digest},
        run_id=new,
    )
    return new


def close_run(session: Session, run_id: UUID, summary: Mapping[str, Any]) -> None:
    """Write the summary and end the run's claims. A second call only replaces the summary if it differs."""
    row = load_run(session, run_id, lock=True)
    clean = impersonal(summary)
    if row.finished_at is not None and row.summary == clean:
        return
    session.execute(update(Run).where(Run.id == run_id).values(finished_at=func.now(), summary=clean))
    append_evidence(session, "run_closed", {"summary": clean}, run_id=run_id)


def run(session: Session, run_id: UUID) -> RunRow:
    """The run; :class:`NotInLedger` when there is none."""
    return _row(load_run(session, run_id))


def latest_run(session: Session, kind: str) -> RunRow | None:
    """The run of that kind that was opened last."""
    found = session.scalar(select(Run).where(Run.kind == kind).order_by(Run.started_at.desc()).limit(1))
    return _row(found) if found else None


def record_policy_version(session: Session, version: str, digest: str, effective: date) -> None:
    """Remember that this configuration was in use; a known one changes nothing."""
    new: UUID | None = session.scalar(
        insert(PolicyVersion)
        .values(version=version, digest=digest, effective=effective)
        .on_conflict_do_nothing()
        .returning(PolicyVersion.version)
    )
    if new is not None:
        append_evidence(
            session, "policy_version", {"version": version, "digest": digest, "effective": effective}
        )


def load_run(session: Session, run_id: UUID, *, lock: bool = False) -> Run:
    """The row itself, locked if asked."""
    found = session.get(Run, run_id, with_for_update=lock or None)
    if found is None:
        raise NotInLedger(f"run {run_id} is not in the ledger; open it first")
    return found


def _row(r: Run) -> RunRow:
    return RunRow(
        id=r.id,
        kind=r.kind,
        key=r.key,
        as_of=r.as_of,
        dry_run=r.dry_run,
        policy_version=r.policy_version,
        policy_digest=r.policy_digest,
        started_at=r.started_at,
        finished_at=r.finished_at,
        summary=r.summary,
    )
