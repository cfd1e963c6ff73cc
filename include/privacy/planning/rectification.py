"""Corrections: which values are accepted, and which columns of which stores hold the fact (Art. 16 GDPR).

Values are personal: they are in no message, no ``repr`` and no exception of this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from include.privacy.planning.field_values import refusal
from include.privacy.policy.data_map import DatabaseMap, DataMap
from include.privacy.policy.problems import suggestion
from include.privacy.policy.rectification_validation import owner_role, rectified_columns
from include.privacy.policy.rectify import Rectify

Values = Mapping[str, tuple[str, ...]]

#: Why a person's correction of one field was not made in a store.
RefusalCode = Literal["already_in_use", "not_accepted"]


@dataclass(frozen=True)
class Correction:
    """What one person has corrected: new values by field.

    ``identifiers`` are those frozen for the person, as for an erasure: rows that know nothing but an
    address are found by them. ``previous`` are the values already replaced elsewhere or by an earlier
    attempt, from the request's vault: copies and traces of them are looked for.
    """

    subject: str = field(repr=False)
    values: Mapping[str, str] = field(repr=False)
    identifiers: Values = field(default_factory=dict, repr=False)
    previous: Values = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Place:
    """A column that holds a field: it is written."""

    store: str
    table: str
    column: str
    role: str
    rectify: Rectify
    materialised: bool = False

    @property
    def label(self) -> str:
        """``table.column``, and the key of a document."""
        return f"{self.table}.{self.column}" + (f".{self.rectify.key}" if self.rectify.key else "")


@dataclass(frozen=True)
class Trace:
    """A column that records what a field was. ``reason`` says why it stays; without one its rows go."""

    store: str
    table: str
    column: str
    role: str
    field: str
    reason: str | None = None

    @property
    def label(self) -> str:
        """``table.column``."""
        return f"{self.table}.{self.column}"


@dataclass(frozen=True)
class FieldProblem:
    """Why a correction of one field cannot be made; the message names the field and never the value.

    ``unknown_field``: the map has no such field. ``record``: it is held only where it is kept as a record,
    so the person's view can be noted beside it. ``invalid``: the value does not fit the field.
    """

    field: str
    code: Literal["unknown_field", "record", "invalid"]
    message: str


@dataclass(frozen=True)
class RectificationPlan:
    """What a correction means: the accepted values, where they go, what stays as it was, what is refused.

    ``stores`` is the order of execution: the root store first, because there an address that somebody
    else has is refused before any copy is changed.
    """

    values: Mapping[str, str] = field(repr=False)
    stores: tuple[str, ...]
    places: tuple[Place, ...]
    traces: tuple[Trace, ...]
    kept: tuple[Trace, ...]
    problems: tuple[FieldProblem, ...]


@dataclass
class RectificationOutcome:
    """What happened in one store. Subject keys and old values are for the sealed ledger only.

    ``changed`` and ``removed`` count rows by ``table.column``. ``refused``: by person and field, why it was
    not corrected here. ``replaced``: by person and field, the values that are no longer there. ``held``:
    people under a legal hold, which does not forbid a correction: keep their old values until it ends.
    """

    store: str
    changed: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    refused: dict[str, dict[str, RefusalCode]] = field(default_factory=dict, repr=False)
    replaced: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict, repr=False)
    held: frozenset[str] = field(default=frozenset(), repr=False)
    chunks: int = 0
    longest_transaction_s: float = 0.0


@dataclass(frozen=True)
class RectificationCheck:
    """The look afterwards: rows by ``table.column`` that still hold a replaced value, and whose they are."""

    store: str
    remaining: Mapping[str, int]
    subjects: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def clean(self) -> bool:
        """Whether every corrected column says the new value."""
        return not any(self.remaining.values())


class RectificationError(RuntimeError):
    """A store could not carry corrections out. The message names store and kind of error, never a value."""


def plan_rectification(data_map: DataMap, values: Mapping[str, object]) -> RectificationPlan:
    """Which stores and columns change when a person corrects these fields.

    Values come from outside; those accepted are in the plan as they are to be written (trimmed, in
    Unicode form NFC, in lower case where the map says so).
    """
    accepted: dict[str, str] = {}
    problems: list[FieldProblem] = []
    known = rectifiable_fields(data_map)
    records = {t.field: t for db in _databases(data_map) for t in traces(db, None) if t.reason}
    for name, value in values.items():
        if name in known:
            written, why = refusal(known[name], value)
            if why is None:
                accepted[name] = written
            else:
                problems.append(FieldProblem(name, "invalid", f"{name} {why}"))
        elif name in records:
            problems.append(FieldProblem(name, "record", f"{name}: {records[name].reason}"))
        else:
            message = f"a field that cannot be corrected; {suggestion('', known)}"
            problems.append(FieldProblem("(unknown)", "unknown_field", message))
    found = [p for db in _databases(data_map) for p in places(db, accepted)]
    recorded = [t for db in _databases(data_map) for t in traces(db, accepted)]
    touched = {p.store for p in found} | {t.store for t in recorded if t.reason is None}
    return RectificationPlan(
        values=accepted,
        stores=tuple(db.store for db in _databases(data_map) if db.store in touched),
        places=tuple(found),
        traces=tuple(t for t in recorded if t.reason is None),
        kept=tuple(t for t in recorded if t.reason is not None),
        problems=tuple(problems),
    )


def rectifiable_fields(data_map: DataMap) -> dict[str, Rectify]:
    """The fields that a person may have corrected, with their validation."""
    found: dict[str, Rectify] = {}
    for db in _databases(data_map):
        for *_, rectify in rectified_columns(db):
            found.setdefault(rectify.field, rectify)
    return found


def identifying_fields(data_map: DataMap) -> dict[str, str]:
    """Field → kind of identifier, of the fields whose value leads to the person's rows elsewhere."""
    return {
        rectify.field: column.identifier
        for db in _databases(data_map)
        for _, _, _, column, rectify in rectified_columns(db)
        if column.identifier is not None and rectify.key is None
    }


