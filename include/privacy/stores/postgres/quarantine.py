"""The quarantine of a restored database: nobody but us may connect until the replay is proven."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from include.privacy.stores.postgres.session import Connection


@dataclass(frozen=True)
class WayIn:
    """A role that may connect, or one that is connected now. Superusers cannot be kept out of anything."""

    role: str
    how: Literal["may connect", "is connected"]


def ways_in(connection: Connection) -> list[WayIn]:
    """Every way into this database except ours and the superusers'."""
    rows = connection.execute(
        """SELECT rolname::text, 'may connect' FROM pg_roles
           WHERE rolcanlogin AND NOT rolsuper AND rolname <> current_user
             AND has_database_privilege(oid, current_database(), 'CONNECT')
           UNION
           SELECT r.rolname::text, 'is connected'
           FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
           WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND NOT r.rolsuper
             AND r.rolname <> current_user
           ORDER BY 1, 2"""
    )
    return [WayIn(role, how) for role, how in rows]


def may_open(connection: Connection) -> bool:
    """Whether our role has CONNECT with the right to grant it."""
    row = connection.execute(
        "SELECT has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION')"
    ).fetchone()
    return row == (True,)


def identity(connection: Connection) -> tuple[str, int, str]:
    """Name and object id of this database, and our role."""
    row = connection.execute(
        "SELECT datname::text, oid::bigint, current_user::text FROM pg_database "
        "WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return str(row[0]), int(row[1]), str(row[2])


def open_to_platform(
    connection: Connection, schema: str, tables: Iterable[str], readers: Iterable[str]
) -> list[str]:
    """Grant CONNECT to the owners of the mapped tables and to the jobs' roles; returns whom. Repeatable."""
    rows = connection.execute(
        """SELECT rolname::text FROM pg_roles
           WHERE rolcanlogin AND NOT rolsuper AND rolname <> current_user AND (rolname = ANY(%s) OR oid IN (
               SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = %s AND c.relname = ANY(%s)))
           ORDER BY 1""",
        (sorted(readers), schema, sorted(tables)),
    )
    roles = [row[0] for row in rows]
    name = sql.Identifier(identity(connection)[0])
    for role in roles:
        statement = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(role))
        connection.execute(statement)
    return roles
