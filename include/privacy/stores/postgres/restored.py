"""A database that was restored, or newly connected: who is in it, who can get in, and opening it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing

from psycopg import sql

from include.privacy.policy.data_map import IdentifierPath, KeyPath
from include.privacy.policy.policy import Purpose
from include.privacy.policy.purpose_views import purpose_views
from include.privacy.stores.postgres import export, quarantine
from include.privacy.stores.postgres.quarantine import WayIn
from include.privacy.stores.postgres.session import connect
from include.privacy.stores.postgres.store import PostgresStore

_PAGE = 5_000


class RestoredDatabase(PostgresStore):
    """The same store, with the questions that only a replay asks."""

    def subject_keys(self) -> Iterator[str]:
        """Every subject key in the database, wherever it stands: in the root table, or in a row whose person
        the root table has no more. The same key may come once for each column.
        """
        for table, column in self._columns(KeyPath):
            yield from self._distinct(table, column)

    def loose_identifiers(self) -> Iterator[tuple[str, str]]:
        """``(kind, value)`` of every row that knows its person by an identifier only."""
        for name, table in self.map.tables.items():
            for subject in table.subjects.values():
                if isinstance(subject.path, IdentifierPath) and table.kind == "table":
                    for value in self._distinct(name, subject.path.column):
                        yield subject.path.identifier, value

    def ways_in(self) -> list[WayIn]:
        """Who else could read the database now: roles that may connect, and sessions that are there."""
        with connect(self._dsn) as connection:
            return quarantine.ways_in(connection)

    def may_open(self) -> bool:
        """Whether this role was given the right to let others in."""
        with connect(self._dsn) as connection:
            return quarantine.may_open(connection)

    def open_to_platform(self, purposes: Mapping[str, Purpose]) -> list[str]:
        """Let the platform back in: the owners of its tables, and the jobs that read its views."""
        readers = {view.reader for view in purpose_views(self.map, purposes)}
        with connect(self._dsn) as connection:
            return quarantine.open_to_platform(connection, self.map.schema_, self.map.tables, readers)

    def identity(self) -> tuple[str, int, str]:
        """The database's name and number (one that is restored again has another number), and our role."""
        with connect(self._dsn) as connection:
            return quarantine.identity(connection)

    def _columns(self, kind: type[KeyPath]) -> list[tuple[str, str]]:
        found = {
            (name, subject.path.column): None
            for name, table in self.map.tables.items()
            for subject in table.subjects.values()
            if isinstance(subject.path, kind) and table.kind == "table"
        }
        return list(found)

    def _distinct(self, table: str, column: str) -> Iterator[str]:
        """One pass over the table by a cursor of the server: memory stays flat on both sides, also without
        an index. The long snapshot disturbs nobody where nobody else is let in.
        """
        limits = {
            "statement_timeout_s": export.STATEMENT_TIMEOUT_S,
            "idle_timeout_s": export.IDLE_TIMEOUT_S,
        }
        query = sql.SQL("SELECT DISTINCT {c}::text FROM {t} WHERE {c} IS NOT NULL").format(
            c=sql.Identifier(column), t=sql.Identifier(self.map.schema_, table)
        )
        with (
            connect(self._dsn, **limits) as connection,
            connection.transaction(),
            closing(connection.cursor("scan")) as cursor,
        ):
            cursor.itersize = _PAGE
            for (value,) in cursor.execute(query):
                yield value
