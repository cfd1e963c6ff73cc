"""Erase the people who asked for it from every store, prove it, and answer each of them.

## What it does
Takes waiting rows from the platform's inbox into the ledger, claims every verified erasure request into
one cohort, freezes all identifiers, plans each store, erases the dependent stores and then the root
store, looks for everybody again, writes tombstones that last as long as the last backup, and closes each
request on its own with an answer in the platform's outbox. A second probe follows days later
(`probe_again`).

## What it does not do
It never waits: an unverified request stays where it is, a held person's request is parked and taken up
again after the release. It does not rewrite backups: the answer says until when they may hold something.
It never carries personal data through Airflow.

## Triggers
The doorbell: a message in the request queue (asset `erasure_requests`); a released hold (asset
`released_holds`); a sweep every 15 minutes, which finds what no doorbell announced; by hand.

## Parameters
`request_ids`: only these requests, by the ledger's or the platform's id. Empty: all that wait.

## If it fails
Some requests stay open; the error says how many, the logs of execute and probe say which store stopped
them. The next sweep goes on with the same cohort. Malformed inbox rows are in the ledger's quarantine.

## Promises
P4.4, P5.3, P6.3, P6.7
"""

from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    Param,
    TriggerRule,
    dag,
    task,
)
from privacy_doorbell import SqsDoorbell

from include.dag_defaults import ERASING_TIMEOUT, REQUESTS_POOL, START, Tag, default_args
from include.privacy.requests import claiming, closing, intake
from include.privacy.steps import executing, planning, probing, runs

DOORBELL = Asset(
    "erasure_requests",
    watchers=[AssetWatcher(name="request_queue", trigger=SqsDoorbell(conn_id="request_queue"))],
)


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
        assets=DOORBELL | Asset("released_holds"),
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.event],
    params={
        "request_ids": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "format": "uuid"},
            description="Only these requests, by id. Empty: all that wait.",
        )
    },
)
def fulfil_erasure_requests():
    run = task(runs.open_run)("erasure_requests")
    received = task(intake.receive)(run)
    items = task(claiming.claim, pool=REQUESTS_POOL, trigger_rule=TriggerRule.ALL_DONE)(run)
    store = "{{ task.op_kwargs['store'] }}"
    planned = (
        task(planning.plan, pool=REQUESTS_POOL, map_index_template=store)
        .partial(ledger_run=run)
        .expand_kwargs(items)
    )
    cleared = task(claiming.complete_cohorts, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    work = {"pool": REQUESTS_POOL, "execution_timeout": ERASING_TIMEOUT, "max_active_tis_per_dagrun": 4}
    label = "{{ task.op_kwargs['store'] }} {{ task.op_kwargs['shard'] }}"
    executed = (
        task(executing.execute, task_id="execute_dependents", map_index_template=label, **work)
        .partial(ledger_run=run)
        .expand_kwargs(task(executing.shards)(cleared))
    )
    roots = task(executing.release_roots, trigger_rule=TriggerRule.ALL_DONE)(run, cleared)
    rooted = (
        task(executing.execute, task_id="execute_root", map_index_template=label, **work)
        .partial(ledger_run=run)
        .expand_kwargs(roots)
    )
    looks = task(probing.probes, trigger_rule=TriggerRule.ALL_DONE)(run, cleared)
    probed = (
        task(probing.probe, pool=REQUESTS_POOL, map_index_template=store)
        .partial(ledger_run=run)
        .expand_kwargs(looks)
    )
    closed = task(closing.close_requests, trigger_rule=TriggerRule.ALL_DONE)(run, received, items)
    received >> items >> planned >> cleared
    executed >> roots >> rooted >> looks >> probed >> closed


fulfil_erasure_requests()
