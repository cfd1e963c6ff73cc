"""Refreshing a materialized view so that nobody who was erased comes back in it."""

from __future__ import annotations

from psycopg import Connection, sql


def refresh(connection: Connection, view: sql.Composable) -> None:
    """Refresh one view; of two at once the second waits *before* it looks at the tables.

    ``REFRESH`` takes its snapshot first and waits for the view's lock then: whoever waited would write
    back the rows that the other one had just taken out.
    """
    connection.execute("SET statement_timeout = '30min'")
    with connection.transaction():
        key = f"privacy refresh {view.as_string(connection)}"
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
        connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(view))
