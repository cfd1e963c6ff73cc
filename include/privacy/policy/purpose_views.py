"""The views through which the platform's jobs read for a purpose, described from the data map (no I/O).

A restriction is to a purpose what an erasure is to a table: the role whose erasure deletes a row hides
it, the role whose erasure replaces columns empties them. So the map says once whose a row is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from include.privacy.policy.data_map import (
    Column,
    DatabaseMap,
    IdentifierPath,
    KeyPath,
    Path,
    ReferencePath,
    StoreMap,
    Table,
)
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.objection import (
    RESTRICTION_COLUMNS,
    RESTRICTIONS,
    SUPPRESSED,
    SUPPRESSED_COLUMNS,
    closed_by_restriction,
    is_direct_marketing,
    readers,
    view_schema,
)
from include.privacy.policy.policy import Purpose
from include.privacy.policy.problems import Problem


@dataclass(frozen=True)
class PurposeView:
    """One view: the rows of ``table`` that may be used for ``purpose``, and the columns that serve it.

    ``hidden_for``: roles whose restriction hides the row. ``emptied_for``: per column, the roles whose
    restriction makes it null. ``closed_by_general``: whether a general restriction counts as well.
    """

    purpose: str
    reader: str
    table: str
    columns: tuple[str, ...]
    hidden_for: tuple[str, ...] = ()
    emptied_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    closed_by_general: bool = True

    @property
    def schema(self) -> str:
        """The schema of the purpose."""
        return view_schema(self.purpose)


@dataclass(frozen=True)
class LiveViews:
    """What a database has: columns of each view by (schema, view), and by reader the tables that it can
    use without a view, which it should not.
    """

    views: Mapping[tuple[str, str], tuple[str, ...]]
    direct: Mapping[str, Sequence[str]]


def purpose_views(db: DatabaseMap, purposes: Mapping[str, Purpose]) -> tuple[PurposeView, ...]:
    """All views of one database, by purpose and table, in the order of policy and map.

    A table without personal columns is shown whole where it names the purpose. For direct marketing
    there is a view of the suppression list too, with the marks of that purpose.
    """
    views = []
    for key, reader in readers(purposes).items():
        general = closed_by_restriction(key, purposes[key])
        for name, table in db.tables.items():
            if name in (RESTRICTIONS, SUPPRESSED):
                continue
            if columns := _columns(table, key):
                hidden, emptied = _by_role(table, columns)
                views.append(PurposeView(key, reader, name, columns, hidden, emptied, general))
        if is_direct_marketing(key) and SUPPRESSED in db.tables:
            views.append(PurposeView(key, reader, SUPPRESSED, ("mark", "since")))
    return tuple(views)


def identifier_sources(db: DatabaseMap, kind: str) -> list[tuple[str, str, str]]:
    """(table, role, column) from which the identifier leads to a person inside this database."""
    return [
        (name, role, column)
        for name, table in db.tables.items()
        for role, subject in list(table.subjects.items())[:1]
        if isinstance(path_end(db, subject.path), KeyPath)
        for column, described in table.columns.items()
        if described.identifier == kind
    ]


def path_end(db: DatabaseMap, path: Path) -> KeyPath | IdentifierPath | None:
    """Where a path ends after all of its references; None where the map does not say (reported elsewhere)."""
    seen: set[tuple[str, str]] = set()
    while isinstance(path, ReferencePath):
        table = db.tables.get(path.references)
        role = path.role or next(iter(table.subjects if table else ()), None)
        if table is None or role is None or role not in table.subjects or (path.references, role) in seen:
            return None
        seen.add((path.references, role))
        path = table.subjects[role].path
    return path


def view_problems(store: StoreMap, document: Document, purposes: Mapping[str, Purpose]) -> Iterator[Problem]:
    """What keeps the views of this store from leaving a restricted person out."""
    if not isinstance(store, DatabaseMap):
        yield from _bucket_problems(store, document, purposes)
        return
    yield from _contract_problems(store, document)
    views = purpose_views(store, purposes)
    if any(view.hidden_for for view in views) and RESTRICTIONS not in store.tables:
        readers_here = ", ".join(sorted({view.reader for view in views}))
        yield document.problem(
            ("tables",),
            f"{readers_here} would read here, and nothing says who is restricted: no table {RESTRICTIONS}",
            "create it as docs/INTEGRATION.md says, and map it",
        )
    for view in views:
        if view.table != SUPPRESSED:
            yield from _unreachable(store, view, document)


def compare_views(
    db: DatabaseMap, purposes: Mapping[str, Purpose], live: LiveViews, document: Document | None = None
) -> list[Problem]:
    """Views that are missing or other than the map says, and readers that can go around them."""
    file = document or Document(f"(data map of {db.store})")
    problems = []
    for view in purpose_views(db, purposes):
        if live.views.get((view.schema, view.table)) != view.columns:
            problems.append(
                file.problem(
                    ("tables", view.table, "purposes"),
                    f"the view {view.schema}.{view.table} is missing or has other columns",
                    "run `python -m include.privacy migrate`",
                )
            )
    for reader, tables in sorted(live.direct.items()):
        shown = ", ".join(tables[:5]) + (", …" if len(tables) > 5 else "")
        problems.append(
            file.problem(
                ("tables",),
                f"role {reader} can use {shown} without its views, so that an objection does not bind it",
                f"revoke its rights on tables of {db.schema_}, and its membership in roles that have them",
            )
        )
    return problems


def _unreachable(db: DatabaseMap, view: PurposeView, document: Document) -> Iterator[Problem]:
    table = db.tables[view.table]
    personal = [c for c in view.columns if table.columns[c].personal]
    loc: Loc = ("tables", view.table)
    if personal and not table.subjects:
        yield document.problem(
            loc,
            f"{view.reader} would read {', '.join(personal)} for {view.purpose}, and no path leads to the "
            "person whose objection counts",
            "say whose rows they are under `subjects:`, or take the purpose from the table",
        )
    roles = [*view.hidden_for, *(role for rs in view.emptied_for.values() for role in rs)]
    for role in dict.fromkeys(roles):
        end = path_end(db, table.subjects[role].path)
        if isinstance(end, IdentifierPath) and not identifier_sources(db, end.identifier):
            yield document.problem(
                (*loc, "subjects", role, "path"),
                f"for {view.purpose} the row must be hidden when its {role} objects, and in this database "
                f"no {end.identifier} leads to the person",
                "take the purpose from the table, or keep the identifier beside the key here",
            )


def _columns(table: Table, purpose: str) -> tuple[str, ...]:
    """The personal columns that serve the purpose, with those that are nobody's beside them."""
    personal = [c for c in table.columns.values() if c.personal]
    wanted = any(_serves(table, c, purpose) for c in personal) if personal else purpose in table.purposes
    return tuple(
        name
        for name, column in table.columns.items()
        if wanted
        and not column.secret
        and (_serves(table, column, purpose) or (not column.personal and column.purposes is None))
    )


