"""Freezing: every identifier that leads to a person is collected before anything is destroyed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from include.privacy.planning.models import Member
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime

log = logging.getLogger(__name__)

BATCH = 1_000  # people per round trip; memory stays flat

Known = dict[str, dict[str, list[str]]]
"""Subject key → kind → values."""


def members(keys: Iterable[str]) -> Iterator[Member]:
    """Each person with the identifiers that all databases hold of them, in the order of ``keys``.

    With them come those that were corrected, which only the ledger remembers. One that is somebody else's
    today is not among them (``not_followed`` counts it): nobody can tell whose it is what stands under it.
    """
    databases = [s.store for s in runtime().stores() if isinstance(s, DatabaseMap)]
    source = iter(keys)
    while batch := list(islice(source, BATCH)):
        found: Known = {key: {} for key in batch}
        left_out: Counter[str] = Counter()
        for store in databases:
            for member in runtime().database(store).freeze_identifiers(batch):
                left_out[member.key] += member.not_followed
                for kind, values in member.identifiers.items():
                    known = found[member.key].setdefault(kind, [])
                    known += [v for v in values if v not in known]
        left_out.update(_add_former(found, databases))
        _tell(left_out)
        for key in batch:
            identifiers = {kind: tuple(values) for kind, values in found[key].items()}
            yield Member(key, identifiers, left_out[key])


def _add_former(found: Known, databases: Iterable[str]) -> Counter[str]:
    """Adds to everybody what identified them before a correction; returns how many values were left out."""
    wanted: dict[str, dict[str, list[str]]] = {}
    for key, kinds in runtime().ledger().former_identifiers(found).items():
        for kind, values in kinds.items():
            for value in values:
                if value not in found[key].get(kind, ()):
                    wanted.setdefault(kind, {}).setdefault(value, []).append(key)
    left_out: Counter[str] = Counter()
    for kind, by_value in wanted.items():
        users = _users(kind, by_value, databases)
        for value, keys in by_value.items():
            for key in keys:
                if users[value] - {key}:
                    left_out[key] += 1
                    continue
                known = found[key].setdefault(kind, [])
                known += [v for v in dict.fromkeys((value, value.lower())) if v not in known]
    return left_out


def _tell(left_out: Counter[str]) -> None:
    if left_out.total():
        log.warning(
            "%d former identifiers of %d people are somebody else's today and lead nowhere: what is known by "
            "nothing else stays with whoever has them now",
            left_out.total(),
            len(+left_out),
        )


def _users(kind: str, values: Mapping[str, object], databases: Iterable[str]) -> dict[str, set[str | None]]:
    """Value → who has it today; ``None``: somebody who has no account."""
    users: dict[str, set[str | None]] = {value: set() for value in values}
    for store in databases:
        database = runtime().database(store)
        for value, keys in database.holders(kind, list(values)).items():
            users[value] |= keys
        for value in database.copies(kind, list(values)):
            users[value].add(None)
    return users
