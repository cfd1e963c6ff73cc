"""Data map and live foreign keys to ordered steps: what erasing anybody means in one database."""

from __future__ import annotations

from include.privacy.planning.catalogue import ForeignKey, LiveSchema
from include.privacy.planning.graph import children_first
from include.privacy.planning.models import PlanError, Step, Verb
from include.privacy.policy.data_map import DatabaseMap, Keep, ReferencePath, Subject, Table

Groups = tuple[tuple[Step, ...], ...]


def references_of(database: DatabaseMap, live: LiveSchema) -> dict[str, set[str]]:
    """Which table points at which: live foreign keys, and paths that no foreign key backs."""
    points_at: dict[str, set[str]] = {name: set() for name in database.tables}
    for key in live.foreign_keys:
        if key.table in points_at and key.references in points_at:
            points_at[key.table].add(key.references)
    for name, table in database.tables.items():
        for subject in table.subjects.values():
            if isinstance(subject.path, ReferencePath):
                points_at[name].add(subject.path.references)
    return points_at


def erasure_groups(database: DatabaseMap, live: LiveSchema) -> Groups:
    """The steps of an erasure, in the order in which they run.

    Within a group of tables that reference each other, rows that stay are changed first (so that
    nothing that is kept points at what goes), then all deletes run as one statement: foreign keys
    are checked at its end. Materialised views are refreshed last.

    Raises :class:`PlanError`, listing everything that makes the erasure unsafe.
    """
    problems = [*_missing(database, live), *_access(database, live), *_foreign_keys(database, live)]
    if problems:
        raise PlanError(
            f"store {database.store!r}: nothing was deleted, because the erasure cannot be planned safely:\n"
            + "\n".join(f"  - {p}" for p in problems)
        )
    groups: list[tuple[Step, ...]] = []
    tables = [n for n, t in database.tables.items() if t.kind == "table" and t.subjects]
    for names in children_first(tables, references_of(database, live)):
        steps = [_step(n, role, s) for n in names for role, s in database.tables[n].subjects.items()]
        groups += [(step,) for step in steps if step.verb is not Verb.delete]
        deletes = tuple(step for step in steps if step.verb is Verb.delete)
        if len(names) == 1:
            groups += [(step,) for step in deletes]
        elif deletes:
            groups.append(deletes)
    groups += [
        (Step(table=n, role="", verb=Verb.refresh),)
        for n, t in database.tables.items()
        if t.kind == "materialised_view"
    ]
    return tuple(groups)


def cuts_the_link(subject: Subject) -> bool:
    """Whether the disposition removes the very columns that lead to the person."""
    path = subject.path
    columns = path.columns if isinstance(path, ReferencePath) else (path.column,)
    return any(column in subject.erasure.anonymise for column in columns)


def kept_because(keep: Keep) -> str:
    """Basis, reason and end of what the law keeps, as plan, outcome and answer say it."""
    return f"{keep.basis}: {keep.reason}; until {keep.until.days} days after {keep.until.column}"


def _step(table: str, role: str, subject: Subject) -> Step:
    erasure = subject.erasure
    if erasure.delete:
        return Step(table=table, role=role, verb=Verb.delete, path=subject.path)
    kept = kept_because(erasure.keep) if erasure.keep else None
    return Step(
        table=table,
        role=role,
        verb=Verb.keep if erasure.keep else Verb.anonymise,
        path=subject.path,
        replacements=erasure.anonymise,
        kept_because=kept,
    )


def _missing(database: DatabaseMap, live: LiveSchema) -> list[str]:
    problems = []
    for name, table in database.tables.items():
        found = live.tables.get(name)
        if found is None:
            problems.append(
                f"table {name!r} is in the data map but not in schema {live.schema!r}: correct the map"
            )
            continue
        problems += [
            f"column {name}.{column} is in the data map but not in the database: remove or rename it there"
            for column in table.columns
            if column not in found.columns
        ]
    return problems


def _access(database: DatabaseMap, live: LiveSchema) -> list[str]:
    problems = []
    for name, table in database.tables.items():
        found = live.tables.get(name)
        if found is None or not table.subjects:
            continue
        if found.row_security:
            problems.append(
                f"row-level security hides rows of {name!r} from this role, "
                "which cannot erase what it cannot see; grant BYPASSRLS or a policy that shows every row"
            )
        if table.kind == "materialised_view":
            continue
        missing = sorted(_privileges(table) - found.privileges)
        lacking = ", ".join(missing)
        if missing:
            problems.append(f"this role lacks {lacking} on {name!r}: `python -m include.privacy grants`")
    return problems


def _privileges(table: Table) -> set[str]:
    needed = {"SELECT"}
    for subject in table.subjects.values():
        if subject.erasure.delete:
            needed.add("DELETE")
        if subject.erasure.anonymise:
            needed.add("UPDATE")
    return needed


def _foreign_keys(database: DatabaseMap, live: LiveSchema) -> list[str]:
    deleted = {n for n, t in database.tables.items() if any(s.erasure.delete for s in t.subjects.values())}
    return [
        problem
        for key in live.foreign_keys
        if key.references in deleted and (problem := _uncovered(key, database)) is not None
    ]


def _uncovered(key: ForeignKey, database: DatabaseMap) -> str | None:
    where = f"foreign key {key.name!r} ({key.table} → {key.references}, ON DELETE {key.on_delete})"
    table = database.tables.get(key.table)
    if table is None:
        return f"{where} comes from a table that the data map does not know: map {key.table!r}"
    if key.on_delete in ("SET NULL", "SET DEFAULT"):
        return None
    for subject in table.subjects.values():
        if subject.erasure.delete or any(c in subject.erasure.anonymise for c in key.columns):
            return None
    return (
        f"{where}: rows of {key.table!r} neither go nor let go of the rows that are deleted; "
        f"delete them, or replace {', '.join(key.columns)} in one of their roles"
    )
