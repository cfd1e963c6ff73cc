"""Who came back: erased people whom a store knows, by key or by an identifier that leads to nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID, uuid5

from include.privacy.planning.models import Member
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.replay.targets import Target, is_database, restored_database, since
from include.privacy.runtime import runtime
from include.privacy.steps.freezing import members
from include.privacy.steps.work import root_store

_BATCH = 5_000
_NOBODY = UUID("8b9bbcb1-6f0c-5f19-9a53-0c6c4e1f4d0e")


@dataclass
class Found:
    """Erased people in the stores of a replay. ``alive``: the root table lists them, so their key was given
    out again; ``in_use``: a living person has the identifier by now; ``earlier``: erased so long before the
    backup that it cannot hold them. Those three are left alone, and counted.
    """

    keys: dict[str, None] = field(default_factory=dict, repr=False)
    orphans: dict[tuple[str, str], None] = field(default_factory=dict, repr=False)
    alive: set[str] = field(default_factory=set, repr=False)
    in_use: set[tuple[str, str]] = field(default_factory=set, repr=False)
    earlier: set[str] = field(default_factory=set, repr=False)

    @property
    def people(self) -> int:
        """How many are to be erased again; rows that know nothing but an identifier count for it."""
        return len(self.keys) + len(self.orphans)

    def counts(self) -> dict[str, int]:
        """For evidence and logs."""
        return {
            "people": len(self.keys),
            "orphans": len(self.orphans),
            "alive": len(self.alive),
            "in_use": len(self.in_use),
            "earlier": len(self.earlier),
        }

    def subjects(self) -> Iterator[str]:
        """The key of each in a plan of the replay."""
        yield from self.keys
        yield from (_nobody(kind, value) for kind, value in self.orphans)

    def members(self, busy: frozenset[str] = frozenset()) -> Iterator[Member]:
        """Everybody with what identifies them in the stores; call it inside ``restored``."""
        yield from members(key for key in self.keys if key not in busy)
        for kind, value in self.orphans:
            key = _nobody(kind, value)
            if key not in busy:
                yield Member(key, {kind: tuple(dict.fromkeys((value, value.lower())))})


def find(targets: Sequence[Target]) -> Found:
    """Compare every key and loose identifier of the stores with the tombstones.

    Memory is that of a page and of those who were found. Call it inside ``restored``.
    """
    found, after = Found(), since(targets)
    candidates: dict[str, datetime] = {}
    for target in targets:
        for page in _pages(_subject_keys(target["store"])):
            candidates |= runtime().ledger().erasures_of("subject", page)
    _sort_keys(found, candidates, after, root_replayed=any(t["store"] == root_store() for t in targets))
    loose: dict[str, dict[str, None]] = {}
    for target in targets:
        if is_database(target["store"]):
            _match_loose(target["store"], after, loose)
    for kind, values in loose.items():
        _sort_loose(found, kind, list(values))
    return found


def _sort_keys(
    found: Found, candidates: dict[str, datetime], after: datetime | None, *, root_replayed: bool
) -> None:
    for page in _pages(candidates):
        alive = set() if root_replayed else runtime().root().existing_keys(page)
        for key in page:
            if key in alive:
                found.alive.add(key)
            elif after is not None and candidates[key] <= after:
                found.earlier.add(key)
            else:
                found.keys[key] = None


def _match_loose(store: str, after: datetime | None, loose: dict[str, dict[str, None]]) -> None:
    source = iter(restored_database(store).loose_identifiers())
    while batch := list(islice(source, _BATCH)):
        by_kind: dict[str, list[str]] = {}
        for kind, value in batch:
            by_kind.setdefault(kind, []).append(value)
        for kind, values in by_kind.items():
            erased = runtime().ledger().erasures_of(kind, values)
            new = {v: None for v, at in erased.items() if after is None or at > after}
            loose.setdefault(kind, {}).update(new)


def _sort_loose(found: Found, kind: str, values: Sequence[str]) -> None:
    """What an erased person of this replay holds is found with them; what a living one holds is theirs."""
    for page in _pages(values):
        holders: dict[str, set[str]] = {value: set() for value in page}
        for mapped in runtime().stores():
            if isinstance(mapped, DatabaseMap):
                for value, keys in runtime().database(mapped.store).holders(kind, page).items():
                    holders[value] |= keys
        for value, keys in holders.items():
            if keys - set(found.keys):
                found.in_use.add((kind, value))
            elif not keys:
                found.orphans[kind, value] = None


def _subject_keys(store: str) -> Iterator[str]:
    mapped = runtime().config().data_map[store]
    if not isinstance(mapped, BucketMap):
        yield from restored_database(store).subject_keys()
        return
    for content in mapped.content:
        base = content.prefix.removesuffix("{subject}/")
        for name in runtime().bucket(store).folder_names(base):
            yield name.removeprefix(base).strip("/")


def _nobody(kind: str, value: str) -> str:
    """A subject key that no row has: the rows are found by the identifier alone. Below zero, where keys
    are numbers; always the same for the same identifier.
    """
    digest = int.from_bytes(hashlib.blake2b(uuid5(_NOBODY, f"{kind}\x1f{value}").bytes).digest()[:8])
    match runtime().config().data_map.root.subject_key_type:
        case "uuid":
            return str(uuid5(_NOBODY, f"{kind}\x1f{value}"))
        case "text":
            return f"nobody {digest}"
        case "integer":
            return f"-{1 + digest % (10**9 - 1)}"
        case _:
            return f"-{1 + digest % (10**18 - 1)}"


def _pages(values: Iterable[str]) -> Iterator[list[str]]:
    source = iter(values)
    while page := list(islice(source, _BATCH)):
        yield page
