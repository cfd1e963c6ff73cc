"""Telling a person something: an answer in the platform's outbox, and a letter by e-mail, once each.

The outbox row is written first and is the answer; the letter says the same to whoever does not look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from include.privacy.requests.opening import UNKNOWN
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import LetterRow, RequestRow
    from include.privacy.letters.kinds import Facts
    from include.privacy.stores.postgres.contact import ContactPoint

log = logging.getLogger(__name__)

QUIET = timedelta(minutes=20)
"""After an uncertain send the provider's log is asked no earlier: it may lag behind."""
GIVE_UP = timedelta(hours=24)
"""A letter that is still uncertain then stays so, and says so; whoever waited for it goes on."""


def answer(request: RequestRow, what: str, body: Mapping[str, Any], *, account_gone: bool = False) -> None:
    """Put ``<right>_<what>`` into the outbox, once."""
    key = request.subject_key
    account = None if account_gone or key is None or key.startswith(UNKNOWN) else key
    runtime().postbox().answer(UUID(request.external_id), f"{request.right}_{what}", body, account_id=account)


def tell(
    request: RequestRow,
    kind: str,
    facts: Callable[[], Facts],
    as_of: datetime,
    *,
    contact: Callable[[], ContactPoint | None] | None = None,
) -> bool:
    """Send the letter of that kind, once; true when nothing more is to be done about it.

    ``facts``, and ``contact`` (where to; default :func:`contact_of`), are asked for only when it is
    about to be sent. False comes back while it is uncertain or the provider is busy: call again later. An
    uncertain letter is looked for in the provider's log after a while and sent again only when it is
    proven absent.
    """
    ledger = runtime().ledger()
    known = next((row for row in ledger.letters(request.id) if row.kind == kind), None)
    if known is None:
        claimed = ledger.claim_letter(request.id, kind, as_of)
        return claimed is not None and _send(request, facts, claimed, as_of, contact)
    if known.state in ("sent", "rejected", "no_address"):
        return True
    if known.state != "not_sent":
        if as_of - known.claimed_at < QUIET:
            return False
        found = runtime().mail().find(known.reference, known.claimed_at, as_of=as_of)
        if found == "sent":
            ledger.settle_letter(request.id, kind, "sent", as_of)
            return True
        if found == "unknown":
            ledger.settle_letter(request.id, kind, "uncertain", as_of)
            return as_of - known.claimed_at >= GIVE_UP
    return _send(request, facts, ledger.claim_letter_again(request.id, kind, as_of), as_of, contact)


def contact_of(request: RequestRow, *, on_file_at: datetime | None = None) -> ContactPoint | None:
    """Where letters to the person go; ``None`` when nobody is known or no address is on file."""
    root = runtime().config().data_map.root.root
    if root is None or root.contact is None:
        return None
    if request.subject_key is None or request.subject_key.startswith(UNKNOWN):
        return None
    return runtime().root().contact_of(request.subject_key, on_file_at=on_file_at)


def day(moment: datetime) -> date:
    """The calendar day in the company's zone: what letters name."""
    return moment.astimezone(ZoneInfo(runtime().config().policy.timezone)).date()


def head(request: RequestRow) -> dict[str, Any]:
    """The facts that every letter has."""
    return {
        "reference": request.external_id,
        "right": request.right,
        "received_on": day(request.received_at),
    }


def _send(
    request: RequestRow,
    facts: Callable[[], Facts],
    letter: LetterRow,
    as_of: datetime,
    contact: Callable[[], ContactPoint | None] | None,
) -> bool:
    from include.privacy.mail.port import MailNotSentError, MailRejectedError, MailUncertainError

    ledger = runtime().ledger()
    to = contact() if contact else contact_of(request)
    if to is None:
        ledger.settle_letter(request.id, letter.kind, "no_address", as_of)
        return True
    written = runtime().letters().render(letter.kind, facts(), language=to.language)
    try:
        receipt = runtime().mail().send(to.email, written, reference=letter.reference)
    except MailRejectedError as error:
        log.error("letter %s of request %s was rejected: %s", letter.kind, request.id, error)
        ledger.settle_letter(request.id, letter.kind, "rejected", as_of)
        return True
    except (MailNotSentError, MailUncertainError) as error:
        log.warning("letter %s of request %s: %s", letter.kind, request.id, error)
        state = "not_sent" if isinstance(error, MailNotSentError) else "uncertain"
        ledger.settle_letter(request.id, letter.kind, state, as_of)
        return False
    ledger.settle_letter(request.id, letter.kind, "sent", as_of, receipt.provider_id)
    return True
