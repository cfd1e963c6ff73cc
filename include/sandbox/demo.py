"""``make demo``: the main job, end to end, on real stores, and the proof that it was done.

Starts everything, lets people ask for each of their rights through the platform's own outbox and queue,
runs both retention DAGs and the audit of recipients, waits, and then asks the stores themselves. Exits
with 1 when anything is not as promised. Everything is left running; ``make stop`` ends it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from include.sandbox import noticed, processed, proven, rights, setup, verify
from include.sandbox.airflow import start_airflow
from include.sandbox.airflow_api import AirflowApi, AirflowApiError, Run
from include.sandbox.objects import sqs_client
from include.sandbox.platform.people import MARKERS
from include.sandbox.processes import SandboxError
from include.sandbox.processors import SENDGRID
from include.sandbox.report import what_was_asked, what_was_done, what_was_found, where_to_look
from include.sandbox.results import last_audit, open_breaches, read_lines, read_requests
from include.sandbox.watching import DEADLINES, DRILL, REQUESTS, SETTLE, Story, Watch, check_drill
from include.sandbox.world import World, stop_world

RETENTION = ("enforce_database_retention", "enforce_backup_retention")
AUDIT = "audit_recipients"
HOLD = "place_legal_hold"
OPEN_STILL = ("on_hold", "awaiting_recipients")
"""A held person waits for the release; PayPal, and young charges at Stripe, for staff or a date."""


def run(people: int, folder: Path, story: Story) -> bool:
    """The whole story; true when everything is as promised."""
    as_of = datetime.now(UTC)
    world, airflow = setup.start(story.say, folder)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="airflow") as beside:
        # Airflow takes as long to start as the platform to fill: do both at once.
        starting = beside.submit(start_airflow, world, airflow, story.say)
        platform = setup.fill(world, story.say, people, as_of)
        starting.result()
    story.say(
        "Checking config/ against the live stores: every table, column, prefix and foreign key is mapped"
    )
    setup.privacy(airflow, "check", "--live")

    stores = setup.stores(world)
    # One pays through both gateways, one paid by card a few weeks ago.
    wanted = [MARKERS[1].account_id, *_active(world, processed.payers(world, young=True))[:1]]
    known = processed.know(world, wanted)
    held = _somebody(world, "deleted_at <= now() - interval '31 days'", 3)
    before = verify.take_baseline(stores, wanted, as_of, [held])
    api = airflow.api()
    daily = (*RETENTION, AUDIT, proven.DATA_MAP, proven.CONTROLS)
    shown = (
        *(*daily, proven.PUBLISH, *REQUESTS, DEADLINES, HOLD, SETTLE, DRILL),
        *(noticed.ANNOUNCE, noticed.APPROVAL),
    )
    api.wait_for_dags(set(shown), seconds=60)
    # The others begin to keep their hours when the story is told: two cores have enough to do.
    for dag_id in shown:
        api.unpause(dag_id)
    story.say("The next version of the policy is announced: somebody has to approve its notice")
    story.say("A drill begins: a person who does not exist is planted in every store and processor")
    first = [api.trigger(noticed.ANNOUNCE), api.trigger(DRILL)]
    _place_hold(api, held, story)

    others = _others(world, wanted)
    asked = rights.ask(world, wanted, held, others, as_of)
    for each in asked:
        story.say(f"Somebody {each.story}: request {each.external_id}, doorbell rung in SQS")
    told = noticed.disturb(world, [*wanted, held, *others])
    noticed.approve(api)
    story.say("The privacy team approves the notice in the required-actions page: sending through a SendGrid")
    story.say("that bounces some, drops some, limits its rate and hangs up once in the middle")
    runs = [api.trigger(dag_id, {"as_of": as_of.isoformat(), "dry_run": False}) for dag_id in daily]
    story.say(f"Triggered {', '.join(daily)} through Airflow's REST API")
    api.wait(noticed.APPROVAL, seconds=90)
    watch = Watch(api, world, asked, story)
    watch.until_over([*first, *runs, noticed.look(api)])
    story.say("Reading what SendGrid and Postmark say of each letter")
    watch.until_over([noticed.look(api)])
    story.say("Publishing the evidence: signed, locked, and verified by an outsider's program")
    bad = watch.until_over([api.trigger(proven.PUBLISH)])

    story.say("Asking the stores themselves, with plain SQL, boto3 and google-cloud-storage")
    checks = [
        *verify.check_people(stores, before),
        *verify.check_content(stores, before),
        *verify.check_backups(stores, before),
        *verify.check_snapshots(stores, before),
        *verify.check_residue(_databases(world), MARKERS),
        *rights.check(world, asked),
        *processed.check(world, asked, known),
        *noticed.check(world, told),
        *proven.check(world, setup.EVIDENCE, setup.privacy(airflow, "evidence", "key").strip()),
        *check_drill(world),
        *_check_ledger(world, asked, bad),
    ]
    print(what_was_asked(read_requests(world.dsn("ledger")), {a.external_id: a.story for a in asked}))
    print(what_was_done(read_lines(world.dsn("ledger"))))
    print(what_was_found(checks))
    print(where_to_look(airflow, world.processor_endpoints[SENDGRID]))
    print(
        f"\n{platform.seeded.people:,} people and {platform.seeded.attempts:,} attempts;"
        f" {story.seconds:.0f} s from nothing to proof."
    )
    for dag_id in api.dags():
        api.unpause(dag_id)
    return all(check.ok for check in checks)


def _somebody(world: World, condition: LiteralString, offset: int) -> int:
    with psycopg.connect(world.dsn("accounts")) as accounts:
        row = accounts.execute(
            sql.SQL("SELECT id FROM accounts WHERE {} AND id < %s ORDER BY id LIMIT 1 OFFSET %s").format(
                sql.SQL(condition)
            ),
            [MARKERS[0].account_id, offset],
        ).fetchone()
    if row is None:
        raise SandboxError(f"the platform has nobody with {condition}; use more people")
    return int(row[0])


def _active(world: World, accounts: Sequence[int]) -> list[int]:
    """Those of the accounts that are in use, in the same order."""
    with psycopg.connect(world.dsn("accounts")) as connection:
        rows = connection.execute(
            "SELECT id FROM accounts WHERE status = 'active' AND id = ANY(%s) AND id < %s",
            [list(accounts), MARKERS[0].account_id],
        )
        active = {row[0] for row in rows}
    return [account for account in accounts if account in active]


def _others(world: World, taken: Sequence[int]) -> list[int]:
    """Five active people who stay; the first and the third pay through Stripe."""
    paying = [each for each in _active(world, processed.payers(world, young=False)) if each not in taken]
    if len(paying) < 2:
        raise SandboxError("too few people pay through Stripe; use more people")
    anybody = (_somebody(world, "status = 'active'", 30 + n) for n in range(40))
    rest = [each for each in anybody if each not in {*taken, *paying[:2]}]
    return [paying[0], rest[0], paying[1], rest[1], rest[2]]


def _place_hold(api: AirflowApi, account: int, story: Story) -> None:
    """Counsel fills in the form of ``place_legal_hold`` for somebody who is due for the purge."""
    story.say("Placing a legal hold on somebody who is due for the purge, with the form of place_legal_hold")
    form = {"scope": "subject", "account_id": str(account), "matter": "2026-117", "reason": "litigation"}
    api.trigger(HOLD, form)
    if api.wait(HOLD, seconds=60)[0].state != "success":
        raise AirflowApiError(f"{HOLD} failed; its log says why")


def _databases(world: World) -> dict[str, str]:
    return {name: world.dsn(name) for name in ("accounts", "practice", "ledger", "airflow")}


def _check_ledger(world: World, asked: Sequence[rights.Asked], failed: Sequence[Run]) -> list[verify.Check]:
    """What the ledger and the platform say must agree with what was found."""
    ledger = {r.external_id: r for r in read_requests(world.dsn("ledger"))}
    requests = [each.external_id for each in asked]
    done = [each for each in asked if ledger[each.external_id].state in each.ends]
    breaches = open_breaches(world.dsn("ledger"))
    with psycopg.connect(world.dsn("accounts")) as accounts:
        answered = accounts.execute(
            "SELECT DISTINCT request_id::text FROM privacy_outbox WHERE request_id::text = ANY(%s)",
            [list(requests)],
        ).fetchall()
    left = [
        f"{line.why} in {line.store}: {line.remaining}"
        for line in read_lines(world.dsn("ledger"))
        if line.remaining
    ]
    looked_at, alarms = last_audit(world.dsn("ledger"))
    attributes = sqs_client(world.s3_endpoint).get_queue_attributes(
        QueueUrl=world.queue_url, AttributeNames=["All"]
    )
    waiting = int(attributes["Attributes"]["ApproximateNumberOfMessages"])
    return [
        verify.Check(
            "P6.6", f"the ledger has all {len(asked)} requests where they belong", len(done) == len(asked)
        ),
        verify.Check(
            "P6.6",
            "whoever waits for nobody has an answer in the outbox",
            {row[0] for row in answered} >= {r for r in requests if ledger[r].state not in OPEN_STILL},
        ),
        verify.Check("P6.3", "the queue is empty: every doorbell was heard", waiting == 0, f"{waiting}"),
        verify.Check("P4.2", "the engine's own probes found nothing left", not left, "; ".join(left)),
        verify.Check(
            "P3.2",
            f"{looked_at} places were searched for ways out, and none is open that is not listed",
            looked_at > 0 and alarms == 0,
            f"{alarms} alarms",
        ),
        verify.Check("all", "no breach of a limit is open", breaches == 0, f"{breaches}"),
        verify.Check("all", "every DAG run succeeded", not failed, ", ".join(r.dag_id for r in failed)),
    ]


def main(argv: list[str] | None = None) -> int:
    """0 when everything is as promised, 1 when not, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="make demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--stop", action="store_true", help="end everything that runs")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING)
    story = Story()
    if arguments.stop:
        stop_world(setup.FOLDER)
        story.say("Everything is stopped. Data and logs stay in .sandbox until the next make demo.")
        return 0
    try:
        return 0 if run(arguments.people, setup.FOLDER, story) else 1
    except (SandboxError, AirflowApiError) as error:
        print(
            f"\nThe demo could not go on: {error}\nWhat runs is left for you to look at; make stop ends it.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; stopping everything.", file=sys.stderr)
        stop_world(setup.FOLDER)
        return 130


if __name__ == "__main__":
    sys.exit(main())
