"""What an archive holds of one database: which rows in which role, which columns, and what is withheld.

A row of several people is exported once for each of them, in the first role that the person fills.
Columns of a role that somebody else fills are withheld, or, where that depends on the row, redacted
in it (Art. 15(4) and 20(4) GDPR).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.models import PlanError
from include.privacy.policy.categories import describe
from include.privacy.policy.data_map import STAFF, Column, DatabaseMap, Subject, Table
from include.privacy.policy.map_model import Origin
from include.privacy.policy.sharing import earlier_roles, owners, path_columns

REDACTED = "[redacted]"
"""Stands in an access archive for a value that is somebody else's."""


class Reason(StrEnum):
    """Why a column is not in an archive."""

    secret = "secret"  # noqa: S105 - a word, not a password
    staff = "staff"
    other_person = "other_person"
    inferred = "inferred"


@dataclass(frozen=True)
class ExportField:
    """One exported column.

    ``type`` as PostgreSQL prints it. ``only_if``: roles of which the person has to fill one as well,
    or the value is redacted in that row. ``file``: the value is a file of its own in the archive, and
    the row holds its path.
    """

    name: str
    type: str = "text"
    description: str = ""
    category: str = "user"
    origin: Origin = "observed"
    purposes: tuple[str, ...] = ()
    only_if: tuple[str, ...] = ()
    file: bool = False


