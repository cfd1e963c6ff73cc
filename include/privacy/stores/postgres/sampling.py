"""Looks at a bounded sample of rows and returns counts of what they look like, never a value.

Reads only, in statements with a time-out. A driver's message may quote a value, so none is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import errors, sql

from include.privacy.detection.tally import Tally
from include.privacy.stores.postgres.session import Connection, connect

_CHARACTERS = 16_384
"""Of each value; a document cut short is looked at as a text."""

# Nothing to read in these: too short for anything, or of a fixed form that says nothing.
_MUTE = re.compile(
    r"(?:boolean|smallint|integer|real|double precision|date|interval|uuid|oid|tsvector|tsquery|money|bit"
    r"|\"char\"|time(?:stamp)?(?:\(\d\))? with(?:out)? time zone|pg_lsn|xid8?|.*range)(?:\(.*\))?(?:\[\])?"
)
_ESTIMATE = """
SELECT coalesce((SELECT sum(greatest(p.reltuples, 0)) FROM pg_partition_tree(c.oid) t
                   JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf), greatest(c.reltuples, 0)),
       c.relkind::text,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND has_column_privilege(c.oid, a.attnum, 'SELECT'))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = %s"""


@dataclass
class Sample:
    """What was looked at in one table.

    ``rows``: how many. ``columns``: their counts. ``unread``: columns that could not be looked at, each with
    the reason.
    """

    rows: int = 0
    columns: dict[str, Tally] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def legible(type_: str) -> bool:
    """Whether values of the type (as ``format_type`` prints it) can look like anything."""
    return _MUTE.fullmatch(type_) is None


def sample_tables(
    dsn: str, schema: str, tables: Mapping[str, Mapping[str, str]], *, rows: int, timeout_s: int
) -> dict[str, Sample]:
    """Look at ``rows`` rows of each table. ``tables``: table → column → type, of the columns to look at.

    A statement that is refused or takes longer than ``timeout_s`` seconds leaves its columns unread. Raises
    ``psycopg.OperationalError`` when the database cannot be reached.
    """
    with connect(dsn, statement_timeout_s=timeout_s) as connection:
        connection.execute("SET default_transaction_read_only = on")
        return {
            name: _sample(connection, schema, name, columns, rows)
            for name, columns in tables.items()
            if columns
        }


def _sample(connection: Connection, schema: str, table: str, columns: Mapping[str, str], rows: int) -> Sample:
    found = Sample()
    estimate = connection.execute(_ESTIMATE, (schema, table)).fetchone()
    if estimate is None:
        return found
    size, kind, readable = float(estimate[0]), str(estimate[1]), frozenset(estimate[2])
    found.unread = {name: "the role may not read it" for name in columns if name not in readable}
    watched = {name: type_ for name, type_ in columns.items() if name in readable and legible(type_)}
    found.columns = {name: Tally() for name in watched}
    if not watched:
        return found
    source = sql.Identifier(schema, table)
    # Whole pages at random, some more than needed, where the table is large enough for it to matter.
    part: sql.Composable = sql.SQL("")
    if kind in "rpm" and size > 20 * rows:
        part = sql.SQL(" TABLESAMPLE SYSTEM ({})").format(sql.Literal(min(100.0, 400.0 * rows / size)))
    try:
        found.rows = _look(connection, source, part, watched, rows, found.columns)
        if found.rows == 0 and part.as_string(None):
            found.rows = _look(connection, source, sql.SQL(""), watched, rows, found.columns)
        if found.rows == rows or size > found.rows:  # what was empty in these may be filled in others
            for name in (n for n, tally in found.columns.items() if not tally.looked):
                filled = sql.SQL(" WHERE {} IS NOT NULL").format(sql.Identifier(name))
                _look(connection, source, filled, {name: watched[name]}, rows, found.columns)
    except psycopg.Error as error:
        reason = _reason(error)
        if reason is None:
            raise
        found.unread |= {name: reason for name, tally in found.columns.items() if not tally.looked}
    return found


def _look(
    connection: Connection,
    source: sql.Identifier,
    clause: sql.Composable,
    watched: Mapping[str, str],
    rows: int,
    tallies: Mapping[str, Tally],
) -> int:
    query = sql.SQL("SELECT {} FROM {}{} LIMIT {}").format(
        sql.SQL(", ").join(_expression(n, type_) for n, type_ in watched.items()),
        source,
        clause,
        sql.Literal(rows),
    )
    count = 0
    for row in connection.execute(query):
        count += 1
        for (name, type_), value in zip(watched.items(), row, strict=True):
            if value is not None:
                tallies[name].add(str(value), name, document=_is_document(type_))
    return count


def _expression(name: str, type_: str) -> sql.Composable:
    column = sql.Identifier(name)
    if type_.endswith("[]"):
        return sql.SQL("left(to_json({})::text, {})").format(column, sql.Literal(_CHARACTERS))
    if type_ == "inet":
        return sql.SQL("host({})").format(column)  # as text it has a mask, like a network
    if type_ == "bytea":
        # Whatever the bytes are, this is text; what was text in them stays legible.
        return sql.SQL("encode(substring({} FROM 1 FOR 1024), 'escape')").format(column)
    return sql.SQL("left({}::text, {})").format(column, sql.Literal(_CHARACTERS))


def _is_document(type_: str) -> bool:
    return type_ in ("json", "jsonb") or type_.endswith("[]")


def _reason(error: psycopg.Error) -> str | None:
    """Why a statement ended, in our words; ``None`` where the connection itself is lost."""
    if isinstance(error, errors.QueryCanceled):
        return "it takes too long"
    if isinstance(error, errors.InsufficientPrivilege):
        return "the role may not read it"
    return None if isinstance(error, psycopg.OperationalError) else type(error).__name__
