"""Who hears of a policy change: frozen at launch, added to while people join, less whoever is erased."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID, uuid4

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.keys import DataKey, destroy_key, open_key
from include.privacy.ledger.models import SealingKey
from include.privacy.ledger.notice_campaigns import PROMISE
from include.privacy.ledger.notice_models import NoticeCampaign, NoticeDelivery
from include.privacy.ledger.sealing import Sealer, keyed_hash

_BATCH = 5_000


@dataclass(frozen=True)
class Hearer:
    """Somebody who is to hear of it: the subject key, and the language of the notice."""

    key: str = field(repr=False)
    language: str


def freeze_audience(
    session: Session,
    sealer: Sealer,
    run_id: UUID,
    campaign_id: UUID,
    people: Iterable[Hearer],
    provider: str,
    at: datetime,
) -> int:
    """Everybody of ``people`` who is not in the audience yet; returns how many are new.

    The first call freezes the audience and begins the sending; later ones add people who joined since. All
    or nothing: one transaction, whatever the number.
    """
    row = session.get(NoticeCampaign, campaign_id, with_for_update=True)
    assert row is not None
    key = open_key(session, sealer, row.key_id, f"notice campaign {row.version}")
    joined = row.frozen_at is not None
    count, source = 0, iter(people)
    while batch := list(islice(source, _BATCH)):
        count += _add(session, key, campaign_id, batch, provider, joined=joined)
    row.joined_at = at
    if not joined:
        row.frozen_at, row.audience, row.state = at, count, "sending"
    session.flush()
    if count or not joined:
        body = {"promise": PROMISE, "version": row.version, "people": count, "joined": joined}
        append_evidence(session, "notice_audience", body, run_id=run_id)
    return count


def _add(
    session: Session,
    key: DataKey,
    campaign_id: UUID,
    people: Sequence[Hearer],
    provider: str,
    *,
    joined: bool,
) -> int:
    """One statement for thousands; the role may not make tables, not even temporary ones."""
    tokens = [uuid4() for _ in people]
    new = session.execute(
        text("""
            INSERT INTO ledger.notice_delivery
                (token, campaign_id, subject_mark, subject_sealed, language, joined, state, provider)
            SELECT token, :campaign, mark, sealed, language, :joined, 'queued', :provider
            FROM unnest(CAST(:tokens AS uuid[]), CAST(:marks AS bytea[]), CAST(:sealed AS bytea[]),
                        CAST(:languages AS text[])) AS new (token, mark, sealed, language)
            ON CONFLICT (campaign_id, subject_mark) DO NOTHING
            RETURNING token
        """),
        {
            "campaign": campaign_id,
            "joined": joined,
            "provider": provider,
            "tokens": tokens,
            "marks": [subject_mark(key, person.key) for person in people],
            "sealed": [
                key.seal_text(person.key, delivery_context(token))
                for token, person in zip(tokens, people, strict=True)
            ],
            "languages": [person.language for person in people],
        },
    )
    return len(new.all())


def forget_hearers(session: Session, sealer: Sealer, keys: Iterable[str]) -> int:
    """Take erased people out of every campaign that still knows who it wrote to; returns how many rows went.

    Nothing of them stays, and no evidence says of whom: only how many.
    """
    campaigns = session.execute(
        select(NoticeCampaign.id, SealingKey.id, SealingKey.wrapped).join(
            SealingKey, SealingKey.id == NoticeCampaign.key_id
        )
    ).all()
    gone = 0
    source = iter(keys)
    while campaigns and (batch := list(islice(source, _BATCH))):
        for campaign_id, key_id, wrapped in campaigns:
            key = DataKey(key_id, sealer.unwrap(key_id, wrapped))
            marks = [subject_mark(key, each) for each in batch]
            found = session.execute(
                delete(NoticeDelivery)
                .where(NoticeDelivery.campaign_id == campaign_id, NoticeDelivery.subject_mark.in_(marks))
                .returning(NoticeDelivery.joined),
                execution_options={"synchronize_session": False},
            ).all()
            gone += len(found)
            _shrink(session, campaign_id, sum(not joined for (joined,) in found))
    if gone:
        append_evidence(session, "notice_audience_forgotten", {"rows": gone})
    return gone


def purge_hearers(session: Session, before: datetime) -> int:
    """Forget who heard of versions that applied, or were given up, before that instant; returns how many.

    The campaign stays with its counts and dates; who decided it is forgotten too.
    """
    ended = session.scalars(
        select(NoticeCampaign)
        .where(
            NoticeCampaign.state.in_(("in_force", "superseded", "rejected")),
            NoticeCampaign.effective_at <= before,
        )
        .with_for_update()
    ).all()
    gone = 0
    for campaign in ended:
        rows = session.execute(
            delete(NoticeDelivery)
            .where(NoticeDelivery.campaign_id == campaign.id)
            .returning(NoticeDelivery.token),
            execution_options={"synchronize_session": False},
        ).all()
        gone += len(rows)
        key_id, campaign.key_id, campaign.decided_by_sealed = campaign.key_id, None, None
        destroy_key(session, key_id)
    return gone


def _shrink(session: Session, campaign_id: UUID, people: int) -> None:
    """The frozen audience are those of it who still exist."""
    if people:
        session.execute(
            update(NoticeCampaign)
            .where(NoticeCampaign.id == campaign_id)
            .values(audience=NoticeCampaign.audience - people)
        )


def erased_meanwhile(session: Session, campaign_id: UUID, tokens: Iterable[UUID]) -> int:
    """Forget people whose account does not exist any more when they are to be written to."""
    found = session.execute(
        delete(NoticeDelivery)
        .where(NoticeDelivery.campaign_id == campaign_id, NoticeDelivery.token.in_(tuple(tokens)))
        .returning(NoticeDelivery.joined),
        execution_options={"synchronize_session": False},
    ).all()
    _shrink(session, campaign_id, sum(not joined for (joined,) in found))
    return len(found)


def told_late(session: Session, sealer: Sealer, campaign_id: UUID, after: datetime) -> dict[str, datetime]:
    """Subject key → when, of whoever was written to after that instant."""
    key = campaign_key(session, sealer, campaign_id)
    rows = session.execute(
        select(NoticeDelivery.token, NoticeDelivery.subject_sealed, NoticeDelivery.dispatched_at)
        .where(NoticeDelivery.campaign_id == campaign_id, NoticeDelivery.dispatched_at > after)
        .order_by(NoticeDelivery.token)
    )
    return {
        key.read_text(sealed, delivery_context(token)): at for token, sealed, at in rows if at is not None
    }


def campaign_key(session: Session, sealer: Sealer, campaign_id: UUID) -> DataKey:
    """The campaign's key. Raises ``KeyDestroyed`` once who was written to is forgotten."""
    row = session.get(NoticeCampaign, campaign_id)
    return open_key(session, sealer, row.key_id if row else None, f"notice campaign {campaign_id}")


def subject_mark(key: DataKey, subject: str) -> bytes:
    """By which a person is found in a campaign, by nobody without its key."""
    return keyed_hash(key.secret, "subject", subject)


def address_mark(key: DataKey, address: str) -> bytes:
    """By which the provider's records about an address are matched with whom it was sent to."""
    return keyed_hash(key.secret, "address", address.strip().casefold())


def delivery_context(token: UUID) -> str:
    """What a delivery's seal is bound to."""
    return f"notice_delivery {token} subject"
