"""A policy notice in the demo: announced, approved, sent through failures, and counted in the mailbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from include.privacy.notices.deciding import APPROVE
from include.sandbox import next_version
from include.sandbox.airflow_api import AirflowApi, Run
from include.sandbox.processors import SENDGRID
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.mailbox import arrivals
from include.sandbox.verify import Check
from include.sandbox.world import World

ANNOUNCE, APPROVAL = "announce_policy_change", "approve_policy_notice"
AHEAD = timedelta(days=35)
_REACHABLE = """
SELECT id, email FROM accounts a WHERE deleted_at IS NULL AND id = ANY(%s) AND NOT EXISTS
    (SELECT FROM privacy_restrictions r WHERE r.account_id = a.id AND r.purpose = '*')
"""


@dataclass
class Told:
    """What the campaign met: whom SendGrid could not reach, and everybody's address, by account."""

    bounced: list[int]
    dropped: list[int]
    addresses: dict[int, str] = field(repr=False)


def write_version(folder: Path) -> Path:
    """The configuration of the demo: the shipped one, and a next version that applies in 35 days."""
    config = next_version.copy_config(folder / "config")
    next_version.announce(config, (datetime.now(UTC) + AHEAD).date())
    return config


def disturb(world: World, untouched: Collection[int]) -> Told:
    """SendGrid will bounce some and drop some (none of ``untouched``), limit its rate and fail once."""
    with psycopg.connect(world.dsn("accounts")) as connection:
        rows = connection.execute(
            "SELECT id, email FROM accounts WHERE deleted_at IS NULL ORDER BY id DESC"
        ).fetchall()
    addresses = dict(rows)
    free = [account for account in addresses if account not in set(untouched)][20:60]
    told = Told(free[:12], free[12:20], addresses)
    sendgrid = ProcessorControl(world.processor_endpoints[SENDGRID])
    sendgrid.configure(
        bounces=[addresses[each] for each in told.bounced], drops=[addresses[each] for each in told.dropped]
    )
    sendgrid.fail(path="/v3/mail/send", kind="status", status=429)
    sendgrid.fail(path="/v3/mail/send", kind="reset", when="after", skip=1)
    return told


def approve(api: AirflowApi) -> None:
    """The privacy team reads the letter in the required-actions page and approves it."""
    api.answer(APPROVAL, APPROVE, seconds=90)


def look(api: AirflowApi) -> Run:
    """Another run: sends what waits, and reads the providers' records."""
    return api.trigger(ANNOUNCE)


def check(world: World, told: Told) -> list[Check]:
    """The mailbox against the accounts, and the campaign's own figures."""
    with psycopg.connect(world.dsn("ledger")) as ledger:
        batches = [row[0].hex for row in ledger.execute("SELECT id FROM ledger.notice_batch").fetchall()]
        row = ledger.execute("SELECT report FROM ledger.notice_campaign").fetchone()
    report = row[0] if row and row[0] else {}
    mailbox: Counter[str] = arrivals(world.folder, batches=batches)
    with psycopg.connect(world.dsn("accounts")) as accounts:
        now = dict(accounts.execute(_REACHABLE, [list(told.addresses)]).fetchall())
        rows = accounts.execute("SELECT account_id FROM privacy_outbox WHERE kind = 'policy_notice'")
        in_app = {account for (account,) in rows}
    # Whoever corrected their address meanwhile got the letter at the old one or at the new one.
    got = {
        account: sum(mailbox[a] for a in {address, now.get(account, address)})
        for account, address in told.addresses.items()
    }
    # Some were on SendGrid's lists of bounces and complaints before: they, too, find it in the app.
    missing = [account for account in now if not got[account] and account not in in_app]
    twice = [account for account, count in got.items() if count > 1]
    states = report.get("states", {})
    done = sum(states.get(state, 0) for state in ("delivered", "silent", "told_in_app", "left", "accepted"))
    audience = int(report.get("audience", 0))
    return [
        Check(
            "P8.1",
            "everybody reachable has exactly one notice in the mailbox",
            any(got.values()) and not twice and not missing,
            f"{sum(got.values()):,} letters, {len(missing)} missing, {len(twice)} twice",
        ),
        Check(
            "P8.1",
            "whom SendGrid bounced find it in the app; whom it dropped got it from Postmark",
            all(a in in_app for a in told.bounced if a in now)
            and all(got[a] for a in told.dropped if a in now),
            f"{len(in_app)} in the app, {len(told.dropped)} by Postmark",
        ),
        Check(
            "P8.1",
            "the campaign accounts for its whole audience",
            audience > 0 and done == audience,
            f"{audience:,} people: " + ", ".join(f"{n:,} {s}" for s, n in states.items()),
        ),
        Check(
            "P8.1",
            "the last letter left more than 30 days before the version applies",
            (report.get("days_ahead") or 0) > 30,
            f"{report.get('days_ahead')} days",
        ),
    ]
