"""A finding of the audit of the data map: it names the promise that it breaks itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.privacy.audits.findings import Finding
from include.privacy.policy.looks import CATEGORIES, SECRET, WORDS, Kind
from include.privacy.policy.policy import Policy
from include.privacy.policy.promised import NECESSARY, promise_of

CLOUD_PROMISES: Mapping[str, str] = {"s3": "P5.3", "gcs": "P5.4"}
"""Kind of bucket → the promise that names whose it is."""


@dataclass(frozen=True)
class MapFinding(Finding):
    """``promise``: which one it breaks; the same code can break several, by what is found."""

    promise: str = NECESSARY


def about(policy: Policy, category: str | None) -> str:
    """The promise that speaks of the category, or that nothing else is collected."""
    return (promise_of(policy, category) if category else None) or NECESSARY


def of_content(policy: Policy, kind: Kind, count: int, looked: int, where: str, fix: str) -> MapFinding:
    """Values look personal where the map says that nothing is: counts, the kind and the place."""
    code = (
        "secret_content" if kind in SECRET else "free_text" if kind is Kind.free_text else "personal_content"
    )
    what = f"{count} of {looked} values looked at in {where} look like {WORDS[kind]}"
    return MapFinding(code, what, fix, about(policy, CATEGORIES[kind]))


CONTENT_CODES = ("personal_content", "secret_content", "free_text")
