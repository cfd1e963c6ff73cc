"""Handing an archive over: a link and a passphrase in the app, a letter with the link, and it is closed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.archives.transmit import (
    Package,
    TransmissionRefusedError,
    TransmissionUncertainError,
    transmit,
)
from include.privacy.requests import claimed, telling
from include.privacy.requests.answering import finish
from include.privacy.requests.archiving import made
from include.privacy.requests.events import add_event
from include.privacy.requests.intake import request_ids
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, current_instant, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import ArchiveRow, RequestRow
    from include.privacy.letters.kinds import Facts
    from include.privacy.stores.archive_bucket import StoredArchive

log = logging.getLogger(__name__)


class ArchivesOpenError(FindingError):
    """Some archives could not be made or handed over; the message has counts only."""


def hand_over(
    ledger_run: str, shares: list[dict[str, Any]] | None = None, *, outlet_events: Any = None
) -> dict[str, int]:
    """Answer every request whose archive lies ready, and close it; ends the run.

    Wakes what waits for the person to be answered first (an erasure). The passphrase travels through the
    outbox only; the ledger's copy is destroyed with the closing.
    """
    as_of = read_run(ledger_run).as_of
    counts: Counter[str] = Counter()
    for request in claimed.open_requests([i for share in shares or [] for i in share["request_ids"]]):
        try:
            counts[_hand_over(request, as_of)] += 1
        except Exception as error:
            log.exception("request %s could not be answered: %s", request.id, type(error).__name__)
            counts["open"] += 1
    runtime().ledger().close_run(UUID(ledger_run), {"as_of": as_of.isoformat(), "requests": dict(counts)})
    log.info("archives: %s", dict(counts) or "none waited")
    if shares is None or counts["open"]:
        raise ArchivesOpenError(
            f"{counts['open']} of {sum(counts.values())} archives are not handed over; the next sweep goes "
            "on with them, and the log of build says what stopped it"
        )
    if counts["completed"]:
        add_event(outlet_events, "answered_requests")
    return dict(counts)


def revoke_archive(*, params: Mapping[str, Any] | None = None) -> int:
    """Remove the archives of one request now, so that its links lead nowhere; returns how many there were.

    ``request_id`` as the ledger or the platform knows it. Raises ``ValueError`` naming the field.
    """
    given = request_ids([(params or {}).get("request_id")]) or []
    ledger, bucket, at = runtime().ledger(), runtime().archives(), current_instant()
    living = [row for row in ledger.archives(given[0]) if row.deleted_at is None]
    if not living:
        raise ValueError("request_id: no archive of this request is there; nothing is to be revoked")
    ledger.revoke_archives(given[0], at, "revoked")
    for row in living:
        bucket.revoke(row.id)
        ledger.record_archive_deleted(row.id, at)
    log.info("request %s: %d archives revoked", given[0], len(living))
    return len(living)


def expire_archives(ledger_run: str) -> dict[str, int]:
    """Remove archives that are expired, revoked or were never finished, every version of them."""
    ledger, bucket = runtime().ledger(), runtime().archives()
    as_of = read_run(ledger_run).as_of
    counts: Counter[str] = Counter()
    for row in ledger.expired_archives(as_of):
        bucket.revoke(row.id)
        ledger.record_archive_deleted(row.id, as_of)
        counts[row.delete_reason or "expired"] += 1
    ledger.close_run(UUID(ledger_run), {"removed": dict(counts)})
    log.info("archives removed: %s", dict(counts) or "none")
    return dict(counts)


def _hand_over(request: RequestRow, as_of: datetime) -> str:
    if not made(request):
        return "open"
    ledger = runtime().ledger()
    noted = dict((request.details or {})["archive"])
    (row,) = (r for r in ledger.archives(request.id) if str(r.id) == noted["id"])
    stored = _stored(row)
    if request.right == "portability" and not _transmitted(request, stored, as_of):
        return "open"
    url = runtime().archives().link(stored, row.expires_at - as_of)
    body = {
        "outcome": "completed",
        "url": url,
        "passphrase": noted["passphrase"],
        "expires_at": row.expires_at.isoformat(),
    }
    record = {
        "outcome": "completed",
        "archive": noted["id"],
        **{name: noted[name] for name in ("collections", "rows", "redacted") if name in noted},
    }

    def facts() -> Facts:
        from include.privacy.letters.facts import Ready

        return Ready(
            **telling.head(request),
            download_url=url,
            available_until=row.expires_at,
            redacted=bool(noted.get("redacted")),
        )

    return finish(request, "completed", body, "ready", facts, as_of, what="ready", record=record)


def _transmitted(request: RequestRow, stored: StoredArchive, as_of: datetime) -> bool:
    """Send the package where the person wants it (Art. 20(2) GDPR); true when there is nothing more to do.

    A receiver that refuses is told to the person by the answer, who has the archive all the same.
    """
    address = (request.details or {}).get("transmit_to")
    ledger = runtime().ledger()
    told = [r for r in ledger.recipients(request.id) if r.recipient == "transmission"]
    if address is None or any(not row.open for row in told):
        return True
    key, key_id = runtime().transmission_key()
    package = Package(stored.archive_id, stored.bytes, stored.sha256, runtime().archives().read(stored))
    hosts = runtime().config().policy.transmission_hosts
    detail: dict[str, Any]
    try:
        receipt = transmit(str(address), package, hosts, key, key_id, as_of=as_of)
        state, detail = "exported", {"host": receipt.host, "status": receipt.status}
    except TransmissionRefusedError as error:
        log.error("request %s: %s", request.id, error)
        state, detail = "manual", {"why": str(error)}
    except TransmissionUncertainError as error:
        # The receiver knows the archive by its id, so that sending it again does no harm.
        log.warning("request %s: %s", request.id, error)
        ledger.record_recipient(request.id, "transmission", "pending", None, {"why": str(error)})
        return False
    ledger.record_recipient(request.id, "transmission", state, None, detail)
    return True


def _stored(row: ArchiveRow) -> StoredArchive:
    from include.privacy.stores.archive_bucket import StoredArchive

    assert row.object_key and row.object_version and row.sha256 and row.size is not None
    return StoredArchive(row.id, row.object_key, row.object_version, row.size, row.sha256)
