"""Restriction (Art. 18 GDPR): while work on a person is under way, no job uses their data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.objection import GENERAL, RESTRICTIONS
from include.privacy.runtime import runtime
from include.privacy.steps import journal


def restrict(keys: Iterable[str], as_of: datetime) -> None:
    """Close the views of every database to these people, for all purposes but storage and legal claims."""
    wanted = list(keys)
    for store in _stores() if wanted else ():
        runtime().database(store).restrict(wanted, [GENERAL], "restriction", as_of)
    journal.note_restrictions(wanted, [GENERAL], "restriction", as_of)


def lift(keys: Iterable[str], as_of: datetime) -> None:
    """Open them again; objections, and restrictions for single purposes, stay in force."""
    wanted = list(keys)
    for store in _stores() if wanted else ():
        runtime().database(store).lift(wanted, [GENERAL], "restriction")
    journal.note_restrictions(wanted, [GENERAL], "restriction", as_of, active=False)


def _stores() -> list[str]:
    return [s.store for s in runtime().stores() if isinstance(s, DatabaseMap) and RESTRICTIONS in s.tables]
