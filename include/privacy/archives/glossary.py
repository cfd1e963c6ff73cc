"""What every exported field means, what it is processed for, how long it is kept, and who promised that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.privacy.planning.exporting import Collection, ExportField
from include.privacy.policy.categories import describe
from include.privacy.policy.data_map import DatabaseMap, KeepUntil, LegalBasis
from include.privacy.policy.policy import Policy, RecordAgeRule, SubjectLifecycleRule

if TYPE_CHECKING:
    from include.privacy.policy.loading import Config

BASES: dict[LegalBasis, str] = {
    "consent": "you agreed to it (Art. 6(1)(a) GDPR)",
    "contract": "it is needed for our contract with you (Art. 6(1)(b) GDPR)",
    "legal_obligation": "the law obliges us to (Art. 6(1)(c) GDPR)",
    "vital_interests": "it protects somebody's life (Art. 6(1)(d) GDPR)",
    "public_task": "it serves a public task (Art. 6(1)(e) GDPR)",
    "legitimate_interests": "we have a legitimate interest in it (Art. 6(1)(f) GDPR)",
}
ORIGINS = {
    "provided": "you gave it to us",
    "observed": "it comes from your use of the service",
    "inferred": "we, or other people, concluded or wrote it about you",
}


@dataclass(frozen=True)
class Retention:
    """How long something is kept, and the promise behind it."""

    text: str
    promise: str | None = None


def retention_of(config: Config, collection: Collection) -> Retention:
    """How long the rows of a collection are kept, from the rules that delete them."""
    if collection.retention is not None:
        return Retention(collection.retention)
    for rule in config.policy.rules:
        if isinstance(rule, RecordAgeRule) and (rule.store, rule.table) == (
            collection.store,
            collection.table,
        ):
            return Retention(f"Deleted {rule.target_days} days after {rule.clock}.", rule.promise)
    if collection.store in config.processors:
        return Retention(_lifetime(config.policy), config.processors[collection.store].promise)
    store = config.data_map[collection.store]
    if isinstance(store, DatabaseMap):
        erasure = store.tables[collection.table].subjects[collection.role].erasure
        if erasure.keep is not None:
            kept = f"Kept {_until(erasure.keep.until)}, also when your account is gone: {erasure.keep.reason}"
            return Retention(kept, "P4.4")
        if not erasure.delete:
            return Retention(
                f"Your part in it is removed with your account. {_lifetime(config.policy)}", "P4.2"
            )
    return Retention(_lifetime(config.policy), "P4.2")


def glossary(config: Config, collections: Iterable[tuple[str, Collection]]) -> list[dict[str, Any]]:
    """One entry for each file of rows, given with its path, and in it one for each field."""
    return [
        {
            "file": path,
            "collection": f"{collection.store}.{collection.name}",
            "description": collection.description,
            "your_role": collection.role,
            "retention": (kept := retention_of(config, collection)).text,
            "fields": [_field(config.policy, f, kept.promise) for f in collection.fields],
        }
        for path, collection in collections
    ]


def purposes_of(policy: Policy, keys: Iterable[str]) -> list[dict[str, str]]:
    """Purposes with their legal basis in words; unknown keys are shown as they are."""
    found = []
    for key in dict.fromkeys(keys):
        purpose = policy.purposes.get(key)
        if purpose is None:
            found.append({"purpose": key, "title": key, "legal_basis": "", "because": "", "promise": ""})
        else:
            basis = purpose.legal_basis
            found.append(
                {
                    "purpose": key,
                    "title": purpose.title,
                    "legal_basis": basis,
                    "because": BASES[basis],
                    "promise": purpose.promise,
                }
            )
    return found


def _field(policy: Policy, field: ExportField, kept: str | None) -> dict[str, Any]:
    purposes = purposes_of(policy, field.purposes)
    promises = [p["promise"] for p in purposes if p["promise"]] + ([kept] if kept else [])
    return {
        "field": field.name,
        "description": field.description or describe(field.category),
        "category": field.category,
        "origin": field.origin,
        "purposes": purposes,
        "promises": list(dict.fromkeys(promises)),
    }


def _until(until: KeepUntil) -> str:
    return f"until {until.days} days after {until.column}"


def _lifetime(policy: Policy) -> str:
    served = purged = None
    for rule in policy.rules:
        if isinstance(rule, SubjectLifecycleRule):
            if rule.action == "mark_deleted":
                served = rule.target_days
            else:
                purged = rule.limit_days
    return (
        f"As long as your account is served and {served} days more; "
        f"gone at most {purged} days after your account is deleted."
    )
