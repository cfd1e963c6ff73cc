"""Take in what people ask for, confirm it at once, verify who asks, and wake the DAG of each right.

## What it does
Takes every waiting row of the platform's inbox (opened, verified, withdrawn) into the ledger with all its
legal clocks; writes a confirmation to each person at once; sends a one-time link to whoever is not
verified, at an address that was on file before the request came; and rings the asset of every right that
has a verified request waiting.

## What it does not do
It fulfils nothing and waits for nobody. It asks for no document. What is malformed goes to the ledger's
quarantine with the reason and stops none of the others. It never carries personal data through Airflow.

## Triggers
The doorbell: a message in the request queue (asset `subject_requests`); a sweep every 15 minutes, which
finds what no doorbell announced; by hand.

## Parameters
None.

## If it fails
`receive`: the inbox or the ledger could not be reached; the next sweep takes the rows. `acknowledge` or
`challenge`: some people could not be written to; the requests go on all the same, and the next sweep
writes again, never twice.

## Promises
P6.6, P6.7
"""

from airflow.sdk import (
    Asset,
    AssetAlias,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    TriggerRule,
    dag,
    task,
)
from privacy_doorbell import SqsDoorbell

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import acknowledging, events, intake
from include.privacy.steps import runs

DOORBELL = Asset(
    "subject_requests",
    watchers=[AssetWatcher(name="request_queue", trigger=SqsDoorbell(conn_id="request_queue"))],
)


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
        assets=DOORBELL | Asset("opened_requests"),
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.event],
)
def intake_subject_requests():
    run = task(runs.open_run)("subject_requests")
    received = task(intake.receive)(run)
    acknowledged = task(acknowledging.acknowledge, trigger_rule=TriggerRule.ALL_DONE)(run)
    challenged = task(acknowledging.challenge, trigger_rule=TriggerRule.ALL_DONE)(run)
    rung = task(intake.ring, outlets=[AssetAlias(events.WOKEN)], trigger_rule=TriggerRule.ALL_DONE)(run)
    received >> acknowledged >> [rung, challenged]


intake_subject_requests()
