"""Cohort, plan and outcome: the shapes that planner, stores, ledger and DAGs share (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from include.privacy.policy.data_map import Path, Replacement


@dataclass(frozen=True, slots=True)
class Member:
    """One person of a cohort: the subject key (as text) and the identifiers frozen for them.

    ``not_followed``: how many of their former identifiers are somebody else's today and therefore not among
    them. It is counted while freezing; a frozen cohort does not have it.
    """

    key: str
    identifiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_followed: int = 0


@dataclass(frozen=True)
class Cohort:
    """The people a plan acts on. ``members`` streams them anew at each call, in a fixed order."""

    id: UUID
    size: int
    members: Callable[[], Iterator[Member]]


class Verb(StrEnum):
    """What a step does to the rows it matches."""

    delete = "delete"
    anonymise = "anonymise"
    keep = "keep"
    refresh = "refresh"


class Model(BaseModel):
    """Frozen JSON-able value."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(Model):
    """One verb on one table for one role. ``matched`` is the exact count when planned."""

    table: str
    role: str
    verb: Verb
    path: Path | None = None
    replacements: dict[str, Replacement] = {}
    kept_because: str | None = None
    matched: int = 0


class Plan(Model):
    """What will be done to one store. Groups are executed in order; the steps of one group in one
    statement (a foreign-key cycle cannot be cut into two).

    ``population`` is the number of subjects (or rows, objects) in the store: the guard's share is
    measured against it.
    """

    id: UUID
    cohort_id: UUID | None
    store: str
    action: Literal["erase", "expire_rows", "expire_objects"]
    rule: str | None = None
    as_of: datetime
    groups: tuple[tuple[Step, ...], ...] = ()
    shards: int = 1
    subjects: int = 0
    population: int = 0
    matched: int = 0
    params: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in order, groups flattened."""
        return tuple(step for group in self.groups for step in group)

    @property
    def digest(self) -> str:
        """SHA-256 of the content without the id: equal plans, equal digests."""
        return sha256(self.model_dump_json(exclude={"id"}).encode()).hexdigest()


@dataclass
class Outcome:
    """What happened in one store; counts per collection (table or prefix)."""

    store: str
    matched: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    anonymised: dict[str, int] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    held_subjects: int = 0
    blocked: list[str] = field(default_factory=list)
    chunks: int = 0
    longest_transaction_s: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class ProbeResult:
    """Rows or objects still found, per collection; ``clean`` when none but the held."""

    store: str
    checked_subjects: int
    remaining: Mapping[str, int]
    held_subjects: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is left."""
        return not any(self.remaining.values())


@dataclass(frozen=True)
class Holds:
    """The legal holds in force at one instant."""

    subjects: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()

    def covers_store(self, store: str) -> bool:
        """Whether the whole store is held."""
        return store in self.stores

    def tables(self, store: str) -> frozenset[str]:
        """The held collections of a store (holds name them ``store.collection``)."""
        prefix = f"{store}."
        return frozenset(c.removeprefix(prefix) for c in self.collections if c.startswith(prefix))


class HoldGate(Protocol):
    """Holds, re-read at the moment of deletion.

    Inside ``with gate() as holds:`` no new hold can be placed; a hold that is placed waits for
    the end of the chunk and binds every later one.
    """

    def __call__(self) -> AbstractContextManager[Holds]:
        """Opens the gate for one chunk."""


class Superseded(RuntimeError):  # noqa: N818 - an outcome of a race, not a fault
    """Another copy of this task has taken over; this one stopped before its next chunk."""


class PlanError(ValueError):
    """The plan cannot be made safely; nothing was deleted. The message says what to change."""
