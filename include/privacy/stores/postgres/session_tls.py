"""What the session of a connection to PostgreSQL is encrypted with, as the server sees it."""

from __future__ import annotations

from include.privacy.stores.postgres.session import connect

_QUERY = "SELECT ssl, version, cipher, bits FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def session_tls(dsn: str) -> tuple[str, str] | None:
    """Version and cipher (``TLSv1.3``); ``None`` for a session in the clear. Raises ``psycopg.Error``.

    Behind a pooler the server sees the pooler's session, not ours: shake hands with the endpoint as well.
    """
    with connect(dsn, statement_timeout_s=30) as connection:
        row = connection.execute(_QUERY).fetchone()
    return (str(row[1]), str(row[2])) if row and row[0] else None
