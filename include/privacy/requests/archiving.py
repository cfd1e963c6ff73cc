"""Access and portability (P6.1, P6.4): an archive for each request, made from one pass over all stores."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from include.privacy.archives.access import AccessArchive
from include.privacy.archives.contents import Person, open_contents
from include.privacy.archives.information import Answer, Recipient
from include.privacy.archives.portability import PortabilityArchive
from include.privacy.archives.writer import new_passphrase
from include.privacy.planning.exporting import Extract
from include.privacy.planning.models import Cohort
from include.privacy.requests import claimed, own_records
from include.privacy.runtime import runtime
from include.privacy.steps.freezing import members
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)

MOST_SHARDS = 4
LEAST_PER_SHARD = 25
AVAILABLE_FOR = timedelta(days=7)
"""As long as a link may be good (P6.1), and as long as an archive lives."""


class _Watched:
    """An extract that notes its store in ``seen`` once anything was in it."""

    def __init__(self, inner: Extract, seen: set[str]) -> None:
        self.inner, self.seen = inner, seen
        self.collection, self.redacted = inner.collection, inner.redacted

    def files(self) -> Iterator[Any]:
        return self._note(self.inner.files())

    def lines(self) -> Iterator[Any]:
        return self._note(self.inner.lines())

    def table(self) -> Iterator[Any]:
        return self.inner.table()

    def _note(self, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            self.seen.add(self.inner.collection.store)
            yield item


def claim(ledger_run: str, right: str, *, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Claim what waits, in a bounded number of shares: each costs a few statements, however many people."""
    ids = claimed.claim(ledger_run, right, params=params)
    count = max(1, min(MOST_SHARDS, len(ids) // LEAST_PER_SHARD))
    return [{"request_ids": ids[n::count]} for n in range(count) if ids[n::count]]


def build(ledger_run: str, right: str, request_ids: list[str]) -> dict[str, int]:
    """Make the archives of these requests in one pass over every store; returns counts.

    All stores are read as of one instant, for everybody with the same statements. A person whose archive
    fails is passed over and tried again by the next run; one that is made already stays.
    """
    as_of = read_run(ledger_run).as_of
    waiting = {r.subject_key: r for r in claimed.open_requests(request_ids) if not made(r)}
    counts: Counter[str] = Counter()
    if waiting:
        keys = [key for key in waiting if key is not None]
        people = list(members(keys))
        cohort = Cohort(uuid5(UUID(ledger_run), request_ids[0]), len(people), lambda: iter(people))
        portable = right == "portability"
        with open_contents(runtime().export_stores(), cohort, portable=portable) as contents:
            for person in contents:
                counts[_try(waiting[person.member.key], person, as_of)] += 1
                log.info("%s archives: %d of %d", right, sum(counts.values()), len(people))
    return dict(counts)


def made(request: RequestRow) -> bool:
    """Whether an archive of the request lies ready and its passphrase is still known."""
    noted = (request.details or {}).get("archive", {})
    return any(
        str(row.id) == noted.get("id") and row.object_key and row.deleted_at is None
        for row in runtime().ledger().archives(request.id)
    )


def _try(request: RequestRow, person: Person, as_of: datetime) -> str:
    try:
        _build(request, person, as_of)
    except Exception as error:
        log.exception("request %s: the archive could not be made: %s", request.id, type(error).__name__)
        return "failed"
    return "made"


def _build(request: RequestRow, person: Person, as_of: datetime) -> None:
    ledger, bucket = runtime().ledger(), runtime().archives()
    archive_id = ledger.intend_archive(request.id, bucket.name, as_of, as_of + AVAILABLE_FOR)
    passphrase = new_passphrase()
    # Sealed before the upload: an archive that nobody can open is no answer.
    ledger.note_details(request.id, {"archive": {"id": str(archive_id), "passphrase": passphrase}})
    seen: set[str] = set()
    archive = _archive(request, person, as_of, seen)
    stored = bucket.upload(archive_id, archive.packed(passphrase))
    ledger.record_archive(archive_id, stored.key, stored.version, stored.bytes, stored.sha256)
    rows = sum(found.rows for found in archive.found)
    stores = [s.name for s in runtime().export_stores()]
    outcomes: list[tuple[str, str, dict[str, Any]]] = [
        (s, "exported" if s in seen else "not_held", {}) for s in stores
    ]
    ledger.record_recipients([request.id], outcomes)
    redacted = sum(sum(found.redacted.values()) for found in archive.found)
    counts = {"collections": len(archive.found), "rows": rows, "redacted": redacted}
    if person.member.not_followed:
        counts["not_followed"] = person.member.not_followed
    ledger.append_evidence("archive_content", {"archive": archive_id, **counts}, request_id=request.id)
    ledger.note_details(request.id, {"archive": {"id": str(archive_id), "passphrase": passphrase, **counts}})


def _archive(
    request: RequestRow, person: Person, as_of: datetime, seen: set[str]
) -> AccessArchive | PortabilityArchive:
    config = runtime().config()
    watched: Iterator[Extract] = (_Watched(extract, seen) for extract in person.extracts())
    if request.right == "portability":
        return PortabilityArchive(watched, _answer(request, as_of, ()), config)
    recipients = tuple(_recipients(request, person))
    return AccessArchive(
        chain(watched, own_records.extracts(request)), _answer(request, as_of, recipients), config
    )


def _answer(request: RequestRow, as_of: datetime, recipients: tuple[Recipient, ...]) -> Answer:
    return Answer(request.external_id, request.received_at, as_of, recipients)


def _recipients(request: RequestRow, person: Person) -> Iterator[Recipient]:
    """Those of policy.yaml to whom data of this very person went (CJEU C-154/21)."""
    letters = [row for row in runtime().ledger().letters(request.id) if row.state in ("sent", "uncertain")]
    for known in runtime().config().policy.recipients:
        when = known.when
        if when == "letters" and not letters:
            continue
        if isinstance(when, dict) and not person.member.identifiers.get(when.get("identifier", "")):
            continue
        yield Recipient(
            known.name,
            known.what,
            known.purpose,
            known.country,
            known.safeguard,
            first_at=letters[0].claimed_at if when == "letters" else None,
            last_at=letters[-1].claimed_at if when == "letters" else None,
        )
