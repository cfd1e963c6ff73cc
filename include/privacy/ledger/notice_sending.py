"""Batches of a notice: claimed before the call, answered after it, doubtful in between.

A batch that is ``claimed`` while nobody sends may have been sent or not: its task died. Only the provider's
records settle it, and until they do nobody in it is written to again (P8.1: at most once).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.notice_audience import (
    address_mark,
    campaign_key,
    delivery_context,
    erased_meanwhile,
)
from include.privacy.ledger.notice_models import NoticeBatch, NoticeDelivery
from include.privacy.ledger.sealing import Sealer

LOOKS = (
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=24),
    timedelta(hours=72),
)
"""When the provider's records of a batch are read, from its claim on. After the last, silence is an answer:
providers give up on a message within three days."""


class Reach(StrEnum):
    """How somebody can be reached when it is their turn."""

    by_mail = "by_mail"
    no_address = "no_address"
    left = "left"
    """Deleted or restricted since: no letter, no notice."""


@dataclass(frozen=True)
class Reached:
    """What the root store says of one person now. Who is not in its answer at all has been erased."""

    reach: Reach
    address: str | None = field(default=None, repr=False)

    @property
    def left(self) -> bool:
        """Whether nothing may be told to them any more."""
        return self.reach is Reach.left


@dataclass(frozen=True)
class ClaimedBatch:
    """People to be written to in one call: token and address each."""

    id: UUID
    provider: str
    language: str
    people: tuple[tuple[UUID, str], ...] = field(repr=False)


Find = Callable[[Sequence[str]], Mapping[str, Reached]]


def claim_batch(
    session: Session, sealer: Sealer, campaign_id: UUID, provider: str, limit: int, find: Find, at: datetime
) -> ClaimedBatch | None:
    """Take the next people of one language out of the queue; ``None`` when nobody waits for this provider.

    ``find`` reads their addresses as they are now. What it says of those who cannot be written to is put on
    record; the batch may then be empty, and the queue not. When this has been committed the call may be made.
    """
    first = (
        select(NoticeDelivery.language)
        .where(
            NoticeDelivery.campaign_id == campaign_id,
            NoticeDelivery.provider == provider,
            NoticeDelivery.state == "queued",
        )
        .order_by(NoticeDelivery.language)
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(NoticeDelivery.token, NoticeDelivery.subject_sealed, NoticeDelivery.language)
        .where(
            NoticeDelivery.campaign_id == campaign_id,
            NoticeDelivery.provider == provider,
            NoticeDelivery.state == "queued",
            NoticeDelivery.language == first,
        )
        .order_by(NoticeDelivery.token)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return None
    key = campaign_key(session, sealer, campaign_id)
    keys = {token: key.read_text(sealed, delivery_context(token)) for token, sealed, _ in rows}
    found = find(tuple(keys.values()))
    reached = {token: found.get(subject) for token, subject in keys.items()}
    erased_meanwhile(session, campaign_id, [token for token, each in reached.items() if each is None])
    _settle_at_once(session, [t for t, r in reached.items() if r and r.reach is Reach.left], "left", None, at)
    without = [t for t, r in reached.items() if r and r.reach is Reach.no_address]
    _settle_at_once(session, without, "undeliverable", "no_address", None)
    people, marks, seen = [], [], set()
    for token, each in reached.items():
        if each is None or each.address is None:
            continue
        mark = address_mark(key, each.address)
        if mark in seen:  # two accounts, one address: each gets a letter, in calls of their own
            continue
        seen.add(mark)
        people.append((token, each.address))
        marks.append(mark)
    batch = ClaimedBatch(uuid4(), provider, rows[0].language, tuple(people))
    if people:
        session.execute(
            insert(NoticeBatch).values(
                id=batch.id,
                campaign_id=campaign_id,
                provider=provider,
                size=len(people),
                state="claimed",
                claimed_at=at,
            )
        )
        session.execute(
            text("""
                UPDATE ledger.notice_delivery d
                SET state = 'claimed', batch_id = :batch, address_mark = n.mark, attempts = attempts + 1
                FROM unnest(CAST(:tokens AS uuid[]), CAST(:marks AS bytea[])) n (token, mark)
                WHERE d.token = n.token
            """),
            {"batch": batch.id, "tokens": [token for token, _ in people], "marks": marks},
        )
    return batch


def _settle_at_once(
    session: Session, tokens: Collection[UUID], state: str, reason: str | None, at: datetime | None
) -> None:
    if tokens:
        session.execute(
            update(NoticeDelivery)
            .where(NoticeDelivery.token.in_(tuple(tokens)))
            .values(state=state, reason=reason, settled_at=at),
            execution_options={"synchronize_session": False},
        )


def record_accepted(
    session: Session,
    batch_id: UUID,
    at: datetime,
    refused: Mapping[UUID, tuple[bool, str]],
    fallback: str | None,
) -> None:
    """The provider has answered: everybody is accepted but ``refused`` (token → of the address?, reason).

    Who was refused for another reason than the address goes to ``fallback``, if there is one.
    """
    batch = session.get(NoticeBatch, batch_id, with_for_update=True)
    if batch is None or batch.state not in ("claimed", "doubtful"):
        return
    session.execute(
        update(NoticeDelivery)
        .where(
            NoticeDelivery.batch_id == batch_id,
            NoticeDelivery.state == "claimed",
            NoticeDelivery.token.not_in(tuple(refused)),
        )
        .values(state="accepted", dispatched_at=at),
        execution_options={"synchronize_session": False},
    )
    failed = [(token, of_address, reason) for token, (of_address, reason) in refused.items()]
    redirect(session, batch_id, failed, fallback if batch.provider != fallback else None)
    batch.state, batch.answered_at = "accepted", at
    batch.look_at = batch.claimed_at + LOOKS[0]
    session.flush()


def give_batch_back(session: Session, batch_id: UUID, provider: str) -> int:
    """The call was certainly not carried out: its people wait again, for ``provider``. Returns how many."""
    batch = session.get(NoticeBatch, batch_id, with_for_update=True)
    if batch is None or batch.state not in ("claimed", "doubtful"):
        return 0
    given = session.execute(
        update(NoticeDelivery)
        .where(NoticeDelivery.batch_id == batch_id, NoticeDelivery.state == "claimed")
        .values(state="queued", batch_id=None, address_mark=None, provider=provider)
        .returning(NoticeDelivery.token),
        execution_options={"synchronize_session": False},
    ).all()
    batch.state = "void"
    session.flush()
    return len(given)


def doubt_batches(session: Session, campaign_id: UUID, at: datetime) -> int:
    """Whatever is claimed now was left behind by a task that died; the caller must be the only sender."""
    found = session.execute(
        update(NoticeBatch)
        .where(NoticeBatch.campaign_id == campaign_id, NoticeBatch.state == "claimed")
        .values(state="doubtful", look_at=at)
        .returning(NoticeBatch.size),
        execution_options={"synchronize_session": False},
    ).all()
    if found:
        body = {"campaign": campaign_id, "batches": len(found), "people": sum(size for (size,) in found)}
        append_evidence(session, "notice_batches_doubtful", body)
    return len(found)


def doubt_batch(session: Session, batch_id: UUID, at: datetime) -> None:
    """The call was made and nobody knows whether it was carried out."""
    session.execute(
        update(NoticeBatch)
        .where(NoticeBatch.id == batch_id, NoticeBatch.state == "claimed")
        .values(state="doubtful", look_at=at)
    )


def redirect(
    session: Session, batch_id: UUID, failed: Sequence[tuple[UUID, bool, str]], fallback: str | None
) -> None:
    """Of a batch: who was not reached (token, of the address?, reason) waits for the other provider, or is
    undeliverable where the address is the reason or there is no other.
    """
    for provider, wanted in ((fallback, False), (None, True)):
        chosen = [f for f in failed if (f[1] or fallback is None) == wanted]
        if not chosen:
            continue
        session.execute(
            text("""
                UPDATE ledger.notice_delivery d
                SET state = :state, reason = n.reason,
                    provider = coalesce(CAST(:provider AS text), d.provider),
                    batch_id = CASE WHEN CAST(:provider AS text) IS NULL THEN d.batch_id END,
                    dispatched_at = CASE WHEN CAST(:provider AS text) IS NULL THEN d.dispatched_at END
                FROM unnest(CAST(:tokens AS uuid[]), CAST(:reasons AS text[])) n (token, reason)
                WHERE d.token = n.token AND d.batch_id = :batch
                    AND (d.state IN ('claimed', 'accepted')
                        OR d.state IN ('delivered', 'silent') AND :state = 'undeliverable')
            """),
            {
                "state": "queued" if provider else "undeliverable",
                "provider": provider,
                "tokens": [token for token, _, _ in chosen],
                "reasons": [reason for _, _, reason in chosen],
                "batch": batch_id,
            },
        )


def redirect_queue(session: Session, campaign_id: UUID, provider: str, fallback: str) -> int:
    """Everybody who waits for a provider that is down waits for the other one; returns how many."""
    moved = session.execute(
        update(NoticeDelivery)
        .where(
            NoticeDelivery.campaign_id == campaign_id,
            NoticeDelivery.provider == provider,
            NoticeDelivery.state == "queued",
        )
        .values(provider=fallback, reason="outage")
        .returning(NoticeDelivery.token),
        execution_options={"synchronize_session": False},
    ).all()
    if moved:
        body = {"campaign": campaign_id, "people": len(moved), "to": fallback}
        append_evidence(session, "notice_redirected", body)
    return len(moved)


def waiting_by_provider(session: Session, campaign_id: UUID) -> dict[str, int]:
    """Provider → how many people wait for it."""
    rows = session.execute(
        select(NoticeDelivery.provider, func.count())
        .where(NoticeDelivery.campaign_id == campaign_id, NoticeDelivery.state == "queued")
        .group_by(NoticeDelivery.provider)
    ).all()
    return {str(row[0]): int(row[1]) for row in rows}
