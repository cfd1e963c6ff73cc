"""Archives that answer requests: where each lies, until when, and when it was deleted."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.request_models import ArchiveRecord
from include.privacy.ledger.rows import ArchiveRow


def intend_archive(
    session: Session, request_id: UUID, store: str, at: datetime, expires_at: datetime
) -> UUID:
    """An archive is about to be written: on record first, so that none is forgotten.

    One that an earlier, interrupted try had begun for the request is marked for deletion.
    """
    older = select(ArchiveRecord).where(
        ArchiveRecord.request_id == request_id, ArchiveRecord.deleted_at.is_(None)
    )
    for record in session.scalars(older.with_for_update()):
        record.expires_at, record.delete_reason = min(record.expires_at, at), "replaced"
    archive_id = uuid4()
    session.add(
        ArchiveRecord(
            id=archive_id,
            request_id=request_id,
            store=store,
            created_at=at,
            expires_at=expires_at,
        )
    )
    return archive_id


def record_archive(
    session: Session, archive_id: UUID, object_key: str, object_version: str, size: int, sha256: str
) -> None:
    """The archive is complete: where it lies, and bytes and SHA-256 of the encrypted file."""
    record = _load(session, archive_id)
    record.object_key, record.object_version = object_key, object_version
    record.size, record.sha256 = size, sha256
    body = {"archive": archive_id, "bytes": size, "sha256": sha256, "until": record.expires_at}
    append_evidence(session, "archive_made", body, request_id=record.request_id)


def archives(session: Session, request_id: UUID) -> list[ArchiveRow]:
    """Every archive of a request, the oldest first."""
    query = select(ArchiveRecord).where(ArchiveRecord.request_id == request_id)
    return [_row(r) for r in session.scalars(query.order_by(ArchiveRecord.created_at))]


def expired_archives(session: Session, as_of: datetime) -> list[ArchiveRow]:
    """Archives that are to be deleted: expired, revoked or replaced."""
    query = select(ArchiveRecord).where(ArchiveRecord.deleted_at.is_(None), ArchiveRecord.expires_at <= as_of)
    return [_row(r) for r in session.scalars(query.order_by(ArchiveRecord.expires_at))]


def revoke_archives(session: Session, request_id: UUID, at: datetime, reason: str) -> int:
    """Have every living archive of the request deleted now; returns how many."""
    query = select(ArchiveRecord).where(
        ArchiveRecord.request_id == request_id, ArchiveRecord.deleted_at.is_(None)
    )
    living = list(session.scalars(query.with_for_update()))
    for record in living:
        record.expires_at, record.delete_reason = min(record.expires_at, at), reason
    return len(living)


def record_archive_deleted(session: Session, archive_id: UUID, at: datetime) -> None:
    """Every version of it is gone."""
    record = _load(session, archive_id)
    if record.deleted_at is None:
        record.deleted_at, record.delete_reason = at, record.delete_reason or "expired"
        body = {"archive": archive_id, "reason": record.delete_reason}
        append_evidence(session, "archive_deleted", body, request_id=record.request_id)


def _load(session: Session, archive_id: UUID) -> ArchiveRecord:
    found = session.get(ArchiveRecord, archive_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotInLedger(f"archive {archive_id} is not in the ledger")
    return found


def _row(r: ArchiveRecord) -> ArchiveRow:
    return ArchiveRow(
        id=r.id,
        request_id=r.request_id,
        store=r.store,
        object_key=r.object_key,
        object_version=r.object_version,
        size=r.size,
        sha256=r.sha256,
        created_at=r.created_at,
        expires_at=r.expires_at,
        deleted_at=r.deleted_at,
        delete_reason=r.delete_reason,
    )
