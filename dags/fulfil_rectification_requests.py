"""Correct what people say is wrong, in every store that holds it, and answer each of them.

## What it does
Claims every verified request for rectification, lets no job use the people meanwhile, and writes each new
value into every column that the data map knows to hold that fact: first in the root store, where an address
that somebody else has is refused, then in the others, for everybody with the same few statements. The old
values are sealed with the request until it is closed; then only the ledger has them: an old address until the
person is erased, because others still know them by it. Has every processor correct it too, looks whether
every store says the new value, writes to the person, closes the request.

## What it does not do
It does not wait for processors (`settle_recipients` goes on). It does not change documents that were issued
(invoices): the answer says so. It does not judge who is
right: a value that does not fit its field is refused, with the reason. New values never pass through Airflow.

## Triggers
The intake (asset `rectification_requests`); a released hold (`released_holds`); a sweep every 15 minutes; by
hand.

## Parameters
`request_ids`: only these requests, by the ledger's or the platform's id. Empty: all that wait.

## If it fails
Some corrections are not in every store; the error says how many, the log of correct which store stopped
them. The people stay restricted; the next sweep goes on.

## Promises
P5.1, P5.5, P6.2
"""

from airflow.sdk import Asset, AssetAlias, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, dag, task

from include.dag_defaults import PROCESSORS_POOL, REQUESTS_POOL, START, Tag, default_args, only_these_requests
from include.privacy.requests import corrected, events, rectifying
from include.privacy.steps import recipients, runs


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("7-59/15 * * * *", timezone="UTC"),
        assets=Asset("rectification_requests") | Asset("released_holds"),
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.event],
    params=only_these_requests(),
)
def fulfil_rectification_requests():
    run = task(runs.open_run)("rectification_requests")
    requests = task(rectifying.claim)(run)
    others = task(rectifying.correct_root, pool=REQUESTS_POOL)(run, requests)
    corrected_there = (
        task(rectifying.correct, pool=REQUESTS_POOL, map_index_template="{{ task.op_kwargs['store'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(others)
    )
    opened = task(rectifying.tell_processors, trigger_rule=TriggerRule.ALL_DONE)(run, requests)
    processor = "{{ task.op_kwargs['processor'] }}"
    worked = (
        task(recipients.work, pool=PROCESSORS_POOL, map_index_template=processor)
        .partial(ledger_run=run)
        .expand_kwargs(opened)
    )
    outlets = [AssetAlias(events.WOKEN)]
    concluded = task(corrected.conclude, outlets=outlets, trigger_rule=TriggerRule.ALL_DONE)(run, requests)
    corrected_there >> opened >> worked >> concluded


fulfil_rectification_requests()
