"""The platform's side of requests: its inbox, and the outbox for answers (docs/INTEGRATION.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

STATEMENT_TIMEOUT_MS = 30_000


@dataclass(frozen=True)
class InboxRow:
    """One row of ``privacy_inbox``; personal fields stay out of ``repr``."""

    id: UUID
    kind: str
    request_id: UUID
    right: str
    channel: str
    received_at: datetime | None
    verified_at: datetime | None
    account_id: str | None = field(repr=False)
    verification: Any = field(repr=False)
    details: Any = field(repr=False)


class Postbox:
    """Reads the inbox and writes the outbox; connections are short-lived."""

    def __init__(self, dsn: str, schema: str = "public") -> None:
        self._dsn = dsn
        self._schema = schema

    def take(self, handle: Callable[[InboxRow], bool], *, limit: int = 5000) -> int:
        """Hand every waiting row to ``handle``, oldest first; returns how many.

        A row counts as taken once ``handle`` has returned true; false leaves it for a later run. Rows
        that another run is taking are left to it; after a crash a row is handed over again, so
        ``handle`` must bear repetition.
        """
        taken = 0
        left: list[UUID] = []
        select = sql.SQL(
            """SELECT id, kind, request_id, account_id::text, "right", channel,
                      received_at, verified_at, verification, details
               FROM {} WHERE taken_at IS NULL AND id <> ALL(%s)
               ORDER BY received_at, CASE kind WHEN 'opened' THEN 0 WHEN 'verified' THEN 1 ELSE 2 END, id
               LIMIT 1 FOR UPDATE SKIP LOCKED"""
        ).format(sql.Identifier(self._schema, "privacy_inbox"))
        update = sql.SQL("UPDATE {} SET taken_at = clock_timestamp() WHERE id = %s").format(
            sql.Identifier(self._schema, "privacy_inbox")
        )
        with self._open() as connection:
            while taken + len(left) < limit:
                with connection.transaction():
                    row = connection.execute(select, (left,)).fetchone()
                    if row is None:
                        break
                    inbox_row = InboxRow(
                        id=row[0],
                        kind=row[1],
                        request_id=row[2],
                        account_id=row[3],
                        right=row[4],
                        channel=row[5],
                        received_at=row[6],
                        verified_at=row[7],
                        verification=row[8],
                        details=row[9],
                    )
                    if not handle(inbox_row):
                        left.append(inbox_row.id)
                        continue
                    connection.execute(update, (inbox_row.id,))
                taken += 1
        return taken

    def answer(self, request_id: UUID, kind: str, body: Mapping[str, Any], *, account_id: str | None) -> bool:
        """Put an answer for the person into the outbox, once per request and kind; true if it is new.

        ``account_id`` is ``None`` once the account is gone: the platform kept the request's id.
        """
        with self._open() as connection, connection.transaction():
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"outbox {request_id}",)
            )
            cursor = connection.execute(
                sql.SQL(
                    """INSERT INTO {0} (request_id, account_id, kind, body)
                       SELECT %(request)s, %(account)s::bigint, %(kind)s, %(body)s
                       WHERE NOT EXISTS (
                           SELECT FROM {0} WHERE request_id = %(request)s AND kind = %(kind)s)"""
                ).format(sql.Identifier(self._schema, "privacy_outbox")),
                {"request": request_id, "account": account_id, "kind": kind, "body": Jsonb(dict(body))},
            )
            return cursor.rowcount == 1

    def post(self, kind: str, answers: Iterable[tuple[UUID, str]], body: Mapping[str, Any]) -> int:
        """Put the same text into the outbox for many people, once per id and kind; returns how many are new.

        ``answers``: an id that is nobody else's, and the account. Whose account is gone is left out.
        """
        ids, accounts = [], []
        for answer_id, account_id in answers:
            ids.append(answer_id)
            accounts.append(account_id)
        with self._open() as connection, connection.transaction():
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"outbox kind {kind}",)
            )
            cursor = connection.execute(
                sql.SQL(
                    """INSERT INTO {0} (request_id, account_id, kind, body)
                       SELECT n.id, n.account::bigint, %(kind)s, %(body)s
                       FROM unnest(%(ids)s::uuid[], %(accounts)s::text[]) n (id, account)
                       WHERE NOT EXISTS (
                           SELECT FROM {0} o WHERE o.request_id = n.id AND o.kind = %(kind)s)"""
                ).format(sql.Identifier(self._schema, "privacy_outbox")),
                {"ids": ids, "accounts": accounts, "kind": kind, "body": Jsonb(dict(body))},
            )
            return cursor.rowcount

    def _open(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=10,
            application_name="privacy-postbox",
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
        )
