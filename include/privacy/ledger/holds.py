"""Legal holds: placed, released, read. P4.4."""

from __future__ import annotations

from typing import Literal, get_args
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import LedgerError, NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.keys import create_key, unwrapped
from include.privacy.ledger.locks import close_hold_gate
from include.privacy.ledger.models import Hold, HoldVersion, SealingKey
from include.privacy.ledger.rows import HoldRow
from include.privacy.ledger.sealing import Sealer
from include.privacy.planning.models import Holds

Scope = Literal["subject", "collection", "store"]


def place_hold(
    session: Session, sealer: Sealer, matter: str, reason: str, placed_by: str, scope: Scope, target: str
) -> UUID:
    """Suspend deletion for a case; returns once the hold binds every chunk still to come.

    ``target`` is a subject key, ``store.collection`` or a store's name. It waits for chunks that
    are running. Several matters may hold the same target; the same matter placed again (a retry)
    gives the hold it has. ``ValueError`` says which field is wrong.
    """
    _check(matter, reason, placed_by, scope, target)
    case = sealer.match("hold", "\x1f".join((matter, scope, target)))
    close_hold_gate(session)
    known = session.scalar(select(Hold.id).where(Hold.case_match == case, Hold.released_at.is_(None)))
    if known is not None:
        return known
    hold_id, key = uuid4(), create_key(session, sealer, "hold")
    plain = {"matter": matter, "reason": reason, "placed_by": placed_by, "target": target}
    session.add(
        Hold(
            id=hold_id,
            scope=scope,
            case_match=case,
            target=None if scope == "subject" else target,
            key_id=key.id,
            sealed=key.seal_json(plain, f"hold {hold_id}"),
        )
    )
    session.flush()
    _count_up(session)
    body = {"hold": hold_id, "scope": scope, "target": None if scope == "subject" else target}
    append_evidence(session, "hold_placed", {**body, "by": sealer.match("staff", placed_by).hex()[:16]})
    return hold_id


def release_hold(session: Session, sealer: Sealer, hold_id: UUID, by: str) -> None:
    """End a hold; what it suspended is found by the next run. Again changes nothing."""
    if not by.strip():
        raise ValueError("by: say who releases the hold")
    hold = session.get(Hold, hold_id, with_for_update=True)
    if hold is None:
        raise NotInLedger(
            f"hold {hold_id} is not in the ledger; the open ones are listed in the privacy desk"
        )
    if hold.released_at is not None:
        return
    hold.released_at = func.now()
    hold.released_by_sealed = sealer.seal_note(by, f"hold {hold_id} released by")
    session.flush()
    _count_up(session)
    append_evidence(session, "hold_released", {"hold": hold_id, "by": sealer.match("staff", by).hex()[:16]})


def holds(session: Session, sealer: Sealer) -> Holds:
    """The holds in force now."""
    by_scope: dict[str, set[str]] = {"subject": set(), "collection": set(), "store": set()}
    for row in hold_rows(session, sealer):
        if row.target is None:
            # Its key is missing: to go on would be to delete what is held.
            raise LedgerError(
                f"hold {row.id} is in force and its key is gone; restore it or release the hold"
            )
        by_scope[row.scope].add(row.target)
    return Holds(
        subjects=frozenset(by_scope["subject"]),
        collections=frozenset(by_scope["collection"]),
        stores=frozenset(by_scope["store"]),
    )


def hold_rows(session: Session, sealer: Sealer, *, released: bool = False) -> list[HoldRow]:
    """The cases in force (or, with ``released``, all), with their matter and reason."""
    query = (
        select(Hold, SealingKey.wrapped)
        .outerjoin(SealingKey, SealingKey.id == Hold.key_id)
        .order_by(Hold.placed_at, Hold.id)
    )
    if not released:
        query = query.where(Hold.released_at.is_(None))
    return [_row(sealer, hold, wrapped) for hold, wrapped in session.execute(query).all()]


def hold_version(session: Session) -> int:
    """Counts up with every hold placed or released."""
    version: int | None = session.scalar(select(HoldVersion.version))
    if version is None:
        raise LedgerError("ledger.hold_version is empty: holds cannot be read safely; run the migration")
    return version


def _count_up(session: Session) -> None:
    session.execute(
        update(HoldVersion).values(version=HoldVersion.version + 1),
        execution_options={"synchronize_session": False},
    )


def _check(matter: str, reason: str, placed_by: str, scope: str, target: str) -> None:
    for field, value in (
        ("matter", matter),
        ("reason", reason),
        ("placed_by", placed_by),
        ("target", target),
    ):
        if not value.strip():
            raise ValueError(
                f"{field}: is empty; a hold needs a matter, a reason, who places it and a target"
            )
    if scope not in get_args(Scope):
        raise ValueError(f"scope: {scope!r} is not one of {', '.join(get_args(Scope))}")
    store, dot, collection = target.partition(".")
    if scope == "collection" and not (store and dot and collection):
        raise ValueError("target: a collection is named store.collection, e.g. practice.attempts")


def _row(sealer: Sealer, hold: Hold, wrapped: bytes | None) -> HoldRow:
    key = unwrapped(sealer, hold.key_id, wrapped)
    plain = key.read_json(hold.sealed, f"hold {hold.id}") if key else {}
    return HoldRow(
        id=hold.id,
        scope=hold.scope,
        placed_at=hold.placed_at,
        released_at=hold.released_at,
        target=plain.get("target", hold.target),
        matter=plain.get("matter"),
        reason=plain.get("reason"),
        placed_by=plain.get("placed_by"),
    )
