"""The sandbox's planter: a synthetic person in the embedded platform, and an independent look for them."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from include.privacy import cloud_clients
from include.privacy.drill.planter import Planted
from include.privacy.runtime import runtime
from include.privacy.wire import is_loopback
from include.sandbox import postgres
from include.sandbox.platform import backups, drilled, restores
from include.sandbox.platform.app import Right, open_request
from include.sandbox.platform.people import Marker
from include.sandbox.platform.seed import seed_person
from include.sandbox.processes import SandboxError
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.seeding import platform_people

DATABASES = {"accounts": "drill_accounts_db", "practice": "drill_practice_db"}
"""Store → connection of its restored copy."""
CONTENT, BACKUPS = "user_content", "backups_s3"
SEEDED = ("stripe", "sendgrid", "postmark")
"""Processors that get to know the person. PayPal does not: a member of staff would have to answer there every
week. Plausible knows nobody."""
ATTEMPTS = 20
LETTERS_FROM = "privacy@practice-engine.example"


class SandboxPlanter:
    """See :class:`include.privacy.drill.planter.Planter`. Works in the embedded world only."""

    def plant(self, reference: str, as_of: datetime) -> Planted:  # noqa: D102 - the protocol's
        self._refuse_elsewhere()
        found = drilled.marker(reference)
        seed_person(
            self._dsn("accounts"), self._dsn("practice"), drilled.person(found, as_of),
            attempts=ATTEMPTS, as_of=as_of,
        )  # fmt: skip
        with psycopg.connect(self._dsn("accounts")) as accounts:
            accounts.execute(
                "UPDATE gateway_customers SET paypal_payer_id = NULL WHERE account_id = %s",
                (found.account_id,),
            )
        for name in ("avatar.png", "recordings/0-0001.webm"):
            for version in (1, 2):
                self._s3.put_object(
                    Bucket=self._bucket(CONTENT),
                    Key=f"user-content/{found.account_id}/{name}",
                    Body=f"{found.texts[0]} {version} ".encode() * 50,
                )
        people = list(platform_people(self._dsn("accounts"), found.account_id))
        for name in SEEDED:
            ProcessorControl(self._endpoint(name)).seed(people)
        word = found.texts[0]
        markers = {"accounts": word, "practice": word, CONTENT: word}
        markers |= {"stripe": found.identifiers[0]} | dict.fromkeys(("sendgrid", "postmark"), found.emails[0])
        return Planted(str(found.account_id), markers, drilled.corrections(found), {"reference": reference})

    def ask(  # noqa: D102
        self, planted: Planted, request_id: UUID, right: Right, details: Mapping[str, Any], as_of: datetime
    ) -> None:
        with psycopg.connect(self._dsn("accounts")) as accounts:
            known = accounts.execute("SELECT FROM privacy_inbox WHERE request_id = %s", (request_id,))
            if known.fetchone() is not None:
                return
            queue = runtime().connection("request_queue").extra
            open_request(
                accounts, self._sqs, str(queue["queue_url"]), int(planted.account), right,
                session=True, details=details, at=as_of, request_id=request_id,
            )  # fmt: skip

    def answers(self, planted: Planted, request_id: UUID) -> dict[str, dict[str, Any]]:  # noqa: D102
        with psycopg.connect(self._dsn("accounts")) as accounts:
            rows = accounts.execute(
                "SELECT kind, body FROM privacy_outbox WHERE request_id = %s", (request_id,)
            )
            return dict(rows.fetchall())

    def values(self, planted: Planted, name: str) -> dict[str, Sequence[str]]:  # noqa: D102
        found: dict[str, Sequence[str]] = {}
        for store, fields in _VALUES.items():
            if name in fields:
                with psycopg.connect(self._dsn(store)) as connection:
                    rows = connection.execute(fields[name].encode(), {"id": int(planted.account)}).fetchall()
                    found[store] = [row[0] for row in rows if row[0] is not None]
        known = drilled.marker(planted.memo["reference"])
        if name in ("full_name", "email"):
            customers, contacts = self._state("stripe")["customers"], self._state("sendgrid")["contacts"]
            customers = [c for c in customers if c["id"] == known.identifiers[0]]
            contacts = [c for c in contacts if c["email"] in (known.emails[0], planted.corrections["email"])]
            if name == "email":
                found |= {
                    "stripe": [c["email"] for c in customers],
                    "sendgrid": [c["email"] for c in contacts],
                }
            else:
                found["stripe"] = [c["name"] for c in customers]
                found["sendgrid"] = [f"{c['first_name']} {c['last_name']}" for c in contacts]
        return {store: values for store, values in found.items() if values}

    def residue(self, planted: Planted) -> dict[str, int]:  # noqa: D102
        found = drilled.marker(planted.memo["reference"])
        counts = {store: _rows(self._dsn(store), found) for store in DATABASES}
        prefix = f"user-content/{found.account_id}/"
        there = self._s3.list_object_versions(Bucket=self._bucket(CONTENT), Prefix=prefix)
        counts[CONTENT] = len(there.get("Versions", [])) + len(there.get("DeleteMarkers", []))
        looked_for = re.compile(drilled.pattern(found, ids=False))
        for name in sorted(runtime().config().processors):
            counts[name] = sum(
                1 for thing in _things(name, self._state(name)) if looked_for.search(json.dumps(thing))
            )
        return counts

    def back_up(self, planted: Planted, as_of: datetime) -> datetime | None:  # noqa: D102
        captured_at = as_of.replace(microsecond=0)
        backups.write_backups(
            self._dsn("accounts"), self._dsn("practice"), as_of=captured_at, s3=self._s3,
            s3_bucket=self._bucket(BACKUPS), oldest_days=0, newest_days=0, traps=False,
        )  # fmt: skip
        return captured_at

    def restore(self, planted: Planted, captured_at: datetime) -> dict[str, str] | None:  # noqa: D102
        self.drop()
        with tempfile.TemporaryDirectory(prefix="drill-restore-") as folder:
            for store, connection in DATABASES.items():
                key = f"backups/{store}/{captured_at.strftime(backups.KEY_TIME)}/{store}.dump"
                archive = Path(folder) / f"{store}.dump"
                self._s3.download_file(self._bucket(BACKUPS), key, str(archive))
                restores.restore_closed(self._server, archive, self._name(connection))
        return dict(DATABASES)

    def residue_in(self, planted: Planted, restored: Mapping[str, str]) -> dict[str, int]:  # noqa: D102
        found = drilled.marker(planted.memo["reference"])
        return {
            store: _rows(self._server.dsn(self._name(connection)), found)
            for store, connection in restored.items()
        }

    def drop(self) -> None:  # noqa: D102
        for connection in DATABASES.values():
            self._server.drop_database(self._name(connection))

    def close(self) -> None:  # noqa: D102
        for name in ("_s3", "_sqs"):
            if (client := self.__dict__.pop(name, None)) is not None:
                client.close()

    @cached_property
    def _server(self) -> postgres.PostgresServer:
        """The server of the platform's databases, as its superuser."""
        info = runtime().connection(self._connection("accounts"))
        password = os.environ.get("PGPASSWORD")
        if not password:
            raise SandboxError("PGPASSWORD is not set: start the tasks with the world's own environment")
        # Which password the platform's role has does not matter: nobody signs in as it here.
        passwords = {postgres.SUPERUSER: password, "platform": ""}
        host, port = info.host or postgres.HOST, info.port or 5432
        return postgres.PostgresServer(host, port, Path("/"), postgres.find_binaries(), passwords)

    @cached_property
    def _s3(self) -> Any:
        return cloud_clients.s3(runtime().connection(self._connection(CONTENT)))

    @cached_property
    def _sqs(self) -> Any:
        from include.sandbox.objects import sqs_client

        return sqs_client(str(runtime().connection("request_queue").extra["endpoint_url"]))

    def _connection(self, store: str) -> str:
        return str(runtime().config().data_map[store].connection)

    def _bucket(self, store: str) -> str:
        mapped = runtime().config().data_map[store]
        return str(getattr(mapped, "bucket"))  # noqa: B009 - the map of a bucket, not of a database

    def _name(self, connection: str) -> str:
        return str(runtime().connection(connection).schema)

    def _dsn(self, store: str) -> str:
        return self._server.dsn(self._name(self._connection(store)))

    def _endpoint(self, processor: str) -> str:
        connection = runtime().config().processors[processor].connection
        return str(runtime().connection(connection).extra["endpoint_url"])

    def _state(self, processor: str) -> dict[str, Any]:
        return ProcessorControl(self._endpoint(processor)).state()

    def _refuse_elsewhere(self) -> None:
        """It inserts as a superuser, and talks to stand-ins: only ever on this machine."""
        hosts = [str(conninfo_to_dict(self._dsn(store))["host"]) for store in DATABASES]
        content = runtime().connection(self._connection(CONTENT)).extra.get("endpoint_url")
        urls = [str(content or ""), *(self._endpoint(name) for name in SEEDED)]
        hosts += [urlsplit(url).hostname or "" for url in urls]
        if not all(is_loopback(host) for host in hosts):
            raise SandboxError(
                "the sandbox's planter plants on this machine only; write a planter for your platform and "
                "name it in config/drill.yaml, or leave `planter` out there to switch the drill off"
            )


