"""The root database as a book of accounts: who is there, where they are written to, what they accepted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.notices import Acceptances, Use
from include.privacy.stores.postgres import audience
from include.privacy.stores.postgres.audience import Account
from include.privacy.stores.postgres.session import connect

STATEMENT_TIMEOUT_S = 3_600
"""For the two that stream: their cursor stays open for as long as the reader takes."""


class AccountBook:
    """Reads and writes one database by its map. Connections are short-lived: one per call."""

    def __init__(self, database: DatabaseMap, dsn: str) -> None:
        self._map = database
        self._dsn = dsn

    def audience(self) -> Iterator[Account]:
        """See :func:`audience.audience`."""
        limits = {"statement_timeout_s": STATEMENT_TIMEOUT_S, "idle_timeout_s": STATEMENT_TIMEOUT_S}
        with connect(self._dsn, **limits) as connection:
            yield from audience.audience(connection, self._map)

    def accounts(self, keys: Iterable[str]) -> list[Account]:
        """See :func:`audience.accounts`."""
        with connect(self._dsn) as connection:
            return audience.accounts(connection, self._map, keys)

    def first_uses(
        self, use: Use, since: datetime, until: datetime, only: str | None = None
    ) -> Iterator[list[tuple[str, datetime]]]:
        """See :func:`audience.first_uses`."""
        limits = {"statement_timeout_s": STATEMENT_TIMEOUT_S, "idle_timeout_s": STATEMENT_TIMEOUT_S}
        with connect(self._dsn, **limits) as connection:
            yield from audience.first_uses(connection, self._map, use, since, until, only)

    def publish_document(self, where: Acceptances, version: str, effective_on: date) -> None:
        """See :func:`audience.publish_document`."""
        with connect(self._dsn) as connection:
            audience.publish_document(connection, self._map, where, version, effective_on)

    def record_acceptances(
        self, where: Acceptances, version: str, uses: Sequence[tuple[str, datetime]]
    ) -> int:
        """See :func:`audience.record_acceptances`."""
        with connect(self._dsn) as connection:
            return audience.record_acceptances(connection, self._map, where, version, uses)
