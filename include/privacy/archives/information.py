"""The information beside the data: Art. 15(1) and (2) GDPR, tailored to the person (EDPB 01/2022)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.archives.glossary import purposes_of, retention_of
from include.privacy.clock import require_utc
from include.privacy.planning.exporting import Collection
from include.privacy.policy.categories import describe
from include.privacy.policy.policy import Information, ObjectAgeRule, Policy, SnapshotAgeRule

if TYPE_CHECKING:
    from include.privacy.policy.loading import Config

RIGHTS = (
    ("Access", "Art. 15 GDPR", "to know what we hold about you: this archive"),
    ("Rectification", "Art. 16 GDPR", "to have wrong data corrected and missing data completed"),
    ("Erasure", "Art. 17 GDPR", "to have your data deleted"),
    ("Restriction", "Art. 18 GDPR", "to have your data kept but not used while a question is open"),
    ("Portability", "Art. 20 GDPR", "to take what you gave us along in a structured format"),
    ("Objection", "Art. 21 GDPR", "to object to what we do in our own interest; to advertising at any time"),
    ("Withdrawal", "Art. 7(3) GDPR", "to withdraw a consent for the future"),
    ("Complaint", "Art. 77 GDPR", "to complain to the supervisory authority"),
)  # fmt: skip


@dataclass(frozen=True)
class Recipient:
    """Somebody to whom this person's data were really disclosed (CJEU C-154/21), by name.

    ``what``: which data, in words. ``safeguard``: what a transfer outside the EU rests on (Art. 46).
    """

    name: str
    what: str
    purpose: str
    country: str
    safeguard: str | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True)
class Consultation:
    """When, and for what, somebody at the company looked at the person's data (CJEU C-579/21); not who."""

    at: datetime
    purpose: str


@dataclass(frozen=True)
class Answer:
    """What the archive says about the request that it answers; nothing here is personal.

    ``as_of`` is the instant that the archive speaks of. ``notes`` tell what is missing or pending,
    such as a processor that has not answered yet.
    """

    request_id: str
    received_at: datetime
    as_of: datetime
    recipients: tuple[Recipient, ...] = ()
    consultations: tuple[Consultation, ...] = ()
    notes: tuple[str, ...] = ()


def information(
    config: Config, answer: Answer, found: Iterable[tuple[str, Collection, int]]
) -> dict[str, Any]:
    """The information as data. ``found``: path, collection and number of rows of all that was found.

    Raises ``ValueError`` when policy.yaml does not say who answers for the processing.
    """
    fixed = fixed_information(config.policy)
    rows = list(found)
    fields = [f for _, collection, _ in rows for f in collection.fields]
    personal = {f.category for f in fields if f.category == "user" or f.category.startswith("user.")}
    return {
        "request": answer.request_id,
        "received_at": _instant(answer.received_at),
        "as_of": _instant(answer.as_of),
        "data_found": bool(rows),
        "controller": fixed.controller.model_dump(),
        "data_protection_officer": fixed.officer,
        "purposes": purposes_of(config.policy, [p for f in fields for p in f.purposes]),
        "categories": [{"category": c, "description": describe(c)} for c in sorted(personal)],
        "recipients": [_recipient(r) for r in answer.recipients],
        "retention": [
            {
                "collection": f"{collection.store}.{collection.name}",
                "period": (kept := retention_of(config, collection)).text,
                "promise": kept.promise,
            }
            for _, collection, _ in rows
        ],
        "backups": _backups(config.policy),
        "rights": [{"right": r, "law": law, "text": text} for r, law, text in RIGHTS],
        "authority": fixed.authority.model_dump(),
        "sources": fixed.sources,
        "automated_decisions": fixed.automated_decisions,
        "transfers": fixed.transfers,
        "consultations": [{"at": _instant(c.at), "purpose": c.purpose} for c in answer.consultations],
        "consultation_logs": [
            {"file": path, "entries": count, "when": collection.consultations}
            for path, collection, count in rows
            if collection.consultations
        ],
        "notes": list(answer.notes),
    }


def fixed_information(policy: Policy) -> Information:
    """The part that is the same for everybody. Raises ``ValueError`` when policy.yaml lacks it."""
    if policy.information is None:
        raise ValueError(
            "policy.yaml has no `information:`, and no archive may go out without it (Art. 15(1) GDPR); "
            "add controller, officer, authority, sources, automated_decisions and transfers"
        )
    return policy.information


def _backups(policy: Policy) -> str:
    aged = [r for r in policy.rules if isinstance(r, ObjectAgeRule | SnapshotAgeRule)]
    limits = [r.limit_days for r in aged if r.promise == "P4.3"]
    if not limits:
        return ""
    return (
        "Backups hold earlier copies of the same data. They are not searched for this archive, serve no "
        f"other purpose than restoring the service, and are deleted after {max(limits)} days at most."
    )


def _recipient(recipient: Recipient) -> dict[str, Any]:
    return {
        "name": recipient.name,
        "what": recipient.what,
        "purpose": recipient.purpose,
        "country": recipient.country,
        "safeguard": recipient.safeguard,
        "first_at": _instant(recipient.first_at) if recipient.first_at else None,
        "last_at": _instant(recipient.last_at) if recipient.last_at else None,
    }


def _instant(moment: datetime) -> str:
    return require_utc(moment).isoformat()
