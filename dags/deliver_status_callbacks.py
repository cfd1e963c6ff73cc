"""Tell controllers that sent requests in the OpenDSR protocol how these go on.

## What it does
Compares the status of each such request with what its callback addresses were told, and sends every change,
signed with the processor's key, to each of them. Changes reach an address in their order. A delivery that
fails is tried again after 5, 10, 20 … minutes, at most 12 hours apart, for a week.

## What it does not do
It changes no request and sends nothing of a person: ids, status words and dates. It sends to hosts of
`opendsr.callback_hosts` in config/policy.yaml only, by https, and follows no redirect.

## Triggers
Every 5 minutes; by hand.

## Parameters
None.

## If it fails
`queue`: the ledger could not be reached; the next run does the same. `deliver`: either the connection
`opendsr_processor` is missing or unusable, and the message says what to change; or a controller could not be
told for a week, and then somebody should tell them: they can still ask for the status.

## Promises
P6.6
"""

from airflow.sdk import CronTriggerTimetable, TriggerRule, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests.opendsr import callbacks


@dag(
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.scheduled],
)
def deliver_status_callbacks():
    queued = task(callbacks.queue)()
    queued >> task(callbacks.deliver, trigger_rule=TriggerRule.ALL_DONE)()


deliver_status_callbacks()
