"""Samples of columns of credentials, and who has no second factor: counts leave, no values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from psycopg import sql

from include.privacy.stores.postgres.session import connect

_TIMEOUT_S = 30
_LONGEST = 512
"""More characters than any hash has; of something longer its beginning says enough."""
_ESTIMATE = "SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = %s::regclass"
_SPARE = 3
"""A share of the rows is only about that share: ask for thrice as many, and stop at the number wanted."""


def sample(
    dsn: str,
    schema: str,
    table: str,
    column: str,
    rows: int,
    judge: Callable[[str | bytes], str | None],
) -> Counter[str | None]:
    """How often ``judge`` says what of at most ``rows`` random values that are not null.

    The values are seen by ``judge`` and forgotten. Raises ``psycopg.Error``.
    """
    name = sql.Identifier(schema, table)
    field = sql.Identifier(column)
    counts: Counter[str | None] = Counter()
    with connect(dsn, statement_timeout_s=_TIMEOUT_S) as connection:
        estimate = connection.execute(_ESTIMATE, (name.as_string(connection),)).fetchone()
        known = float(estimate[0]) if estimate else 0.0
        share = min(100.0, 100.0 * _SPARE * rows / known) if known > 0 else 100.0
        query = sql.SQL(
            "SELECT substring({field} FROM 1 FOR {longest}) FROM {name} TABLESAMPLE BERNOULLI ({share}) "
            "WHERE {field} IS NOT NULL LIMIT {rows}"
        ).format(
            field=field,
            longest=sql.Literal(_LONGEST),
            name=name,
            share=sql.Literal(share),
            rows=sql.Literal(rows),
        )
        for (value,) in connection.execute(query):
            counts[judge(value)] += 1
    return counts


def without_factor(dsn: str, schema: str, table: str, factor: str, left: str | None) -> tuple[int, int]:
    """How many people the table lists, and how many of them have null as ``factor``.

    ``left``: a column that is null for whoever still works here. Raises ``psycopg.Error``.
    """
    still = sql.SQL("{} IS NULL").format(sql.Identifier(left)) if left else sql.SQL("true")
    query = sql.SQL("SELECT count(*), count(*) FILTER (WHERE {} IS NULL) FROM {} WHERE {}").format(
        sql.Identifier(factor), sql.Identifier(schema, table), still
    )
    with connect(dsn, statement_timeout_s=_TIMEOUT_S) as connection:
        row = connection.execute(query).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)
