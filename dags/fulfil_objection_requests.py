"""Stop or restrict the processing that people object to, purpose by purpose, and answer each of them.

## What it does
Claims every verified objection. Direct marketing, what rests on consent and what is optional stops at
once: the person disappears from the views that the platform's jobs for that purpose read, in every
database, in the very next query; marketing also keeps a keyed mark of their addresses, which outlives the
account. Purposes of legitimate interest are restricted until somebody has weighed them
(`decide_subject_request`). Has the processors stop what serves the purpose, looks whether the objection is
in force, tells the person, closes the request.

## What it does not do
It deletes nothing. It does not stop what a contract or the law requires; the person is told so. It does not
wait: what takes a processor longer is left to `settle_recipients`; an objection to be weighed is parked,
restricted, and taken up again when it is decided.

## Triggers
The intake (asset `objection_requests`); a decision (`decided_requests`); a sweep every 15 minutes; by hand.

## Parameters
`request_ids`: only these requests, by the ledger's or the platform's id. Empty: all that wait.

## If it fails
Some objections are not in force everywhere; the error says how many, the log of restrict which store
stopped them. The next sweep goes on.

## Promises
P3.1, P5.5, P5.6, P6.5
"""

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, dag, task

from include.dag_defaults import PROCESSORS_POOL, REQUESTS_POOL, START, Tag, default_args, only_these_requests
from include.privacy.requests import objecting
from include.privacy.steps import recipients, runs


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
    params=only_these_requests(),
)
def fulfil_objection_requests():
    run = task(runs.open_run)("objection_requests")
    items = task(objecting.claim)(run)
    restricted = (
        task(objecting.restrict, pool=REQUESTS_POOL, map_index_template="{{ task.op_kwargs['store'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(items)
    )
    opened = task(objecting.tell_processors, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    processor = "{{ task.op_kwargs['processor'] }}"
    worked = (
        task(recipients.work, pool=PROCESSORS_POOL, map_index_template=processor)
        .partial(ledger_run=run)
        .expand_kwargs(opened)
    )
    concluded = task(objecting.conclude, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    restricted >> opened >> worked >> concluded


fulfil_objection_requests()
