"""Stop or restrict the processing that people object to, purpose by purpose, and answer each of them.

## What it does
Claims every verified objection. Direct marketing, what rests on consent and what is optional stops at
once: the person disappears from the views that the platform's jobs for that purpose read, in every
database, in the very next query; marketing also keeps a keyed mark of their addresses, which outlives the
account. Purposes of legitimate interest are restricted until somebody has weighed them
(`decide_subject_request`). Looks whether the objection is in force, tells the person, closes the request.

## What it does not do
It deletes nothing. It does not stop what a contract or the law requires; the person is told so. It does
not wait: an objection to be weighed is parked, restricted, and taken up again when it is decided.

## Triggers
The intake (asset `objection_requests`); a decision (`decided_requests`); a sweep every 15 minutes; by hand.

## Parameters
`request_ids`: only these requests, by the ledger's or the platform's id. Empty: all that wait.

## If it fails
Some objections are not in force everywhere; the error says how many, the log of restrict which store
stopped them. The next sweep goes on.

## Promises
P3.1, P6.5
"""

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import REQUESTS_POOL, START, Tag, default_args
from include.privacy.requests import objecting
from include.privacy.steps import runs


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("11-59/15 * * * *", timezone="UTC"),
        assets=Asset("objection_requests") | Asset("decided_requests"),
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
def fulfil_objection_requests():
    run = task(runs.open_run)("objection_requests")
    items = task(objecting.claim)(run)
    restricted = (
        task(objecting.restrict, pool=REQUESTS_POOL, map_index_template="{{ task.op_kwargs['store'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(items)
    )
    restricted >> task(objecting.conclude, trigger_rule=TriggerRule.ALL_DONE)(run, items)


fulfil_objection_requests()
