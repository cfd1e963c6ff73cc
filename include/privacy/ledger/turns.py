"""Turns: only one task at a time works with a processor, over all runs and workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine, text

from include.privacy.ledger.errors import LedgerError
from include.privacy.ledger.locks import lock_key

PATIENCE = timedelta(minutes=10)


class NotOurTurn(LedgerError):  # noqa: N818 - an outcome of a race, not a fault
    """Another task has been at it all the time; what it leaves is done by the next run."""


@contextmanager
def turn(engine: Engine, name: str, patience: timedelta = PATIENCE) -> Iterator[None]:
    """Be the only one who works with ``name`` inside the block; waits for whoever is at it.

    A session's lock: it ends with the connection, so with the task, however that ends. Raises
    :class:`NotOurTurn` after ``patience``.
    """
    key = {"key": lock_key("turn", name)}
    deadline = time.monotonic() + patience.total_seconds()
    # Not in a transaction, which would keep the database from cleaning up for as long as the work takes.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
            if time.monotonic() > deadline:
                raise NotOurTurn(f"another task has worked with {name} for more than {patience}")
            time.sleep(0.2)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
