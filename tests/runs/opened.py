"""Requests that are in the ledger without a run of the intake, and the letters that were sent about them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from include.privacy.requests.opening import Opening, open_request

if TYPE_CHECKING:
    from include.sandbox.processors.mailbox import Mail
    from tests.runs.conftest import Estate


def opened(
    estate: Estate,
    offset: int,
    right: str = "access",
    *,
    received_at: datetime | None = None,
    verified: bool = True,
    subject: str | None = None,
    details: dict[str, Any] | None = None,
) -> UUID:
    """A request of the ``offset``-th active account, or of ``subject``; received at the estate's instant."""
    account = subject or estate.value(
        "accounts",
        "SELECT id FROM accounts WHERE status = 'active' AND id < 900000000 ORDER BY id OFFSET %s LIMIT 1",
        offset,
    )
    at = received_at or estate.as_of
    request = open_request(
        Opening(
            external_id=str(uuid4()),
            right=right,
            subject_key=str(account),
            channel="letter",
            received_at=at,
            verification={"method": "in_person"} if verified else {},
            verified_at=at if verified else None,
            details=details or {},
        ),
        at,
    )
    estate.ledger.acknowledge_request(request)
    return request


def letters_of(estate: Estate, request: UUID) -> list[Mail]:
    """The mails that were sent about a request, the oldest first."""
    from include.sandbox.processors.mailbox import read_mailbox

    references = {row.reference for row in estate.ledger.letters(request)}
    return [mail for mail in read_mailbox(estate.world) if mail.reference in references]
