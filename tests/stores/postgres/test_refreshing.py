"""A view that two refresh at once shows what both have deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
from psycopg import sql

from include.privacy.stores.postgres.refreshing import refresh

VIEW = sql.Identifier("seen")


def test_of_two_refreshes_at_once_the_second_sees_what_the_first_has_deleted(
    fresh_database: Callable[..., str],
) -> None:
    dsn = fresh_database()
    with psycopg.connect(dsn, autocommit=True) as first, psycopg.connect(dsn, autocommit=True) as second:
        first.execute("CREATE TABLE people (id int); INSERT INTO people VALUES (1), (2)")
        first.execute("CREATE MATERIALIZED VIEW seen AS SELECT id FROM people")
        second.execute("DELETE FROM people WHERE id = 2")
        with first.transaction():
            first.execute("DELETE FROM people WHERE id = 1")
            refresh(first, VIEW)  # holds the view until the end of the block
            waiting = threading.Thread(target=refresh, args=(second, VIEW))
            waiting.start()
            _until_somebody_waits(dsn)
        waiting.join(timeout=30)
        assert first.execute("SELECT id FROM seen").fetchall() == []


def _until_somebody_waits(dsn: str) -> None:
    deadline = time.monotonic() + 30
    with psycopg.connect(dsn, autocommit=True) as observer:
        while time.monotonic() < deadline:
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            row = observer.execute(query).fetchone()
            if row and row[0]:
                return
            time.sleep(0.05)
    raise AssertionError("nobody waited")
