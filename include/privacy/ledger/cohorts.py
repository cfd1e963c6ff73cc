"""Frozen cohorts: sealed pages of people, streamed in and out with flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger.errors import KeyDestroyed, LedgerError, NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.keys import DataKey, create_key, destroy_key, open_key
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import CohortHead, CohortPage, CohortRequest, Request
from include.privacy.ledger.requests import read
from include.privacy.ledger.sealing import Sealer
from include.privacy.planning.models import Cohort, Member

PAGE = 1000
"""Members per sealed page: some hundred kilobytes, the most a stream holds in memory."""

Sessions = sessionmaker[Session]


def freeze_cohort(
    sessions: Sessions,
    sealer: Sealer,
    members: Iterable[Member],
    origin: str,
    run_id: UUID,
    request_ids: Sequence[UUID] = (),
) -> Cohort:
    """Store who is meant, and their identifiers, before anything is destroyed.

    One cohort per run and ``origin``: a retry, or a copy running at the same time, gets the cohort
    that was frozen first and ``members`` is not read. Written in one transaction, so a crash
    leaves nothing half frozen. The members come in the order in which they are given.
    """
    with sessions.begin() as session:
        lock_for(session, "cohort", run_id, origin)
        head = session.scalar(
            select(CohortHead).where(CohortHead.run_id == run_id, CohortHead.origin == origin)
        )
        if head is None:
            head = _freeze(session, sealer, members, origin, run_id, request_ids)
        cohort_id = head.id
    return cohort(sessions, sealer, cohort_id)


def cohort(sessions: Sessions, sealer: Sealer, cohort_id: UUID) -> Cohort:
    """The cohort; its ``members()`` reads and unseals a page at a time, each in a short transaction."""
    with sessions.begin() as session:
        head = _head(session, cohort_id)
        key = open_key(session, sealer, head.key_id, f"cohort {cohort_id}")
        return Cohort(id=cohort_id, size=head.size, members=_stream(sessions, cohort_id, head.pages, key))


def cohort_requests(session: Session, sealer: Sealer, cohort_id: UUID) -> dict[str, UUID]:
    """Subject key → the request that asked for it; readable as long as the cohort lives."""
    key = open_key(session, sealer, _head(session, cohort_id).key_id, f"cohort {cohort_id}")
    rows = session.scalars(select(CohortRequest).where(CohortRequest.cohort_id == cohort_id))
    return {
        key.read_text(r.subject_sealed, _request_context(cohort_id, r.request_id)): r.request_id for r in rows
    }


def destroy_cohort(session: Session, cohort_id: UUID) -> None:
    """Shred the cohort's key and drop its pages; again changes nothing."""
    head = _head(session, cohort_id, lock=True)
    if head.destroyed_at is not None:
        return
    key_id, head.key_id, head.destroyed_at = head.key_id, None, func.now()
    destroy_key(session, key_id)
    session.execute(delete(CohortPage).where(CohortPage.cohort_id == cohort_id))
    session.execute(delete(CohortRequest).where(CohortRequest.cohort_id == cohort_id))
    append_evidence(session, "cohort_destroyed", {"cohort": cohort_id, "size": head.size}, run_id=head.run_id)


def _freeze(
    session: Session,
    sealer: Sealer,
    members: Iterable[Member],
    origin: str,
    run_id: UUID,
    request_ids: Sequence[UUID],
) -> CohortHead:
    key = create_key(session, sealer, "cohort")
    head = CohortHead(id=uuid4(), run_id=run_id, origin=origin, size=0, pages=0, key_id=key.id)
    session.add(head)
    session.flush()
    not_followed = 0
    for page in _pages(members):
        not_followed += sum(m.not_followed for m in page)
        plain = [[m.key, {kind: list(values) for kind, values in m.identifiers.items()}] for m in page]
        sealed = key.seal_json(plain, _page_context(head.id, head.pages))
        session.execute(insert(CohortPage), {"cohort_id": head.id, "page": head.pages, "sealed": sealed})
        head.pages += 1
        head.size += len(page)
    session.flush()
    asked = read(session, sealer, select(Request).where(Request.id.in_(tuple(request_ids))))
    if len(asked) != len(set(request_ids)) or any(r.subject_key is None for r in asked):
        raise LedgerError("a request of this cohort is unknown or closed; claim the requests again")
    links = [
        {
            "cohort_id": head.id,
            "request_id": r.id,
            "subject_sealed": key.seal_text(str(r.subject_key), _request_context(head.id, r.id)),
        }
        for r in asked
    ]
    if links:
        session.execute(insert(CohortRequest), links)
    body = {"cohort": head.id, "origin": origin, "size": head.size, "requests": len(links)}
    if not_followed:
        body["not_followed"] = not_followed
    append_evidence(session, "cohort_frozen", body, run_id=run_id)
    return head


def _stream(sessions: Sessions, cohort_id: UUID, pages: int, key: DataKey) -> Callable[[], Iterator[Member]]:
    def members() -> Iterator[Member]:
        for page in range(pages):
            with sessions.begin() as session:
                sealed = session.scalar(
                    select(CohortPage.sealed).where(
                        CohortPage.cohort_id == cohort_id, CohortPage.page == page
                    )
                )
            if sealed is None:
                raise KeyDestroyed(f"cohort {cohort_id} was destroyed while it was being read")
            for subject, identifiers in key.read_json(sealed, _page_context(cohort_id, page)):
                yield Member(subject, {kind: tuple(values) for kind, values in identifiers.items()})

    return members


def _pages(members: Iterable[Member]) -> Iterator[list[Member]]:
    stream = iter(members)
    while page := list(islice(stream, PAGE)):
        yield page


def _head(session: Session, cohort_id: UUID, *, lock: bool = False) -> CohortHead:
    found = session.get(CohortHead, cohort_id, with_for_update=lock or None)
    if found is None:
        raise NotInLedger(f"cohort {cohort_id} is not in the ledger")
    return found


def _page_context(cohort_id: UUID, page: int) -> str:
    return f"cohort {cohort_id} page {page}"


def _request_context(cohort_id: UUID, request_id: UUID) -> str:
    return f"cohort {cohort_id} request {request_id}"
