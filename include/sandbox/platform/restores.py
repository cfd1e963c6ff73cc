"""Restores as the operations manual says: into a closed database that only the DAGs may enter."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from include.sandbox.platform import dumps
from include.sandbox.postgres import DAG_ROLE, PostgresServer


def restore_closed(server: PostgresServer, archive: Path, database: str, owner: str = "platform") -> None:
    """Create the database, close it, and restore the archive into it, owners and grants included."""
    server.create_database(database, owner)
    close(server, database)
    dumps.restore(archive, server.dsn(database), server.binaries, owners=True)


def close(server: PostgresServer, database: str) -> None:
    """Nobody but superusers and the DAGs' role may connect; that role may let others in again."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        query = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND rolname <> %s"
        others = [sql.Identifier(row[0]) for row in connection.execute(query, (DAG_ROLE,))]
        name, ours = sql.Identifier(database), sql.Identifier(DAG_ROLE)
        # What the DAGs' role has granted falls with its own right only.
        revoke = sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC, {} CASCADE")
        connection.execute(revoke.format(name, sql.SQL(", ").join([*others, ours])))
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {} WITH GRANT OPTION")
        connection.execute(grant.format(name, ours))
        connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(name, ours))