@dataclass(frozen=True)
class Withheld:
    """A column that is left out of a collection altogether. ``roles``: whose it is instead."""

    column: str
    reason: Reason
    description: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collection:
    """The rows of one table (or the objects under one prefix) that a person has in one role.

    ``key`` are the fields that tell rows apart, where all of them are exported. ``retention`` is said
    by whoever is no part of the data map; for its tables and prefixes the policy says it.
    """

    store: str
    table: str
    role: str = ""
    description: str = ""
    fields: tuple[ExportField, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    key: tuple[str, ...] = ()
    first_role: bool = True
    consultations: str | None = None
    retention: str | None = None

    @property
    def name(self) -> str:
        """The table, with the role where it is not the owner's: ``mentor_reviews.mentor``."""
        return self.table if self.first_role else f"{self.table}.{self.role}"


@dataclass(frozen=True)
class StoredFile:
    """A file of the archive: where it lies there, and its bytes as a stream that is read once."""

    path: str
    chunks: Iterable[bytes]


class Extract(Protocol):
    """What one person has in one collection. Read ``files`` first, then the rows; each in one go.

    All raise what the store raises when it is lost midway; the archive is then made again.
    """

    collection: Collection
    redacted: Counter[str]
    """How many values were redacted, by field; complete once ``lines`` has been read."""

    def files(self) -> Iterator[StoredFile]:
        """The files that the rows name."""

    def lines(self) -> Iterator[Sequence[str]]:
        """Batches of rows, each a JSON object as text."""

    def table(self) -> Iterator[Sequence[Sequence[str | None]]]:
        """The same rows, each value as text in the order of ``collection.fields``."""


@dataclass
class Records:
    """An extract of records in memory: the ledger's, a processor's. Values are JSON-able."""

    collection: Collection
    records: Sequence[Mapping[str, object]]
    attached: Sequence[StoredFile] = ()
    redacted: Counter[str] = field(default_factory=Counter)

    def files(self) -> Iterator[StoredFile]:
        """See :class:`Extract`."""
        return iter(self.attached)

    def lines(self) -> Iterator[Sequence[str]]:
        """See :class:`Extract`."""
        if self.records:
            yield [json.dumps(self._row(r), ensure_ascii=False, default=str) for r in self.records]

    def table(self) -> Iterator[Sequence[Sequence[str | None]]]:
        """See :class:`Extract`."""
        if self.records:
            yield [[_text(value) for value in self._row(r).values()] for r in self.records]

    def _row(self, record: Mapping[str, object]) -> dict[str, object]:
        return {f.name: record.get(f.name) for f in self.collection.fields}


def collections_of(
    database: DatabaseMap, live: LiveSchema, *, portable: bool = False
) -> tuple[Collection, ...]:
    """Every table of the map in every role, with what is shown of it.

    ``portable`` leaves out what was inferred, and collections of which then nothing but keys remains
    (Art. 20(1) GDPR: data that the person has provided). Raises :class:`PlanError` where the archive
    would be incomplete without anybody noticing: a table, column or privilege that is missing,
    row-level security.
    """
    if problems := list(_problems(database, live)):
        raise PlanError(
            f"store {database.store!r}: nothing was exported, because the archive would be incomplete:\n"
            + "\n".join(f"  - {p}" for p in problems)
        )
    found = (
        _collection(database.store, name, table, role, live, portable=portable)
        for name, table in database.tables.items()
        for role in table.subjects
    )
    return tuple(c for c in found if not portable or _has_data(database.tables[c.table], c))


def _problems(database: DatabaseMap, live: LiveSchema) -> Iterator[str]:
    for name, table in database.tables.items():
        if not table.subjects:
            continue
        found = live.tables.get(name)
        if found is None:
            yield f"table {name!r} is in the data map but not in schema {live.schema!r}: correct the map"
            continue
        missing = [c for c in table.columns if c not in found.columns]
        if missing:
            yield f"{name} has no column {', '.join(missing)}: remove or rename it in the data map"
        if found.row_security:
            yield (
                f"row-level security hides rows of {name!r} from this role; "
                "grant BYPASSRLS or a policy that shows every row"
            )
        if "SELECT" not in found.privileges:
            yield f"this role lacks SELECT on {name!r}: `python -m include.privacy grants`"


def _collection(
    store: str, name: str, table: Table, role: str, live: LiveSchema, *, portable: bool
) -> Collection:
    subject = table.subjects[role]
    earlier = earlier_roles(table, role)
    fields: list[ExportField] = []
    withheld: list[Withheld] = []
    for column, described in table.columns.items():
        text = described.description or describe(described.category)
        may = owners(table, column)
        origin = origin_of(table, subject, described)
        only_if = () if role in may else tuple(r for r in table.subjects if r in may and r not in earlier)
        if STAFF in may:
            withheld.append(Withheld(column, Reason.staff, text))
        elif role not in may and not only_if:
            withheld.append(Withheld(column, Reason.other_person, text, tuple(sorted(may))))
        elif described.secret:
            withheld.append(Withheld(column, Reason.secret, text))
        elif portable and origin == "inferred":
            withheld.append(Withheld(column, Reason.inferred, text))
        else:
            type_ = live.tables[name].columns[column].type
            purposes = described.purposes if described.purposes is not None else table.purposes
            fields.append(
                ExportField(
                    column, type_, text, described.category, origin, purposes, only_if, type_ == "bytea"
                )
            )
    shown = {f.name for f in fields if not f.only_if}
    key = live.tables[name].primary_key
    return Collection(
        store=store,
        table=name,
        role=role,
        description=_title(name, table, role),
        fields=tuple(fields),
        withheld=tuple(withheld),
        key=key if shown.issuperset(key) else (),
        first_role=not earlier,
        consultations=table.consultations,
    )


def _title(name: str, table: Table, role: str) -> str:
    if title := table.subjects[role].title:
        return title
    text = table.title or table.description or name
    return text if not earlier_roles(table, role) else f"{text} ({role})"


def origin_of(table: Table, subject: Subject, column: Column) -> Origin:
    """Where the value comes from, as seen in the role of ``subject``."""
    return subject.origin or column.origin or table.origin


def _has_data(table: Table, collection: Collection) -> bool:
    """Whether more is left than what leads to the person."""
    leads = {c for s in table.subjects.values() for c in path_columns(s.path)}
    leads -= {f.name for f in collection.fields if f.origin == "provided"}
    return any(table.columns[f.name].personal and f.name not in leads for f in collection.fields)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
