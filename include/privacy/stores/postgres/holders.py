"""Whose an identifier is today: before a former one leads anywhere, it is seen that nobody else has it."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from include.privacy.policy.data_map import IdentifierPath
from include.privacy.stores.postgres.joins import Joins
from include.privacy.stores.postgres.session import Connection


def holders(connection: Connection, joins: Joins, kind: str, values: Iterable[str]) -> dict[str, set[str]]:
    """Identifier → the subject keys of those who hold it here now; addresses in any letters."""
    wanted = _by_plain(values)
    found: dict[str, set[str]] = {}
    for name, table in joins.database.tables.items():
        owner = next(iter(table.subjects.values()), None)
        join = joins.to_key(owner.path) if owner is not None else None
        for column, described in table.columns.items() if join is not None else ():
            if join is None or described.identifier != kind or table.kind != "table":
                continue
            query = sql.SQL(
                "SELECT {key}::text, lower(t0.{column}::text) FROM {table} t0{relations} "
                "WHERE {tie} AND lower(t0.{column}::text) = ANY(%s)"
            ).format(
                key=join.anchor,
                column=sql.Identifier(column),
                table=joins.table(name),
                relations=sql.SQL("").join(sql.SQL(", {}").format(r) for r in join.relations),
                tie=join.condition,
            )
            for key, plain in connection.execute(query, (list(wanted),)):
                for value in wanted[plain]:
                    found.setdefault(value, set()).add(key)
    return found


def copies(connection: Connection, joins: Joins, kind: str, values: Iterable[str]) -> set[str]:
    """Those of ``values`` that stand in a row which knows its person by nothing else, in a column that
    follows a correction (a subscription). Whoever was corrected is there under the new value: not theirs.
    """
    wanted = _by_plain(values)
    found: set[str] = set()
    for name, table in joins.database.tables.items():
        for subject in table.subjects.values():
            path = subject.path
            if not isinstance(path, IdentifierPath) or path.identifier != kind or table.kind != "table":
                continue
            if not any(rectify.copy_ for rectify in table.columns[path.column].rectify):
                continue
            query = sql.SQL(
                "SELECT DISTINCT lower({c}::text) FROM {t} WHERE lower({c}::text) = ANY(%s)"
            ).format(c=sql.Identifier(path.column), t=joins.table(name))
            for (plain,) in connection.execute(query, (list(wanted),)):
                found.update(wanted[plain])
    return found


def _by_plain(values: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value in values:
        found.setdefault(value.strip().lower(), []).append(value)
    return found
