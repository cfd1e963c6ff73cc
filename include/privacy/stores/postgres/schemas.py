"""Schemas of a database that hold tables, besides the one that is mapped."""

from __future__ import annotations

from include.privacy.stores.postgres.session import connect

# Those of PostgreSQL itself say nothing about people.
_SCHEMAS = r"""
SELECT n.nspname, count(*)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r','p','m','f') AND NOT c.relispartition
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
 GROUP BY 1 ORDER BY 1"""


def schemas_with_tables(dsn: str) -> dict[str, int]:
    """How many tables, materialised views and foreign tables each schema holds. Raises ``psycopg.Error``."""
    with connect(dsn, statement_timeout_s=30) as connection:
        return {str(name): int(count) for name, count in connection.execute(_SCHEMAS.encode()).fetchall()}
