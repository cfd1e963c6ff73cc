"""The answer to an erasure: what was erased, what is kept, who was told, and who is still at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.clock import due_at, parse_instant
from include.privacy.evidence import certificates
from include.privacy.evidence.certificate_page import page_of
from include.privacy.requests import telling
from include.privacy.requests.answering import finish
from include.privacy.requests.notifying import told
from include.privacy.requests.retaining import kept_in_words
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RecipientRow, RequestRow
    from include.privacy.letters.facts import Independent, Kept
    from include.privacy.stores.postgres.contact import ContactPoint

DONE = ("erased", "redacted")


@dataclass(frozen=True)
class Erased:
    """What the stores have done: when, until when backups may hold the person, what is kept and why."""

    at: datetime
    residual: datetime | None
    retained: Mapping[str, list[str]]

    def as_json(self) -> dict[str, Any]:
        """To be noted with the request while recipients are at work."""
        residual = self.residual.isoformat() if self.residual else None
        return {"at": self.at.isoformat(), "residual": residual, "retained": dict(self.retained)}

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> Erased:
        """What was noted."""
        residual = parse_instant(noted["residual"]) if noted["residual"] else None
        return cls(parse_instant(noted["at"]), residual, noted["retained"])


def answer_erasure(request: RequestRow, erased: Erased, as_of: datetime) -> str:
    """Close the request, with the last letter, once no recipient is open; returns its state.

    The letter goes to the address that was sealed before the erasure.
    """
    from include.privacy.letters.facts import Completed

    recipients = _processors(request)
    kept_there = tuple(_kept_by(recipients))
    state = "completed_with_retention" if erased.retained or kept_there else "completed"
    answer: dict[str, Any] = {
        "outcome": state,
        "residual_until": erased.residual.isoformat() if erased.residual else None,
        "kept": dict(erased.retained),
        "recipients": {row.recipient: row.state for row in recipients},
    }
    issued = certificates.issue(request, state, as_of, as_of)
    proof: dict[str, Any] = {}
    if issued is not None:
        proof = {"certificate": issued.for_the_person(), "page": page_of(issued.document)}

    def facts() -> Completed:
        policy = runtime().config().policy
        return Completed(
            **telling.head(request),
            completed_on=telling.day(as_of),
            kept=(*kept_in_words(erased.retained), *kept_there),
            residual_until=telling.day(erased.residual) if erased.residual else None,
            told=tuple(told(request.id, *DONE)),
            independent=tuple(_independent(recipients)),
            record_until=telling.day(due_at(as_of, policy.request_records_days)),
            certified=issued is not None,
        )

    return finish(
        request,
        state,
        {**answer, **proof},
        "completed",
        facts,
        as_of,
        record={**answer, "certificate": issued.version if issued else None},
        contact=contact_before(request),
        account_gone=True,
        residual_until=erased.residual,
    )


def tell_who_is_at_work(request: RequestRow, erased: Erased, as_of: datetime) -> bool:
    """The answer within the due date where a recipient takes longer (Art. 12(3) GDPR); sent once.

    True when nothing more is to be done about it.
    """
    from include.privacy.letters.facts import RecipientsPending, Waiting

    recipients = _processors(request)
    waiting = [row for row in recipients if row.open]

    def facts() -> RecipientsPending:
        return RecipientsPending(
            **telling.head(request),
            erased_on=telling.day(erased.at),
            waiting=tuple(
                Waiting(name=_title(row), until=telling.day(row.until) if row.until else None)
                for row in waiting
            ),
            kept=(*kept_in_words(erased.retained), *_kept_by(recipients)),
            residual_until=telling.day(erased.residual) if erased.residual else None,
            independent=tuple(_independent(recipients)),
        )

    body = {
        "outcome": "recipients_pending",
        "waiting": {row.recipient: row.until.isoformat() if row.until else None for row in waiting},
    }
    telling.answer(request, "recipients_pending", body, account_gone=True)
    return telling.tell(request, "recipients_pending", facts, as_of, contact=contact_before(request))


def contact_before(request: RequestRow) -> Any:
    """Where the person could be reached before the erasure: a function, as letters ask for it."""
    sealed = (request.details or {}).get("contact")

    def contact() -> ContactPoint | None:
        from include.privacy.stores.postgres.contact import ContactPoint

        return ContactPoint(**sealed) if sealed else None

    return contact


def _processors(request: RequestRow) -> list[RecipientRow]:
    mapped = runtime().config().processors
    return [row for row in runtime().ledger().recipients(request.id) if row.recipient in mapped]


def _title(row: RecipientRow) -> str:
    return runtime().config().processors[row.recipient].title


def _independent(recipients: Sequence[RecipientRow]) -> Iterator[Independent]:
    from include.privacy.letters.facts import Independent

    for row in recipients:
        mapped = runtime().config().processors[row.recipient]
        if mapped.role == "controller" and row.state != "not_held":
            yield Independent(name=mapped.title, url=mapped.privacy_url)


def _kept_by(recipients: Sequence[RecipientRow]) -> Iterator[Kept]:
    """What each processor keeps, on which ground, until when; and our own copy where we made one first."""
    from include.privacy.letters.facts import Kept

    for row in recipients:
        mapped = runtime().config().processors[row.recipient]
        for outcome in row.detail.get("objects", ()):
            if outcome["state"] != "retained":
                continue
            keep = mapped.keeps.get(outcome["kind"])
            until = parse_instant(outcome["until"]) if outcome.get("until") else None
            yield Kept(
                what=f"{outcome['kind'].replace('_', ' ')} ({mapped.title})",
                ground=outcome.get("basis") or (keep.basis if keep else "legal_obligation"),
                why=keep.reason if keep else None,
                until=telling.day(until) if until else None,
            )
