"""Compares the data map with what really is in a store: nothing may live there that the map ignores.

Pure functions over the live schema as plain data; reading it is the store's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Literal

from include.privacy.policy.data_map import DatabaseMap, KeyPath, Path, ReferencePath, Table
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.live_rectification import rectification_problems_live
from include.privacy.policy.live_schema import LiveKey, LiveSchema, LiveTable
from include.privacy.policy.policy import (
    ObjectAgeRule,
    Policy,
    RecordAgeRule,
    SnapshotAgeRule,
    SubjectLifecycleRule,
)
from include.privacy.policy.problems import Problem, suggestion

_LETS_GO = {"SET NULL", "SET DEFAULT"}

Difference = Literal[
    "unknown_table",
    "unknown_column",
    "missing_table",
    "missing_column",
    "unmapped_foreign_key",
    "does_not_fit",
]
"""What kind of thing map and database do not agree on."""


def compare_with_live(
    db: DatabaseMap, live: LiveSchema, document: Document | None = None, policy: Policy | None = None
) -> list[Problem]:
    """Every table, column and foreign key that the map does not cover, and every mapped one that is gone.

    ``document`` points the problems at lines of the file; ``policy`` adds the clocks of its rules.
    """
    return [problem for _, problem in differences(db, live, document, policy)]


def differences(
    db: DatabaseMap, live: LiveSchema, document: Document | None = None, policy: Policy | None = None
) -> Iterator[tuple[Difference, Problem]]:
    """The problems of :func:`compare_with_live`, each with its kind."""
    file = document or Document(f"(data map of {db.store})")
    for name in sorted(live.tables.keys() - db.tables.keys()):
        yield "unknown_table", file.problem(
            ("tables",), f"the database has a table {name} that the map does not know",
            f"map it as `{name}:` with all of its columns, or drop it",
        )  # fmt: skip
    for name, table in db.tables.items():
        found = live.tables.get(name)
        if found is None:
            message = f"{db.store} has no such table"
            yield (
                "missing_table",
                file.problem(("tables", name), message, suggestion(name, live.tables)),
            )
        else:
            yield from _columns(name, table, found, file)
            fit = (_fit(name, table, found, file), _replacements(name, table, found, file))
            for problem in chain(*fit, _paths(name, table, live, file)):
                yield "does_not_fit", problem
    for key in live.foreign_keys:
        for problem in _foreign_key(db, key, file):
            yield "unmapped_foreign_key", problem
    for problem in chain(_clocks(db, live, file, policy), rectification_problems_live(db, live, file)):
        yield "does_not_fit", problem


def _fit(name: str, table: Table, found: LiveTable, file: Document) -> Iterator[Problem]:
    loc: Loc = ("tables", name)
    if found.kind != table.kind:
        yield file.problem(
            (*loc, "kind"), f"in the database it is a {found.kind}", f"write kind: {found.kind}"
        )
    if found.row_security:
        yield file.problem(
            loc, "row-level security hides rows from this role: what it cannot see it cannot erase",
            "grant the role BYPASSRLS, or add a policy that shows it every row",
        )  # fmt: skip
    if table.kind == "table" and (lacking := sorted(_needed(table) - found.privileges)):
        yield file.problem(
            loc,
            f"this role lacks {', '.join(lacking)}",
            "run the statements of `python -m include.privacy grants`",
        )


def _columns(
    name: str, table: Table, found: LiveTable, file: Document
) -> Iterator[tuple[Difference, Problem]]:
    loc: Loc = ("tables", name)
    for column in sorted(found.columns.keys() - table.columns.keys()):
        yield "unknown_column", file.problem(
            (*loc, "columns"), f"{name} has a column {column} that the map does not know",
            f"add `{column}: {{category: …}}`, or drop the column",
        )  # fmt: skip
    for column in table.columns.keys() - found.columns.keys():
        at = (*loc, "columns", column)
        message = f"{name} has no such column"
        yield "missing_column", file.problem(at, message, suggestion(column, found.columns))


def _needed(table: Table) -> set[str]:
    erasures = [s.erasure for s in table.subjects.values()]
    needed = {"SELECT"} if erasures else set()
    if any(e.delete for e in erasures):
        needed.add("DELETE")
    if any(e.anonymise for e in erasures):
        needed.add("UPDATE")
    return needed


def _replacements(name: str, table: Table, found: LiveTable, file: Document) -> Iterator[Problem]:
    for role, subject in table.subjects.items():
        base: Loc = ("tables", name, "subjects", role, "erasure")
        for column, replacement in subject.erasure.anonymise.items():
            live = found.columns.get(column)
            if live is None:
                continue
            loc = (*base, "anonymise", column)
            constant = "set" in replacement.model_fields_set
            if constant and replacement.set is None and not live.nullable:
                yield file.problem(loc, "the column is NOT NULL", "set a constant, or write {random: uuid}")
            if constant and replacement.set is not None and live.unique:
                yield file.problem(
                    loc,
                    "the column is unique: a constant fits one person only",
                    "write {random: uuid} or {set: null}",
                )
            if replacement.drop_keys is not None and live.type not in ("json", "jsonb"):
                yield file.problem(
                    loc, f"the column is {live.type}, not a document", "write {set: …} instead"
                )
        if subject.erasure.keep is not None:
            yield from _timestamp(
                found, subject.erasure.keep.until.column, file, (*base, "keep", "until"), dates=True
            )


def _paths(name: str, table: Table, live: LiveSchema, file: Document) -> Iterator[Problem]:
    for role, subject in table.subjects.items():
        path = subject.path
        if isinstance(path, ReferencePath) and path.key is None and path.references in live.tables:
            key = live.tables[path.references].primary_key
            if len(key) != len(path.columns):
                yield file.problem(
                    ("tables", name, "subjects", role, "path"),
                    f"the primary key of {path.references} is ({', '.join(key)}), which these do not match",
                    "name its columns pair by pair, or the columns that are meant under `key:`",
                )


def _foreign_key(db: DatabaseMap, key: LiveKey, file: Document) -> Iterator[Problem]:
    """A foreign key into personal rows must be a path, so that the map says what becomes of its row."""
    path = f"path {{columns: [{', '.join(key.columns)}], references: {key.references}}}"
    where = f"foreign key {key.name} ({key.table} → {key.references}, ON DELETE {key.on_delete})"
    child, parent = db.tables.get(key.table), db.tables.get(key.references)
    if child is None and parent is None:
        return
    if child is None:
        if "." in key.table:  # a table of another schema; one of this schema is reported as a table
            yield file.problem(
                ("tables", key.references), f"{where} comes from outside the mapped schema",
                "move the table into the schema and map it, or drop the foreign key",
            )  # fmt: skip
        return
    loc: Loc = ("tables", key.table)
    if parent is None:
        yield file.problem(
            loc, f"{where} leads to a table that the map does not know", f"map {key.references}"
        )
        return
    if not parent.subjects or key.on_delete in _LETS_GO:
        return
    if all(not s.erasure.delete and s.erasure.keep is None for s in parent.subjects.values()):
        return  # its rows stay, and let go of whoever they belonged to
    removed = any(s.erasure.delete for s in parent.subjects.values())
    along = [role for role, s in child.subjects.items() if _along(s.path, key)]
    replaced = any(set(s.erasure.anonymise) & set(key.columns) for s in child.subjects.values())
    if not child.subjects:
        if removed:
            yield file.problem(
                loc, f"{where}: its rows stop the deletion of a person's rows, or vanish with them unseen",
                f"give {key.table} a subject with {path}",
            )  # fmt: skip
    elif not (along or replaced or _same_person(child, parent, key)):
        yield file.problem(
            (*loc, "subjects"), f"{where} is no path of the map: it does not say what becomes of the row",
            f"add a role with {path}",
        )  # fmt: skip
    for role in along:
        erasure = child.subjects[role].erasure
        if removed and not erasure.delete and not replaced:
            effect = "would delete the kept row" if key.on_delete == "CASCADE" else "would stop the erasure"
            yield file.problem(
                (*loc, "subjects", role, "erasure"),
                f"{where} {effect}: what it points at is deleted",
                f"replace {', '.join(key.columns)} too, or declare the key ON DELETE SET NULL",
            )


def _along(path: Path, key: LiveKey) -> bool:
    if isinstance(path, ReferencePath):
        return path.references == key.references and set(path.columns) == set(key.columns)
    return path.column in key.columns


def _same_person(child: Table, parent: Table, key: LiveKey) -> bool:
    """Whether the key itself carries the subject key, so that both rows are the same person's."""
    own = {s.path.column for s in child.subjects.values() if isinstance(s.path, KeyPath)}
    theirs = {s.path.column for s in parent.subjects.values() if isinstance(s.path, KeyPath)}
    return any(a in own and b in theirs for a, b in zip(key.columns, key.referenced_columns, strict=True))


