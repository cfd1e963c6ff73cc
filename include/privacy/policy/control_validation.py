"""Whether ``config/controls.yaml`` names what there is (no I/O)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from include.privacy.policy.controls import CONTROLS, Controls
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.problems import Problem, suggestion

PASSWORD, CREDENTIALS = "user.authorization.password", "user.authorization.credentials"


def credential_columns(database: DatabaseMap) -> Iterator[tuple[str, str, str]]:
    """Table, column and category of everything that is mapped as a credential."""
    for name, table in database.tables.items():
        for column, mapped in table.columns.items():
            if mapped.category.startswith((PASSWORD, CREDENTIALS)):
                yield name, column, mapped.category


def columns_read(controls: Controls, database: DatabaseMap) -> dict[str, set[str]]:
    """Table → columns that the looks at credentials and administrators read."""
    found: dict[str, set[str]] = {}
    for table, column, _ in credential_columns(database):
        found.setdefault(table, set()).add(column)
    for each in controls.administrators.tables:
        if each.store == database.store:
            wanted = {each.factor, *([each.left] if each.left else [])}
            found.setdefault(each.table, set()).update(wanted)
    return found


def control_problems(
    controls: Controls, document: Document, stores: Collection[str], databases: Collection[DatabaseMap]
) -> Iterator[Problem]:
    """Names that nothing has, and credentials of which nobody says what they are."""
    for code in controls.optional:
        if code not in CONTROLS:
            yield document.problem(("optional", code), "is no control", suggestion(code, CONTROLS))
    for index, store in enumerate(controls.at_rest.customer_keys):
        if store not in stores:
            yield document.problem(
                ("at_rest", "customer_keys", index), "is no bucket of the data map", suggestion(store, stores)
            )
    yield from _table_problems(controls, document, {each.store: each for each in databases})
    yield from _credential_problems(controls, document, databases)


def _table_problems(
    controls: Controls, document: Document, by_name: Mapping[str, DatabaseMap]
) -> Iterator[Problem]:
    for index, each in enumerate(controls.administrators.tables):
        loc: Loc = ("administrators", "tables", index)
        table = by_name[each.store].tables.get(each.table) if each.store in by_name else None
        if each.store not in by_name:
            yield document.problem((*loc, "store"), "is no database", suggestion(each.store, by_name))
        elif table is None:
            known = by_name[each.store].tables
            yield document.problem((*loc, "table"), "is not mapped", suggestion(each.table, known))
        else:
            for field, column in (("factor", each.factor), ("left", each.left)):
                if column is not None and column not in table.columns:
                    yield document.problem(
                        (*loc, field), "is no column of that table", suggestion(column, table.columns)
                    )


def _credential_problems(
    controls: Controls, document: Document, databases: Collection[DatabaseMap]
) -> Iterator[Problem]:
    known_columns = {
        f"{each.store}.{table}.{column}": category
        for each in databases
        for table, column, category in credential_columns(each)
    }
    for name in controls.credentials.holds:
        if name not in known_columns:
            yield document.problem(
                ("credentials", "holds", name),
                "is not mapped as a credential",
                suggestion(name, known_columns),
            )
    for name, category in known_columns.items():
        if category.startswith(CREDENTIALS) and name not in controls.credentials.holds:
            yield document.problem(
                ("credentials", "holds"),
                f"{name} is a credential, and nothing says what it holds",
                f"add `{name}: digest`, or ciphertext, or password",
            )