_VALUES: Mapping[str, Mapping[str, str]] = {
    "accounts": {
        "full_name": "SELECT full_name FROM accounts WHERE id = %(id)s",
        "email": "SELECT email FROM accounts WHERE id = %(id)s",
    },
    "practice": {
        "display_name": "SELECT display_name FROM learners WHERE account_id = %(id)s",
        "email": "SELECT settings ->> 'notification_email' FROM learners WHERE account_id = %(id)s",
    },
}
"""Store and field → where the platform reads it."""
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%' ORDER BY 1, 2
"""


def _rows(dsn: str, found: Marker) -> int:
    """Rows of any table in which anything of the person can be read."""
    count = 0
    with psycopg.connect(dsn, options="-c statement_timeout=120s") as connection:
        for schema, table in connection.execute(_TABLES.encode()).fetchall():
            query = sql.SQL("SELECT count(*) FROM {} t WHERE t::text ~ %s").format(
                sql.Identifier(schema, table)
            )
            row = connection.execute(query, (drilled.pattern(found),)).fetchone()
            count += int(row[0]) if row else 0
    return count


def _things(processor: str, state: Mapping[str, Any]) -> Iterable[Any]:
    """What a stand-in stores, object by object."""
    for found in state.values():
        for thing in found if isinstance(found, list) else [found]:
            if not (processor == "sendgrid" and _is_our_letter(thing)):
                yield thing


def _is_our_letter(thing: Any) -> bool:
    """The letter that says that everything is deleted is sent last; SendGrid logs it for 30 days."""
    return isinstance(thing, dict) and thing.get("from_email") == LETTERS_FROM
