"""Rows of people that somebody must decide on before an erasure (``decide`` in the data map)."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from include.privacy.stores.postgres.joins import Joins
from include.privacy.stores.postgres.session import Connection


def rows_to_decide(connection: Connection, joins: Joins, keys: Iterable[str]) -> dict[str, dict[str, int]]:
    """Subject key → table → how many of the person's rows ask for a decision. One statement per table."""
    wanted = list(keys)
    found: dict[str, dict[str, int]] = {}
    for name, table in joins.database.tables.items():
        for subject in table.subjects.values():
            decide = subject.erasure.decide
            join = joins.to_key(subject.path)
            if decide is None or join is None:
                continue
            statement = sql.SQL(
                "SELECT {key}::text, count(*) FROM {table} t0{rest} "
                "WHERE {tie} AND {key} = ANY(%s::{type}[]) AND {column} IS NULL GROUP BY 1"
            ).format(
                key=join.anchor,
                table=joins.table(name),
                rest=sql.SQL("").join(sql.SQL(", {}").format(r) for r in join.relations),
                tie=join.condition,
                type=sql.SQL(joins.database.subject_key_type),
                column=sql.Identifier("t0", decide.column),
            )
            for key, count in connection.execute(statement, (wanted,)):
                counts = found.setdefault(key, {})
                counts[name] = counts.get(name, 0) + int(count)
    return found
