"""A policy notice to a million people: calls, people a second against a bare loop, and memory."""

from __future__ import annotations

import json
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sendgrid import SendGridAPIClient

from include.privacy import runtime
from include.privacy.connections import ConnectionInfo
from include.privacy.ledger import Ledger, migrate
from include.privacy.letters.notices import NoticeWriter
from include.privacy.notices import campaigns, gathering, proving, sending
from include.privacy.policy.loading import load_config
from include.sandbox import next_version
from include.sandbox.bench.measure import Report, seconds
from include.sandbox.bench.processors import NO_LIMIT, stand_in
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.sendgrid_mail import KEPT_CALLS
from include.sandbox.world import World

# For a quick look: BENCH_HEARERS=20000 .venv/bin/python -m include.sandbox.bench notices
HEARERS = int(os.environ.get("BENCH_HEARERS", "1000000"))
A_CALL = 1_000
_FILL = """
INSERT INTO accounts (public_id, email, full_name, locale, created_at)
SELECT gen_random_uuid(), 'hearer' || n || '@example.com', 'Hearer ' || n,
       CASE WHEN n %% 5 = 0 THEN 'de' ELSE 'en' END, now() FROM generate_series(1, %s) n
"""


@dataclass(frozen=True)
class Campaign:
    """One that may begin, and what it is measured with."""

    ledger: Ledger
    run: str
    accounts: str
    endpoint: str
    key: str

    @property
    def id(self) -> UUID:
        """The campaign's."""
        return campaigns.campaign(next_version.VERSION).id


