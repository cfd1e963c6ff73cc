"""Freezing: every identifier that leads to a person is collected before anything is destroyed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from include.privacy.planning.models import Member
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime

BATCH = 1_000  # people per round trip; memory stays flat


def members(keys: Iterable[str]) -> Iterator[Member]:
    """Each person with the identifiers that all databases hold of them, in the order of ``keys``."""
    databases = [runtime().database(s.store) for s in runtime().stores() if isinstance(s, DatabaseMap)]
    source = iter(keys)
    while batch := list(islice(source, BATCH)):
        found: dict[str, dict[str, list[str]]] = {key: {} for key in batch}
        for database in databases:
            for member in database.freeze_identifiers(batch):
                for kind, values in member.identifiers.items():
                    known = found[member.key].setdefault(kind, [])
                    known += [v for v in values if v not in known]
        for key in batch:
            yield Member(key, {kind: tuple(values) for kind, values in found[key].items()})
