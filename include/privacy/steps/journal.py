"""What a restored backup would not know: noted when it happens, for as long as such a backup may exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from include.privacy.clock import due_at
from include.privacy.policy.policy import ObjectAgeRule, SnapshotAgeRule
from include.privacy.runtime import runtime
from include.privacy.steps.residue import holds_invoices

if TYPE_CHECKING:
    from include.privacy.ledger.journal import Entry


def keep_until(at: datetime) -> datetime | None:
    """When the last backup captured before ``at`` is gone for good: no bucket has to be asked.

    ``None`` when no rule speaks of backups.
    """
    limits = [
        rule.limit_days
        for rule in runtime().config().policy.rules
        if isinstance(rule, ObjectAgeRule | SnapshotAgeRule) and not holds_invoices(rule)
    ]
    return due_at(at, max(limits)) if limits else None


def note_restrictions(
    keys: Iterable[str], purposes: Sequence[str], reason: str, at: datetime, *, active: bool = True
) -> None:
    """These people's data were closed for the purposes, or (not ``active``) opened again."""
    from include.privacy.ledger.journal import RESTRICTION, Entry

    entries = (
        Entry(f"{purpose}\x1f{reason}", key, {"purpose": purpose, "reason": reason}, active)
        for key in keys
        for purpose in purposes
    )
    _note(RESTRICTION, entries, at)


def note_suppressions(marks: Iterable[bytes], purpose: str, at: datetime) -> None:
    """These marks of contacts were put on the suppression list; they outlive their people's erasure."""
    from include.privacy.ledger.journal import SUPPRESSION, Entry

    entries = (
        Entry(f"{purpose}\x1f{mark.hex()}", None, {"purpose": purpose, "mark": mark.hex()}) for mark in marks
    )
    _note(SUPPRESSION, entries, at)


def note_correction(
    key: str,
    values: Mapping[str, str],
    replaced: Mapping[str, Sequence[str]],
    identifiers: Mapping[str, Sequence[str]],
    at: datetime,
) -> None:
    """The person's fields were corrected everywhere; ``replaced``: what a backup may say instead."""
    from include.privacy.ledger.journal import CORRECTION, Entry

    known = {kind: list(found) for kind, found in identifiers.items()}
    entries = (
        Entry(
            name,
            key,
            {"value": value, "replaced": list(replaced.get(name, ())), "identifiers": known},
        )
        for name, value in values.items()
    )
    _note(CORRECTION, entries, at)


def _note(action: str, entries: Iterable[Entry], at: datetime) -> None:
    until = keep_until(at)
    if until is not None:
        runtime().ledger().note_in_journal(action, entries, at, until)