def announcements(world: World, report: Report) -> None:
    """The largest last: what a small one has allocated already does not count as its memory."""
    few = min(HEARERS, KEPT_CALLS * A_CALL - A_CALL)
    with _campaign(world, few) as small:
        _ours(small, few)
        small_mib = _resident_mib()
        control = ProcessorControl(small.endpoint)
        control.reset_calls()
        # The stand-in keeps the newest calls only, so that it needs no more memory for a million.
        looked = seconds(lambda: _look(small))
        calls = control.calls()
        delivered = small.ledger.coverage(small.id).states.get("delivered", 0)
        if delivered != few:
            raise RuntimeError(f"the benchmark delivered {delivered} of {few} notices")
        report.add(
            f"records of {few:,} notices",
            calls=calls,
            least_calls=-(-few // A_CALL),
            people_per_s=few / looked,
        )
    with _campaign(world, HEARERS) as large:
        frozen, sent, calls = _ours(large, HEARERS)
        large_mib = _resident_mib()
        bare = seconds(lambda: _bare(large))
    report.add(
        f"a notice to {HEARERS:,} people",
        calls=calls,
        least_calls=-(-HEARERS // A_CALL),
        calls_vs_least=calls / -(-HEARERS // A_CALL),
        freeze_s=frozen,
        send_s=sent,
        people_per_s=HEARERS / sent,
        bare_people_per_s=HEARERS / bare,
        seconds_vs_bare=sent / bare,
        peak_mib=large_mib,
        peak_mib_vs_small=large_mib / small_mib,
    )


def _ours(campaign: Campaign, people: int) -> tuple[float, float, int]:
    """Seconds of freezing and of sending, and calls made."""
    frozen = seconds(lambda: gathering.gather(campaign.run, next_version.VERSION))
    control = ProcessorControl(campaign.endpoint)
    control.reset_calls()
    sent = seconds(lambda: sending.send(campaign.run, next_version.VERSION))
    accepted = campaign.ledger.coverage(campaign.id).states.get("accepted", 0)
    if accepted != people:
        raise RuntimeError(f"the benchmark wrote to {accepted} of {people} people")
    return frozen, sent, control.calls()


def _look(campaign: Campaign) -> None:
    later = datetime.now(UTC) + timedelta(minutes=2)
    now = proving.runs.current_instant
    proving.runs.current_instant = lambda: later  # type: ignore[assignment] # a minute has to pass otherwise
    try:
        proving.look(campaign.run, next_version.VERSION)
    finally:
        proving.runs.current_instant = now  # type: ignore[assignment]


def _bare(campaign: Campaign) -> None:
    """The same calls by SendGrid's own client in a loop: no queue, no record, nobody left out."""
    client = SendGridAPIClient(campaign.key, host=campaign.endpoint).client
    config = runtime.runtime().config()
    notice = config.notices.notice(next_version.VERSION)
    letter = NoticeWriter(notice, config.notices, config.letters, config.policy.timezone).write("en")
    body: dict[str, Any] = {
        "from": {"email": "privacy@example.com"},
        "subject": letter.subject,
        "content": [
            {"type": "text/plain", "value": letter.text},
            {"type": "text/html", "value": letter.html},
        ],
    }
    with psycopg.connect(campaign.accounts) as connection, connection.cursor("bare") as cursor:
        cursor.execute("SELECT email FROM accounts WHERE deleted_at IS NULL")
        while rows := cursor.fetchmany(A_CALL):
            people = [
                {"to": [{"email": email}], "custom_args": {"reference": uuid4().hex}} for (email,) in rows
            ]
            client.mail.send.post(request_body=body | {"personalizations": people})


def _addressed(email: str) -> dict[str, Any]:
    return {"to": [{"email": email}], "custom_args": {"reference": uuid4().hex}}


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _campaign(world: World, people: int) -> Iterator[Campaign]:
    """A campaign that is approved and may begin, with a platform and a ledger of its own."""
    from include.sandbox.platform.seed import create_schema

    names = {name: f"bench_{name}_{uuid4().hex[:8]}" for name in ("accounts", "practice", "ledger")}
    for name, database in names.items():
        world.postgres.create_database(database, "ledger_owner" if name == "ledger" else "platform")
    create_schema(world.dsn(names["accounts"]), world.dsn(names["practice"]))
    with psycopg.connect(world.dsn(names["accounts"]), autocommit=True) as connection:
        connection.execute(_FILL, [people])
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO privacy_dags")
        connection.execute("ANALYZE")
    migrate(world.dsn(names["ledger"], "ledger_owner"), "privacy_dags")
    with (
        tempfile.TemporaryDirectory() as folder,
        stand_in(world, "sendgrid") as (endpoint, key),
    ):
        config_folder = next_version.copy_config(Path(folder) / "config")
        next_version.announce(config_folder, (datetime.now(UTC) + timedelta(days=34)).date())
        settings = config_folder / "notices" / "notices.yaml"
        settings.write_text(
            settings.read_text().replace("people_per_minute: 60000", f"people_per_minute: {NO_LIMIT}")
        )
        ProcessorControl(endpoint).configure(keep_mail=False, limit=NO_LIMIT)

        def connect(conn_id: str) -> ConnectionInfo:
            if conn_id == "sendgrid":
                return ConnectionInfo(conn_id, "generic", password=key, extra={"endpoint_url": endpoint})
            value = json.loads(world.env[f"AIRFLOW_CONN_{conn_id.upper()}"])
            schema = names[conn_id.removesuffix("_db").removeprefix("privacy_")]
            return ConnectionInfo(
                conn_id,
                *(value[k] for k in ("conn_type", "host", "port", "login")),
                value["password"],
                schema,
                {},
            )

        config = load_config(config_folder)
        os.environ.setdefault("PRIVACY_MASTER_KEY", world.master_key)
        with runtime.use_runtime(runtime.Runtime(connect, lambda: config)) as rt:
            ledger = rt.ledger()
            now = datetime.now(UTC)
            run = ledger.open_run("policy_notice", "bench", now, False, config.policy.version, config.digest)
            notice = config.notices.notice(next_version.VERSION)
            row = campaigns.propose(notice, run, now)
            ledger.decide_notice(row.id, notice.digest, True, "bench", now)
            yield Campaign(ledger, str(run), world.dsn(names["accounts"]), endpoint, key)
            rt.close()
    for database in names.values():
        world.postgres.drop_database(database)
