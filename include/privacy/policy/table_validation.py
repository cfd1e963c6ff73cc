"""Whether each mapped table reaches its people and says enough about their erasure."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from include.privacy.policy.data_map import (
    STAFF,
    Column,
    DatabaseMap,
    IdentifierPath,
    ReferencePath,
    Subject,
    Table,
)
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.problems import Problem, suggestion
from include.privacy.policy.sharing import path_columns


def table_problems(
    db: DatabaseMap, document: Document, identifier_sources: AbstractSet[str] | None
) -> Iterator[Problem]:
    """Problems of all tables; ``identifier_sources=None`` when other stores are not known yet."""
    for name, table in db.tables.items():
        loc: Loc = ("tables", name)
        yield from _column_problems(table, document, loc)
        yield from _export_problems(table, document, loc)
        for role, subject in table.subjects.items():
            at: Loc = (*loc, "subjects", role)
            yield from _path_problems(db, name, role, document, (*at, "path"), identifier_sources)
            yield from _erasure_problems(name, table, subject, document, (*at, "erasure"))
        yield from _leftovers(table, document, loc)


def referenced_role(db: DatabaseMap, path: ReferencePath) -> str | None:
    """The role that the reference means; ``None`` when it is not clear or does not exist."""
    table = db.tables.get(path.references)
    if table is None:
        return None
    if path.role is not None:
        return path.role if path.role in table.subjects else None
    return next(iter(table.subjects)) if len(table.subjects) == 1 else None


def _column_problems(table: Table, document: Document, loc: Loc) -> Iterator[Problem]:
    if not table.columns:
        yield document.problem((*loc, "columns"), "is empty", "map every column of the table")
    for name, column in table.columns.items():
        at = (*loc, "columns", name)
        purposes = column.purposes if column.purposes is not None else table.purposes
        if column.personal and not purposes:
            yield document.problem(
                at,
                "is personal and has no purpose",
                "give the table or the column `purposes: […]`, or stop collecting it",
            )
        if column.looks_like and column.personal:
            yield document.problem(
                (*at, "looks_like"),
                "excuses a column that is personal anyway",
                "remove it, or correct the category",
            )
        if column.identifier and not column.personal:
            yield document.problem(
                (*at, "category"),
                "an identifier of a person is personal",
                "write e.g. category: user.unique_id",
            )
    unmapped = [
        c for c, column in table.columns.items() if column.personal and column.unmasked_because is None
    ]
    if not table.subjects and unmapped and table.kind == "table":
        yield document.problem(
            loc,
            f"has personal columns ({', '.join(unmapped)}) and no subjects",
            "say whose rows they are under `subjects:`, or why they stay with `unmasked_because:` on each",
        )


def _export_problems(table: Table, document: Document, loc: Loc) -> Iterator[Problem]:
    """Roles and columns that archives are told to go by."""
    if STAFF in table.subjects:
        yield document.problem(
            (*loc, "subjects", STAFF), "staff stands for employees in `of:`", "call the role something else"
        )
    if table.consultations is not None and table.consultations not in table.columns:
        yield document.problem(
            (*loc, "consultations"),
            f"the map has no column {table.consultations}",
            suggestion(table.consultations, table.columns),
        )
    for name, column in table.columns.items():
        yield from _sharing_problems(table, column, document, (*loc, "columns", name))


def _sharing_problems(table: Table, column: Column, document: Document, loc: Loc) -> Iterator[Problem]:
    unknown = [role for role in column.of or () if role not in table.subjects and role != STAFF]
    for role in unknown:
        yield document.problem(
            (*loc, "of"), f"the table has no role {role}", suggestion(role, [*table.subjects, STAFF])
        )
    if column.of and STAFF in column.of and len(column.of) > 1:
        yield document.problem(
            (*loc, "of"), "a column is either of staff or of people", "write [staff], or the roles alone"
        )
    if column.file_name is not None and column.file_name not in table.columns:
        yield document.problem(
            (*loc, "file_name"),
            f"the map has no column {column.file_name}",
            suggestion(column.file_name, table.columns),
        )


def _path_problems(
    db: DatabaseMap, name: str, role: str, document: Document, loc: Loc, sources: AbstractSet[str] | None
) -> Iterator[Problem]:
    table = db.tables[name]
    path = table.subjects[role].path
    for column in path_columns(path):
        if column not in table.columns:
            yield document.problem(
                loc, f"{name} has no column {column} in the map", suggestion(column, table.columns)
            )
    if isinstance(path, IdentifierPath):
        if sources is not None and path.identifier not in sources:
            yield document.problem(
                (*loc, "identifier"),
                f"no table with its own path to the person holds the identifier {path.identifier}",
                f"mark the column that does with `identifier: {path.identifier}`"
                if not sources
                else suggestion(path.identifier, sources),
            )
    elif isinstance(path, ReferencePath):
        yield from _reference_problems(db, name, role, path, document, loc)


def _reference_problems(
    db: DatabaseMap, name: str, role: str, path: ReferencePath, document: Document, loc: Loc
) -> Iterator[Problem]:
    target = db.tables.get(path.references)
    if target is None:
        yield document.problem(
            (*loc, "references"),
            f"the map of {db.store} has no such table",
            suggestion(path.references, db.tables),
        )
        return
    if target.kind != "table":
        yield document.problem((*loc, "references"), "is a materialised view", "refer to the table behind it")
    for column in path.key or ():
        if column not in target.columns:
            yield document.problem(
                (*loc, "key"),
                f"{path.references} has no column {column} in the map",
                suggestion(column, target.columns),
            )
    if path.key is not None and len(path.key) != len(path.columns):
        yield document.problem(
            (*loc, "key"), "has another number of columns than `columns`", "name them pair by pair"
        )
    if referenced_role(db, path) is None:
        roles = ", ".join(target.subjects) or "none"
        message = (
            f"{path.references} has no role {path.role}"
            if path.role
            else f"it is not clear whose row of {path.references} is meant"
        )
        yield document.problem(
            (*loc, "role"),
            message,
            f"write `role:` with one of its roles ({roles})"
            if target.subjects
            else f"give {path.references} subjects",
        )
    elif _loops(db, name, role):
        yield document.problem(
            loc,
            "the path returns to where it began and reaches nobody",
            "start from a column that leads to the person",
        )


def _loops(db: DatabaseMap, name: str, role: str) -> bool:
    seen = set()
    here = (name, role)
    while here not in seen:
        seen.add(here)
        path = db.tables[here[0]].subjects[here[1]].path
        if not isinstance(path, ReferencePath):
            return False
        next_role = referenced_role(db, path)
        if next_role is None:  # reported where it is written
            return False
        here = (path.references, next_role)
    return True


def _erasure_problems(
    name: str, table: Table, subject: Subject, document: Document, loc: Loc
) -> Iterator[Problem]:
    erasure = subject.erasure
    if table.kind == "materialised_view" and not erasure.delete:
        yield document.problem(
            loc, "a materialised view is refreshed, not rewritten", "write erasure: delete"
        )
    for column in erasure.anonymise:
        if column not in table.columns:
            yield document.problem(
                (*loc, "anonymise", column),
                f"{name} has no such column in the map",
                suggestion(column, table.columns),
            )
    named: list[tuple[Loc, str]] = []
    if erasure.keep is not None:
        named.append((("keep", "until", "column"), erasure.keep.until.column))
    if erasure.decide is not None:
        named.append((("decide", "column"), erasure.decide.column))
    for where, column in named:
        if column not in table.columns:
            yield document.problem(
                (*loc, *where), f"{name} has no such column in the map", suggestion(column, table.columns)
            )
    if erasure.keep is None and not erasure.delete:
        cut = [
            c
            for c in path_columns(subject.path)
            if c in erasure.anonymise and erasure.anonymise[c].drop_keys is None
        ]
        if not cut:
            columns = ", ".join(path_columns(subject.path))
            yield document.problem(
                (*loc, "anonymise"),
                "the rows still lead to the person: that is pseudonymous, not anonymous",
                f"replace {columns} too (e.g. {{set: null}}), or say with `keep:` why the link stays",
            )


def _leftovers(table: Table, document: Document, loc: Loc) -> Iterator[Problem]:
    """Personal columns of the owner (the first role) that would survive the erasure."""
    if not table.subjects or table.kind != "table":
        return
    owner, *others = table.subjects.items()
    erasure = owner[1].erasure
    if erasure.delete:
        return
    settled = set(erasure.anonymise) | {c for _, other in others for c in path_columns(other.path)}
    if erasure.keep is not None:
        settled |= set(path_columns(owner[1].path))
    for name, column in table.columns.items():
        if column.personal and name not in settled and column.unmasked_because is None:
            yield document.problem(
                (*loc, "columns", name),
                f"is personal and would survive the erasure of {owner[0]}",
                f"replace it under subjects.{owner[0]}.erasure.anonymise, or say `unmasked_because:`",
            )
