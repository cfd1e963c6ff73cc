"""Reads what the people of a cohort have in one database: one snapshot, one cursor per collection.

All cursors are open at once and in the order of ordinals, so that archives are written person by
person while each query runs once for the whole cohort. Memory holds one batch of each cursor.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from typing import Any
from uuid import uuid4

from psycopg import sql

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.exporting import Collection, ExportField, Extract, StoredFile, collections_of
from include.privacy.planning.models import Cohort, Member
from include.privacy.stores.postgres import workspace
from include.privacy.stores.postgres.export_statements import INLINE_FILE_BYTES, Source
from include.privacy.stores.postgres.joins import SESSION_SCHEMA, Joins
from include.privacy.stores.postgres.session import Connection

IDLE_TIMEOUT_S = 3600
"""A snapshot waits while the archive's other parts are written and sent; longer than this is stuck."""
STATEMENT_TIMEOUT_S = 600
"""The first rows of a large cohort may have to be sorted."""

_FIRST_FETCH = 256
_MOST_ROWS = 5_000
_BATCH_BYTES = 1 << 20
_FILES_A_FETCH = 8
_PIECE_BYTES = 4 << 20

Row = tuple[Any, ...]


class Rows:
    """One server-side cursor. Rows are asked for by ordinal, ascending; what was not read is skipped.

    While a person's batch is worked on, PostgreSQL already makes the next one.
    """

    def __init__(
        self,
        connection: Connection,
        ahead: Executor,
        name: str,
        query: sql.Composed,
        size: Callable[[Row], int],
        fetch: int | None = None,
    ) -> None:
        self._connection, self._ahead, self._name = connection, ahead, sql.Identifier(name)
        self._size, self._fixed = size, fetch is not None
        self._fetch = fetch or _FIRST_FETCH
        self._buffer: list[Row] = []
        self._coming: Future[list[Row]] | None = None
        self._done = False
        connection.execute(
            sql.SQL("DECLARE {} NO SCROLL CURSOR WITHOUT HOLD FOR {}").format(self._name, query)
        )

    def of(self, ordinal: int) -> Iterator[list[Row]]:
        """Batches of the person's rows."""
        while True:
            mine = self._take(ordinal)
            if mine and not self._buffer and not self._done:
                self._coming = self._coming or self._ahead.submit(self._read)
            if mine:
                yield mine
            if self._buffer or (self._done and self._coming is None):
                return
            self._buffer = self._coming.result() if self._coming else self._read()
            self._coming = None

    def _take(self, ordinal: int) -> list[Row]:
        """The person's rows of the buffer; it keeps those of the people after."""
        rows = self._buffer
        if rows and rows[0][0] == rows[-1][0] == ordinal:
            self._buffer = []
            return rows
        first = bisect_left(rows, ordinal, key=itemgetter(0))
        last = bisect_right(rows, ordinal, lo=first, key=itemgetter(0))
        self._buffer = rows[last:]
        return rows[first:last]

    def _read(self) -> list[Row]:
        rows = self._connection.execute(
            sql.SQL("FETCH FORWARD {} FROM {}").format(sql.Literal(self._fetch), self._name)
        ).fetchall()
        self._done = len(rows) < self._fetch
        if rows and not self._fixed:
            # The largest of a sample, so that a table of long texts settles at few rows.
            largest = max(self._size(row) for row in rows[:: max(1, len(rows) // 64)])
            self._fetch = max(1, min(_MOST_ROWS, self._fetch * 8, _BATCH_BYTES // max(1, largest)))
        return rows


class DatabaseExtract:
    """What one person has in one collection of a database; an :class:`Extract`."""

    def __init__(self, export: DatabaseExport, collection: Collection, ordinal: int) -> None:
        self.collection = collection
        self.redacted: Counter[str] = Counter()
        self._export, self._ordinal = export, ordinal

    def files(self) -> Iterator[StoredFile]:
        """See :class:`Extract`. Large files are read piece by piece in the same snapshot."""
        for field in self.collection.fields:
            if field.file:
                for batch in self._export.file_rows(self.collection, field).of(self._ordinal):
                    for _, path, content, size, table, row in batch:
                        if content is not None:
                            yield StoredFile(path, (content,))
                        else:
                            pieces = self._export.pieces(self.collection, field, size, table, row)
                            yield StoredFile(path, pieces)

    def lines(self) -> Iterator[Sequence[str]]:
        """See :class:`Extract`."""
        for batch in self._export.line_rows(self.collection).of(self._ordinal):
            for _, _, redacted in batch:
                if redacted:
                    self.redacted.update(redacted)
            yield [line for _, line, _ in batch]

    def table(self) -> Iterator[Sequence[Sequence[str | None]]]:
        """See :class:`Extract`."""
        for batch in self._export.table_rows(self.collection).of(self._ordinal):
            yield [row[1:] for row in batch]


class DatabaseExport:
    """One cohort in one snapshot of a database."""

    def __init__(
        self,
        connection: Connection,
        ahead: Executor,
        source: Source,
        collections: Sequence[Collection],
        *,
        marked: bool,
    ) -> None:
        self.collections = tuple(collections)
        self._connection, self._ahead, self._source, self._marked = connection, ahead, source, marked
        self._open: dict[object, Rows] = {}

    def of(self, ordinal: int, member: Member) -> Iterator[Extract]:
        """The person's extracts, in the order of the map. People come by ascending ordinal, from 1."""
        for collection in self.collections:
            yield DatabaseExtract(self, collection, ordinal)

    def line_rows(self, collection: Collection) -> Rows:
        """The cursor of JSON rows."""
        return self._rows(
            ("lines", collection.name),
            lambda: self._source.lines(collection, marked=self._marked),
            lambda row: len(row[1]),
        )

    def table_rows(self, collection: Collection) -> Rows:
        """The cursor of rows as text."""
        return self._rows(
            ("table", collection.name),
            lambda: self._source.table(collection),
            lambda row: sum(len(value) for value in row[1:] if value) + 50 * len(row),
        )

    def file_rows(self, collection: Collection, field: ExportField) -> Rows:
        """The cursor of files of one column; few at a time, because small ones come along."""
        return self._rows(
            ("files", collection.name, field.name),
            lambda: self._source.files(collection, field),
            lambda row: INLINE_FILE_BYTES,
            _FILES_A_FETCH,
        )

    def pieces(
        self, collection: Collection, field: ExportField, size: int, table: int, row: str
    ) -> Iterator[bytes]:
        """A large file, piece by piece."""
        query = self._source.piece(collection, field)
        for start in range(1, size + 1, _PIECE_BYTES):
            parameters = {"start": start, "size": _PIECE_BYTES, "table": table, "row": row}
            found = self._connection.execute(query, parameters, binary=True).fetchone()
            assert found is not None  # the snapshot still sees the row
            yield found[0]

    def _rows(
        self,
        key: object,
        query: Callable[[], sql.Composed],
        size: Callable[[Row], int],
        fetch: int | None = None,
    ) -> Rows:
        if key not in self._open:
            name = f"export_{len(self._open)}"
            self._open[key] = Rows(self._connection, self._ahead, name, query(), size, fetch)
        return self._open[key]


@contextmanager
def open_export(
    connection: Connection, joins: Joins, live: LiveSchema, cohort: Cohort, *, portable: bool
) -> Iterator[DatabaseExport]:
    """Loads the cohort, then opens one read-only snapshot for all of it.

    ``portable``: only what was provided or observed, redactions as null. Raises :class:`PlanError`
    where the archive would be incomplete.
    """
    collections = collections_of(joins.database, live, portable=portable)
    export_id = uuid4()
    workspace.load_for_session(connection, export_id, cohort, joins.database.subject_key_type)
    source = Source(
        Joins(joins.database, joins.primary_keys, SESSION_SCHEMA),
        export_id,
        secrets.token_hex(16),
        ordered=cohort.size > 1,
    )
    with connection.transaction(), ThreadPoolExecutor(1, thread_name_prefix="export") as ahead:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield DatabaseExport(connection, ahead, source, collections, marked=not portable)
