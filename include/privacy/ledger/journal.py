"""The replay journal: corrections, restrictions and suppressions that a restored backup does not know.

A closed request no longer leads to anybody, so what it came to has to be kept somewhere until the last
backup from before it is gone. It is kept here: sealed under the key of the tombstone epoch in which it
expires, found by keyed marks only, and forgotten with the person's erasure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.journal_rows import JournalEntry
from include.privacy.ledger.keys import DataKey
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.requests import SUBJECT
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.tombstones import epoch_key, living_keys

CORRECTION, RESTRICTION, SUPPRESSION = "correction", "restriction", "suppression"
_PAGE = 500


@dataclass(frozen=True)
class Entry:
    """One thing to be noted: ``name`` tells it from the others of the same person (or mark).

    ``key`` is the subject key, or ``None`` where nobody is named (a suppression is a mark already).
    ``body`` is sealed: it holds the new and replaced values of a correction, the purposes of a restriction.
    """

    name: str = field(repr=False)
    key: str | None = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    active: bool = True
    recorded_at: datetime | None = None


def note_in_journal(
    session: Session,
    sealer: Sealer,
    action: str,
    entries: Iterable[Entry],
    at: datetime,
    expires_at: datetime,
) -> int:
    """Note each entry in place of an earlier one of the same name; returns how many said something new.

    A correction takes over what the earlier one had replaced, since an older backup may hold either.
    ``ValueError`` when they would expire before they begin.
    """
    if expires_at <= at:
        raise ValueError(
            f"expires_at {expires_at.isoformat()} is not after {at.isoformat()}: with no backup left, note "
            "nothing"
        )
    epoch = expires_at.astimezone(UTC).date().replace(day=1)
    written, source = 0, iter(entries)
    while batch := list(islice(source, _PAGE)):
        lock_for(session, "tombstone_epoch", epoch)
        key = epoch_key(session, sealer, epoch, expires_at)
        marks = {_mark(sealer, action, entry): entry for entry in batch}
        known = _known(session, sealer, action, list(marks))
        marks = {mark: entry for mark, entry in marks.items() if not _noted(known.get(mark), entry)}
        rows = [
            {
                "action": action,
                "mark": mark,
                "epoch": epoch,
                "subject_match": sealer.match(SUBJECT, entry.key) if entry.key is not None else None,
                "active": entry.active,
                "recorded_at": at,
                "expires_at": expires_at,
                "sealed": key.seal_json(
                    {"key": entry.key, "name": entry.name, **_merged(known.get(mark), entry)},
                    _context(action, mark),
                ),
            }
            for mark, entry in sorted(marks.items())
        ]
        if not rows:
            continue
        new = insert(JournalEntry).values(rows)
        changed = {name: new.excluded[name] for name in rows[0] if name not in ("action", "mark")}
        session.execute(new.on_conflict_do_update(index_elements=["action", "mark"], set_=changed))
        written += len(rows)
    if written:
        body = {"action": action, "entries": written, "expires_at": expires_at}
        append_evidence(session, "journal_noted", body)
    return written


def journal(
    sessions: sessionmaker[Session], sealer: Sealer, action: str, since: datetime | None
) -> Iterator[Entry]:
    """What was noted after ``since`` (``None``: everything alive); a short transaction for each page."""
    after = b""
    while True:
        with sessions.begin() as session:
            keys = dict(living_keys(session, sealer))
            query = select(JournalEntry).where(JournalEntry.action == action, JournalEntry.mark > after)
            if since is not None:
                query = query.where(JournalEntry.recorded_at > since)
            rows = session.scalars(query.order_by(JournalEntry.mark).limit(_PAGE)).all()
            page = [_entry(keys, row) for row in rows]
        yield from page
        if len(rows) < _PAGE:
            return
        after = rows[-1].mark


def forget_people(session: Session, sealer: Sealer, keys: Iterable[str]) -> int:
    """Delete what was noted about these people: they are erased, and nothing of them is applied again."""
    gone, source = 0, iter(keys)
    while batch := list(islice(source, _PAGE)):
        marks = [sealer.match(SUBJECT, key) for key in batch]
        found = session.scalars(
            delete(JournalEntry).where(JournalEntry.subject_match.in_(marks)).returning(JournalEntry.mark)
        ).all()
        gone += len(found)
    if gone:
        append_evidence(session, "journal_forgotten", {"entries": gone, "because": "erasure"})
    return gone


def _known(session: Session, sealer: Sealer, action: str, marks: Sequence[bytes]) -> dict[bytes, Entry]:
    query = select(JournalEntry).where(JournalEntry.action == action, JournalEntry.mark.in_(marks))
    rows = session.scalars(query.with_for_update()).all()
    keys = dict(living_keys(session, sealer)) if rows else {}
    return {row.mark: _entry(keys, row) for row in rows}


def _noted(before: Entry | None, entry: Entry) -> bool:
    """Whether the journal says so already: backups from after that have it, so its dates may stay."""
    if before is None or before.active != entry.active:
        return False
    more = set(entry.body.get("replaced", ())) - set(before.body.get("replaced", ()))
    return not more and before.body.get("value") == entry.body.get("value")


def _merged(before: Entry | None, entry: Entry) -> dict[str, Any]:
    if before is None or "value" not in entry.body:
        return dict(entry.body)
    replaced = [*before.body.get("replaced", ()), before.body["value"], *entry.body.get("replaced", ())]
    kept = [v for v in dict.fromkeys(replaced) if v != entry.body["value"]]
    return {**entry.body, "replaced": kept}


def _entry(keys: Mapping[date, DataKey], row: JournalEntry) -> Entry:
    body = dict(keys[row.epoch].read_json(row.sealed, _context(row.action, row.mark)))
    key, name = body.pop("key"), body.pop("name")
    return Entry(name, key, body, row.active, row.recorded_at)


def _mark(sealer: Sealer, action: str, entry: Entry) -> bytes:
    return sealer.match(f"journal {action}", "\x1f".join((entry.key or "", entry.name)))


def _context(action: str, mark: bytes) -> str:
    return f"journal {action} {mark.hex()}"