def _clocks(db: DatabaseMap, live: LiveSchema, file: Document, policy: Policy | None) -> Iterator[Problem]:
    root = live.tables.get(db.root.table) if db.root else None
    if db.root is not None and root is not None:
        if root.primary_key != (db.root.key,) and not (
            db.root.key in root.columns and root.columns[db.root.key].unique
        ):
            yield file.problem(
                ("root", "key"), "is not unique in the database", "write the primary key column"
            )
        for name in ("service_ended_at", "deleted_at"):
            yield from _timestamp(root, getattr(db.root.lifecycle, name), file, ("root", "lifecycle", name))
    for rule in policy.rules if policy else ():
        match rule:
            case RecordAgeRule() if rule.store == db.store and rule.table in live.tables:
                loc: Loc = ("tables", rule.table, "columns", rule.clock)
                yield from _timestamp(live.tables[rule.table], rule.clock, file, loc)
            case RecordAgeRule() | SubjectLifecycleRule() | ObjectAgeRule() | SnapshotAgeRule():
                pass


def _timestamp(
    table: LiveTable, column: str, file: Document, loc: Loc, *, dates: bool = False
) -> Iterator[Problem]:
    found = table.columns.get(column)
    if found is None or found.type.endswith(" with time zone"):
        return
    if not (dates and found.type == "date"):
        yield file.problem(
            loc, f"the column {column} is {found.type}: it names no instant", "make it timestamptz"
        )
