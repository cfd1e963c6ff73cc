"""Working tables that nobody works with: of a crash, or restored together with a database."""

from __future__ import annotations

import re
from uuid import UUID

from psycopg import sql

from include.privacy.stores.postgres import rectify_work
from include.privacy.stores.postgres.joins import WORK_SCHEMA
from include.privacy.stores.postgres.session import connect

_WORK = re.compile(r"(?:cohort|identifier|correction|replaced)_([0-9a-f]{32})")


class Leftovers:
    """The working tables of one database, by the plan or batch that they were made for."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def owners(self) -> set[UUID]:
        """The plans and batches that have a table or a progress row here; none without our schema."""
        with connect(self._dsn) as connection:
            if connection.execute("SELECT to_regclass('privacy_work.operation')").fetchone() == (None,):
                return set()
            tables = connection.execute(
                "SELECT tablename::text FROM pg_tables WHERE schemaname = %s", (WORK_SCHEMA,)
            )
            found = {UUID(m[1]) for (name,) in tables if (m := _WORK.fullmatch(name))}
            for table in ("operation", "progress", "deferred"):
                query = sql.SQL("SELECT DISTINCT plan_id FROM {}").format(sql.Identifier(WORK_SCHEMA, table))
                found |= {row[0] for row in connection.execute(query)}
            return found

    def drop(self, owner: UUID) -> None:
        """Remove what one plan or batch left here; again changes nothing."""
        with connect(self._dsn) as connection:
            rectify_work.drop(connection, owner)
