"""What the providers' records say of each batch, and when everybody is accounted for (P8.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from include.privacy.ledger.notice_audience import address_mark, campaign_key, delivery_context
from include.privacy.ledger.notice_models import NoticeBatch, NoticeDelivery
from include.privacy.ledger.notice_sending import LOOKS, redirect
from include.privacy.ledger.sealing import Sealer


@dataclass(frozen=True)
class BatchRow:
    """A batch that the provider's records are read for. ``doubtful``: whether it was sent is not known."""

    id: UUID
    provider: str
    claimed_at: datetime
    size: int
    doubtful: bool
    looks: int


@dataclass(frozen=True)
class Record:
    """What a provider says of one message; ``failed`` has the reason code when it will not arrive."""

    at: datetime
    delivered: bool
    failed: str | None
    of_address: bool
    token: UUID | None
    address: str | None = field(repr=False, default=None)


def batches_to_look_at(session: Session, campaign_id: UUID, as_of: datetime, limit: int) -> list[BatchRow]:
    """Batches whose records are to be read again, the longest due first."""
    query = (
        select(NoticeBatch)
        .where(
            NoticeBatch.campaign_id == campaign_id,
            NoticeBatch.state.in_(("accepted", "doubtful")),
            NoticeBatch.look_at <= as_of,
        )
        .order_by(NoticeBatch.look_at, NoticeBatch.id)
        .limit(limit)
    )
    return [
        BatchRow(b.id, b.provider, b.claimed_at, b.size, b.state == "doubtful", b.looks)
        for b in session.scalars(query)
    ]


def record_fates(
    session: Session,
    sealer: Sealer,
    batch_id: UUID,
    records: Sequence[Record],
    as_of: datetime,
    *,
    fallback: str | None,
    absent_means_unsent: bool,
    whole_calls: bool,
) -> dict[str, int]:
    """Write down what the provider says of the batch, and when to look again; returns counts.

    A doubtful batch of which the provider knows anything was sent, and one of which it knows nothing when
    its records are complete (``absent_means_unsent``) was not: its people wait again. So does a single
    person whom complete records do not name, unless the provider takes over ``whole_calls`` or nothing.
    """
    batch = session.get(NoticeBatch, batch_id, with_for_update=True)
    if batch is None or batch.state not in ("accepted", "doubtful"):
        return {}
    people = session.execute(
        select(NoticeDelivery.token, NoticeDelivery.address_mark, NoticeDelivery.state).where(
            NoticeDelivery.batch_id == batch_id
        )
    ).all()
    known = _matched(session, sealer, batch.campaign_id, people, records)
    if (known or (whole_calls and records)) and batch.state == "doubtful":
        batch.state = "accepted"
        known |= _as_accepted(people, known, records) if whole_calls else {}
    delivered, failed = _write_down(session, batch, known, as_of, fallback)
    told_nothing = absent_means_unsent and not (whole_calls and records)
    unsent = [p.token for p in people if p.token not in known] if told_nothing else []
    if unsent:
        _wait_again(session, batch_id, unsent)
    _next_look(session, batch, as_of, everybody=len(people) == len(unsent))
    return {"delivered": delivered, "failed": failed, "unsent": len(unsent)}


def record_events(
    session: Session, sealer: Sealer, records: Sequence[Record], as_of: datetime, *, fallback: str | None
) -> int:
    """Write down what a provider tells by itself; returns of how many people. Tokens that are nobody's, and
    events of a message that has been replaced since, are passed over.
    """
    tokens = [record.token for record in records if record.token is not None]
    query = select(NoticeDelivery.token, NoticeDelivery.address_mark, NoticeDelivery.batch_id).where(
        NoticeDelivery.token.in_(tokens), NoticeDelivery.batch_id.is_not(None)
    )
    by_batch: dict[UUID, list[object]] = {}
    for row in session.execute(query):
        by_batch.setdefault(row.batch_id, []).append(row)
    told = 0
    for batch_id in sorted(by_batch):
        batch = session.get(NoticeBatch, batch_id, with_for_update=True)
        assert batch is not None
        known = _matched(session, sealer, batch.campaign_id, by_batch[batch_id], records)
        # An event of a former call of the same person is older than this one's claim.
        known = {token: record for token, record in known.items() if record.at >= batch.claimed_at}
        _write_down(session, batch, known, as_of, fallback)
        told += len(known)
    return told


def _write_down(
    session: Session, batch: NoticeBatch, known: dict[UUID, Record], as_of: datetime, fallback: str | None
) -> tuple[int, int]:
    _dispatched(session, batch.id, known)
    delivered = [token for token, record in known.items() if record.delivered]
    _move(session, batch.id, delivered, "delivered", as_of)
    failed = [(token, r.of_address, r.failed) for token, r in known.items() if r.failed is not None]
    redirect(session, batch.id, failed, fallback if batch.provider != fallback else None)
    return len(delivered), len(failed)


def _matched(
    session: Session, sealer: Sealer, campaign_id: UUID, people: Sequence[object], records: Sequence[Record]
) -> dict[UUID, Record]:
    """Token → the record that counts: a failure after a delivery is a failure."""
    key = campaign_key(session, sealer, campaign_id)
    tokens = {p.token for p in people}  # type: ignore[attr-defined] # rows of the query above
    by_mark = {bytes(p.address_mark): p.token for p in people if p.address_mark}  # type: ignore[attr-defined]
    known: dict[UUID, Record] = {}
    for record in sorted(records, key=lambda r: (r.failed is not None, r.delivered, r.at)):
        token = record.token if record.token in tokens else None
        if token is None and record.address:
            token = by_mark.get(address_mark(key, record.address))
        if token is None:
            continue
        before = known.get(token)
        # What has arrived is not sent again by another provider, whatever this one says of itself later.
        if before and before.delivered and record.failed is not None and not record.of_address:
            continue
        known[token] = record
    return known