def _serves(table: Table, column: Column, purpose: str) -> bool:
    named = column.purposes if column.purposes is not None else table.purposes
    return not column.secret and purpose in named


def _by_role(table: Table, columns: Sequence[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The roles that hide the row, and those that empty a column. The first role owns the row."""
    hidden: list[str] = []
    emptied: dict[str, tuple[str, ...]] = {}
    for number, (role, subject) in enumerate(table.subjects.items()):
        if number == 0 or subject.erasure.delete or not subject.erasure.anonymise:
            hidden.append(role)
            continue
        for column in columns:
            if column in subject.erasure.anonymise:
                emptied[column] = (*emptied.get(column, ()), role)
    return tuple(hidden), emptied


def _contract_problems(db: DatabaseMap, document: Document) -> Iterator[Problem]:
    for name, columns in ((RESTRICTIONS, RESTRICTION_COLUMNS), (SUPPRESSED, SUPPRESSED_COLUMNS)):
        table = db.tables.get(name)
        if table is not None and table.columns.keys() != columns:
            yield document.problem(
                ("tables", name, "columns"),
                f"are not those of the contract ({', '.join(sorted(columns))})",
                "create the table as docs/INTEGRATION.md says",
            )


def _bucket_problems(
    store: StoreMap, document: Document, purposes: Mapping[str, Purpose]
) -> Iterator[Problem]:
    if isinstance(store, DatabaseMap):
        return
    named = [(("content", i, "purposes"), c.purposes) for i, c in enumerate(store.content)]
    named += [(("backups", i, "purposes"), b.purposes) for i, b in enumerate(store.backups)]
    for loc, found in named:
        for key in set(found) & readers(purposes).keys():
            yield document.problem(
                loc,
                f"{readers(purposes)[key]} would read objects for {key}, and no view can leave anybody out",
                "take the purpose from the objects; a job reads what it may from a database",
            )
