"""The last steps of a request: answered in the app, by letter, and closed; whoever joined it alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.requests import restricting, telling
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.letters.kinds import Facts
    from include.privacy.letters.reasons import RefusalReason
    from include.privacy.stores.postgres.contact import ContactPoint

LETTER_FOLLOWS = "letter_follows"
"""The request stays open until it is clear what became of its last letter; the next run goes on."""

RESTRICTED_MEANWHILE = ("erasure", "rectification")
"""Rights during whose work no job uses the person; however it ends, the restriction ends with it."""


def finish(
    request: RequestRow,
    state: str,
    body: Mapping[str, Any],
    kind: str,
    facts: Callable[[], Facts],
    as_of: datetime,
    *,
    what: str | None = None,
    record: Mapping[str, Any] | None = None,
    contact: Callable[[], ContactPoint | None] | None = None,
    account_gone: bool = False,
    residual_until: datetime | None = None,
    reason: str | None = None,
) -> str:
    """Answer and close; returns the state, or :data:`LETTER_FOLLOWS` while the letter is uncertain.

    ``body`` goes to the person through the outbox as ``<right>_<what>`` (default: the state), ``record``
    into the ledger (default: the body): counts, codes and dates only. May be called again.
    """
    for each in [request, *followers(request)]:
        telling.answer(each, what or state, body, account_gone=account_gone)
    if not telling.tell(request, kind, facts, as_of, contact=contact):
        return LETTER_FOLLOWS
    # The person knows now (Art. 18(3) GDPR). Before the closing, so that a crash in between repeats it.
    if request.right in RESTRICTED_MEANWHILE and request.subject_key is not None and not account_gone:
        restricting.lift([request.subject_key], as_of)
    runtime().ledger().close_request(
        request.id, state, residual_until, body if record is None else record, as_of, reason=reason
    )
    return state


def refuse(
    request: RequestRow, reason: RefusalReason, as_of: datetime, *, explanation: str | None = None
) -> str:
    """Refuse with the reason and both remedies (Art. 12(4) GDPR); returns as :func:`finish` does."""
    from include.privacy.letters.facts import Refused

    def facts() -> Facts:
        return Refused(**telling.head(request), reason=reason, explanation=explanation)

    body = {"outcome": "refused", "reason": reason.value}
    return finish(request, "refused", body, "refused", facts, as_of, reason=reason.value)


def followers(request: RequestRow) -> list[RequestRow]:
    """The requests that joined this one and are closed with it."""
    return [r for r in runtime().ledger().requests(["joined"]) if r.joined_to == request.id]
