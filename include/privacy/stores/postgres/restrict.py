"""Restrictions and suppressions: rows that the views for the platform's jobs look at in every query."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from psycopg import sql

from include.privacy.planning.restriction import MARK_BYTES, Reason, Restriction
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.objection import GENERAL, RESTRICTIONS, SUPPRESSED
from include.privacy.stores.postgres.session import Connection
from include.privacy.stores.postgres.subjects import possible_keys

_PURPOSE = re.compile(r"[a-z][a-z0-9_.]{0,99}")


def restrict(
    connection: Connection,
    database: DatabaseMap,
    keys: Iterable[str],
    purposes: Iterable[str],
    reason: Reason,
    since: datetime,
) -> int:
    """Restricts these people for these purposes; returns how many rows are new.

    ``purposes`` are keys of policy.yaml, or :data:`GENERAL`. What is restricted for the same reason already
    keeps its first ``since``. Raises ``LookupError`` where the database has no such table, ``ValueError``
    for a purpose that cannot be one or an instant without a zone.
    """
    if since.tzinfo is None:
        raise ValueError("since must be timezone-aware")
    statement = sql.SQL(
        """INSERT INTO {table} (account_id, purpose, reason, since)
           SELECT k, p, %(reason)s, %(since)s
           FROM unnest(%(keys)s::text[]::{type}[]) k CROSS JOIN unnest(%(purposes)s::text[]) p
           ON CONFLICT (account_id, purpose, reason) DO NOTHING"""
    ).format(table=_table(database, RESTRICTIONS), type=sql.SQL(database.subject_key_type))
    return connection.execute(
        statement,
        {
            "keys": possible_keys(database, keys),
            "purposes": _purposes(purposes),
            "reason": reason,
            "since": since,
        },
    ).rowcount


def lift(
    connection: Connection,
    database: DatabaseMap,
    keys: Iterable[str],
    purposes: Iterable[str] | None,
    reason: Reason,
) -> int:
    """Ends the restrictions of these people for one reason; other reasons stay in force. Returns how many.

    ``purposes=None``: for all purposes. Before a restriction under Art. 18 ends, the person has to be told
    (Art. 18(3)): that is the caller's.
    """
    statement = sql.SQL(
        """DELETE FROM {table} WHERE account_id = ANY(%(keys)s::text[]::{type}[]) AND reason = %(reason)s
           AND (%(all)s OR purpose = ANY(%(purposes)s::text[]))"""
    ).format(table=_table(database, RESTRICTIONS), type=sql.SQL(database.subject_key_type))
    return connection.execute(
        statement,
        {
            "keys": possible_keys(database, keys),
            "reason": reason,
            "all": purposes is None,
            "purposes": _purposes(purposes or ()),
        },
    ).rowcount


def restricted(
    connection: Connection, database: DatabaseMap, keys: Iterable[str]
) -> dict[str, tuple[Restriction, ...]]:
    """The restrictions in force, by subject key; who has none is not in it."""
    statement = sql.SQL(
        """SELECT account_id::text, purpose, reason, since FROM {table}
           WHERE account_id = ANY(%s::text[]::{type}[]) ORDER BY account_id, since, purpose, reason"""
    ).format(table=_table(database, RESTRICTIONS), type=sql.SQL(database.subject_key_type))
    found: dict[str, list[Restriction]] = {}
    for key, purpose, reason, since in connection.execute(statement, (possible_keys(database, keys),)):
        found.setdefault(key, []).append(Restriction(purpose, reason, since))
    return {key: tuple(values) for key, values in found.items()}


def suppress(
    connection: Connection, database: DatabaseMap, marks: Iterable[bytes], purpose: str, since: datetime
) -> int:
    """Puts marks of contacts on the suppression list of a purpose; returns how many are new.

    A mark is made by :func:`include.privacy.planning.restriction.contact_mark`. ``ValueError`` for what is
    no mark, so that an address can never be written here by mistake.
    """
    if since.tzinfo is None:
        raise ValueError("since must be timezone-aware")
    statement = sql.SQL(
        """INSERT INTO {} (mark, purpose, since) SELECT m, %s, %s FROM unnest(%s::bytea[]) m
           ON CONFLICT (mark, purpose) DO NOTHING"""
    ).format(_table(database, SUPPRESSED))
    return connection.execute(statement, (_purposes([purpose])[0], since, _marks(marks))).rowcount


def lift_suppression(
    connection: Connection, database: DatabaseMap, marks: Iterable[bytes], purpose: str
) -> int:
    """Takes marks off the list: the person has asked for it anew. Returns how many were on it."""
    statement = sql.SQL("DELETE FROM {} WHERE mark = ANY(%s::bytea[]) AND purpose = %s").format(
        _table(database, SUPPRESSED)
    )
    return connection.execute(statement, (_marks(marks), purpose)).rowcount


def _table(database: DatabaseMap, name: str) -> sql.Identifier:
    if name not in database.tables:
        raise LookupError(
            f"store {database.store!r} maps no table {name}: create it as docs/INTEGRATION.md says, map it"
        )
    return sql.Identifier(database.schema_, name)


def _purposes(purposes: Iterable[str]) -> list[str]:
    found = sorted(set(purposes))
    if not all(p == GENERAL or _PURPOSE.fullmatch(p) for p in found):
        raise ValueError(f"a purpose must be a key of policy.yaml, or {GENERAL} for all of them")
    return found


def _marks(marks: Iterable[bytes]) -> list[bytes]:
    found = sorted(set(marks))
    if not all(isinstance(mark, bytes) and len(mark) == MARK_BYTES for mark in found):
        raise ValueError(f"a mark has {MARK_BYTES} bytes; make it with contact_mark()")
    return found