def _as_accepted(
    people: Sequence[object], known: dict[UUID, Record], records: Sequence[Record]
) -> dict[UUID, Record]:
    """Whoever the records do not name of a call that was taken over as a whole."""
    at = max(record.at for record in records)
    tokens = [p.token for p in people]  # type: ignore[attr-defined] # rows, as above
    return {token: Record(at, False, None, False, token) for token in tokens if token not in known}


def _dispatched(session: Session, batch_id: UUID, known: dict[UUID, Record]) -> None:
    """The provider's own instant counts, when it is later than ours: the clock begins with the last proof."""
    if known:
        session.execute(
            text("""
                UPDATE ledger.notice_delivery d SET dispatched_at = greatest(d.dispatched_at, n.at),
                    state = CASE WHEN d.state = 'claimed' THEN 'accepted' ELSE d.state END
                FROM unnest(CAST(:tokens AS uuid[]), CAST(:instants AS timestamptz[])) n (token, at)
                WHERE d.token = n.token AND d.batch_id = :batch AND d.state IN ('claimed', 'accepted')
            """),
            {"tokens": list(known), "instants": [r.at for r in known.values()], "batch": batch_id},
        )


def _move(session: Session, batch_id: UUID, tokens: Sequence[UUID], state: str, at: datetime) -> None:
    if tokens:
        session.execute(
            update(NoticeDelivery)
            .where(
                NoticeDelivery.batch_id == batch_id,
                NoticeDelivery.token.in_(tuple(tokens)),
                NoticeDelivery.state == "accepted",
            )
            .values(state=state, settled_at=at),
            execution_options={"synchronize_session": False},
        )


def _wait_again(session: Session, batch_id: UUID, tokens: Sequence[UUID]) -> None:
    session.execute(
        update(NoticeDelivery)
        .where(
            NoticeDelivery.batch_id == batch_id,
            NoticeDelivery.token.in_(tuple(tokens)),
            NoticeDelivery.state.in_(("claimed", "accepted")),
        )
        .values(state="queued", batch_id=None, address_mark=None, dispatched_at=None),
        execution_options={"synchronize_session": False},
    )


def _next_look(session: Session, batch: NoticeBatch, as_of: datetime, *, everybody: bool) -> None:
    session.flush()
    open_ones = session.scalar(
        select(func.count()).where(
            NoticeDelivery.batch_id == batch.id, NoticeDelivery.state.in_(("claimed", "accepted"))
        )
    )
    batch.looks += 1
    later = [batch.claimed_at + pause for pause in LOOKS if batch.claimed_at + pause > as_of]
    if everybody and not open_ones:
        batch.state, batch.look_at = "void", None
    elif not open_ones:
        batch.state, batch.look_at = "settled", None
    elif later:
        batch.look_at = later[0]
    elif batch.state == "accepted":
        session.execute(
            update(NoticeDelivery)
            .where(NoticeDelivery.batch_id == batch.id, NoticeDelivery.state == "accepted")
            .values(state="silent", settled_at=as_of),
            execution_options={"synchronize_session": False},
        )
        batch.state, batch.look_at = "settled", None
    else:  # still in doubt: the records could not be read completely so far
        batch.look_at = as_of + LOOKS[1]
    session.flush()


def undeliverable(session: Session, sealer: Sealer, campaign_id: UUID, limit: int) -> list[tuple[UUID, str]]:
    """Whom no letter reaches: token and subject key, to be told in the app."""
    key = campaign_key(session, sealer, campaign_id)
    rows = session.execute(
        select(NoticeDelivery.token, NoticeDelivery.subject_sealed)
        .where(NoticeDelivery.campaign_id == campaign_id, NoticeDelivery.state == "undeliverable")
        .order_by(NoticeDelivery.token)
        .limit(limit)
    )
    return [(token, key.read_text(sealed, delivery_context(token))) for token, sealed in rows]


def written_to(
    session: Session, sealer: Sealer, campaign_id: UUID, after: UUID | None, limit: int
) -> list[tuple[UUID, str]]:
    """Who has been told so far: token and subject key, in pages by token."""
    key = campaign_key(session, sealer, campaign_id)
    query = select(NoticeDelivery.token, NoticeDelivery.subject_sealed).where(
        NoticeDelivery.campaign_id == campaign_id, NoticeDelivery.dispatched_at.is_not(None)
    )
    if after is not None:
        query = query.where(NoticeDelivery.token > after)
    rows = session.execute(query.order_by(NoticeDelivery.token).limit(limit))
    return [(token, key.read_text(sealed, delivery_context(token))) for token, sealed in rows]


def record_left(session: Session, tokens: Sequence[UUID], at: datetime) -> None:
    """These people are deleted or restricted by now: nothing more is told to them."""
    session.execute(
        update(NoticeDelivery)
        .where(NoticeDelivery.token.in_(tuple(tokens)), NoticeDelivery.state == "undeliverable")
        .values(state="left", settled_at=at),
        execution_options={"synchronize_session": False},
    )


def record_told_in_app(session: Session, tokens: Sequence[UUID], at: datetime) -> None:
    """The notice waits for these people in the app."""
    session.execute(
        update(NoticeDelivery)
        .where(NoticeDelivery.token.in_(tuple(tokens)), NoticeDelivery.state == "undeliverable")
        .values(state="told_in_app", dispatched_at=at, settled_at=at),
        execution_options={"synchronize_session": False},
    )