def places(db: DatabaseMap, fields: Iterable[str]) -> tuple[Place, ...]:
    """The columns of one database that hold any of the fields."""
    wanted = set(fields)
    return tuple(
        Place(db.store, name, column, role, rectify, table.kind == "materialised_view")
        for (name, column), _, table, _, rectify in rectified_columns(db)
        if rectify.field in wanted and (role := owner_role(table, rectify.role)) is not None
    )


def traces(db: DatabaseMap, fields: Iterable[str] | None) -> tuple[Trace, ...]:
    """The columns of one database that record what any of the fields was; ``None``: of all fields."""
    wanted = None if fields is None else set(fields)
    return tuple(
        Trace(db.store, name, column_name, role, history.field, history.reason)
        for name, table in db.tables.items()
        for column_name, column in table.columns.items()
        if (history := column.history) is not None
        and (wanted is None or history.field in wanted)
        and (role := owner_role(table, history.role)) is not None
    )


def with_previous(
    corrections: Iterable[Correction], held: Mapping[str, Mapping[str, tuple[str, ...]]]
) -> list[Correction]:
    """The corrections with more values that they replace: what one store held is looked for in the next."""

    def merged(c: Correction, name: str) -> tuple[str, ...]:
        found = (*c.previous.get(name, ()), *held.get(c.subject, {}).get(name, ()))
        return tuple(dict.fromkeys(found))

    return [replace(c, previous={name: merged(c, name) for name in c.values}) for c in corrections]


def without_refused(
    corrections: Iterable[Correction], refused: Mapping[str, Mapping[str, object]]
) -> list[Correction]:
    """The corrections that are left for the next store once one has refused some."""
    left = []
    for c in corrections:
        values = {name: value for name, value in c.values.items() if name not in refused.get(c.subject, {})}
        if values:
            left.append(replace(c, values=values))
    return left


def fields_of(corrections: Sequence[Correction]) -> list[str]:
    """All fields that any of the corrections names."""
    return sorted({name for c in corrections for name in c.values})


def _databases(data_map: DataMap) -> Iterator[DatabaseMap]:
    """The databases in the order of execution, which is the reverse of erasure: the root first."""
    return (store for store in reversed(data_map.stores) if isinstance(store, DatabaseMap))
