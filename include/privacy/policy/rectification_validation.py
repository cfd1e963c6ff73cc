"""Whether what the data map says about corrections can be carried out (no I/O)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from include.privacy.policy.data_map import Column, DatabaseMap, IdentifierPath, Table
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.problems import Problem, suggestion
from include.privacy.policy.rectify import History, Rectify
from include.privacy.policy.sharing import path_columns


def rectification_problems(databases: Sequence[tuple[DatabaseMap, Document]]) -> list[Problem]:
    """Problems of all ``rectify`` and ``history`` of the map, within a column and across stores."""
    problems: list[Problem] = []
    first: dict[str, tuple[str, Rectify]] = {}
    sources: set[str] = set()
    for db, document in databases:
        for where, loc, table, column, rectify in rectified_columns(db):
            problems += _rectify_problems(table, column, rectify, document, loc, where[1])
            known = first.setdefault(rectify.field, (".".join((db.store, *where)), rectify))
            if known[1].validation != rectify.validation:
                problems.append(
                    document.problem(
                        loc,
                        f"{rectify.field} has other rules than in {known[0]}, and a correction must fit both",
                        "write the same format, max_length, pattern and case",
                    )
                )
            if not rectify.copy_:
                sources.add(rectify.field)
        for name, table in db.tables.items():
            for column_name, column in table.columns.items():
                if column.history is not None:
                    at: Loc = ("tables", name, "columns", column_name, "history")
                    problems += _history_problems(table, column, column.history, document, at)
    for db, document in databases:
        for _, loc, _, _, rectify in rectified_columns(db):
            if rectify.copy_ and rectify.field not in sources:
                problems.append(
                    document.problem(
                        (*loc, "copy"),
                        f"{rectify.field} is a copy everywhere, so that nothing says what it is a copy of",
                        "mark the column that has the fact itself with `rectify:` and without `copy`",
                    )
                )
    return problems


def rectified_columns(
    db: DatabaseMap,
) -> Iterator[tuple[tuple[str, str], Loc, Table, Column, Rectify]]:
    """Every ``rectify`` of the database, with table and column, place in the file and what it belongs to."""
    for name, table in db.tables.items():
        for column_name, column in table.columns.items():
            for rectify in column.rectify:
                loc: Loc = ("tables", name, "columns", column_name, "rectify")
                yield (name, column_name), loc, table, column, rectify


def owner_role(table: Table, role: str | None) -> str | None:
    """The role that is meant: the named one, or the first; None where there is none."""
    return role if role is not None else next(iter(table.subjects), None)


def _rectify_problems(
    table: Table, column: Column, rectify: Rectify, document: Document, loc: Loc, name: str
) -> Iterator[Problem]:
    yield from _role_problems(table, column, rectify.role, document, loc)
    if column.secret:
        yield document.problem(loc, "a secret is renewed, not corrected", "remove `rectify:`")
    if column.history is not None:
        yield document.problem(loc, "the column cannot both hold a fact and record what it was", "keep one")
    if len(column.rectify) > 1 and any(r.key is None for r in column.rectify):
        yield document.problem(
            loc, "holds several facts, and not all of them have a `key:`", "name the key of each"
        )
    if rectify.doubled == "delete" and not rectify.copy_:
        yield document.problem(
            (*loc, "doubled"), "only a copy may go where it would double", "remove it, or add `copy: true`"
        )
    try:
        re.compile(rectify.pattern or "")
    except (re.error, RecursionError, OverflowError):
        yield document.problem((*loc, "pattern"), "is no regular expression", "correct or remove it")
    role = owner_role(table, rectify.role)
    if role is None or role not in table.subjects:
        return
    subject = table.subjects[role]
    if name in path_columns(subject.path):
        alone = isinstance(subject.path, IdentifierPath) and rectify.copy_
        if not alone:
            yield document.problem(
                loc,
                f"the row's {role} is found by this very column",
                "write `copy: true`: only a row with the replaced value is the one meant"
                if isinstance(subject.path, IdentifierPath)
                else "remove `rectify:`; a key is no fact about a person",
            )
    if subject.erasure.keep is not None:
        yield document.problem(
            loc,
            f"the rows are kept as a record ({subject.erasure.keep.basis}), and a record is not changed",
            "write `history: {field: …, rectified: keep, reason: …}`: the person is told why",
        )
    if rectify.doubled == "delete" and not subject.erasure.delete:
        yield document.problem(
            (*loc, "doubled"), f"erasure does not delete rows of {role}, so neither may this", "write refuse"
        )


def _history_problems(
    table: Table, column: Column, history: History, document: Document, loc: Loc
) -> Iterator[Problem]:
    yield from _role_problems(table, column, history.role, document, loc)
    role = owner_role(table, history.role)
    if history.rectified != "delete" or role is None or role not in table.subjects:
        return
    if table.kind != "table" or not table.subjects[role].erasure.delete:
        yield document.problem(
            (*loc, "rectified"),
            f"rows of {role} are not for us to delete, as their erasure says",
            "write `rectified: keep` and the reason",
        )


def _role_problems(
    table: Table, column: Column, role: str | None, document: Document, loc: Loc
) -> Iterator[Problem]:
    if not column.personal:
        yield document.problem(loc, "the column is no personal data", "correct the category, or remove this")
    if role is not None and role not in table.subjects:
        yield document.problem(
            (*loc, "role"), f"the table has no role {role}", suggestion(role, table.subjects)
        )
    elif not table.subjects:
        yield document.problem(
            loc, "nothing says whose fact it is", "say whose rows they are under `subjects:`"
        )
