"""Erase the people who asked for it from every store, prove it, and answer each of them.

## What it does
Claims every verified erasure request into one cohort, freezes all identifiers, plans each store, erases
the dependent stores and then the root store, has every processor erase them, looks for everybody again,
writes tombstones that last as long as the last backup, and closes each request on its own with an answer
in the platform's outbox and a letter. A second probe follows days later (`probe_again`).

## What it does not do
It takes nothing in (`intake_subject_requests`). It never waits: what takes a processor longer is left to
`settle_recipients`; a held person's request is parked and taken up again after the release; whoever also
asked to see their data is shown them first. It does not rewrite backups: the answer says until when they may
hold something. It never carries personal data through Airflow.

## Triggers
The intake (asset `erasure_requests`); a released hold (`released_holds`); a decision
(`decided_requests`); another request of the person answered (`answered_requests`); a sweep every 15
minutes, which finds what no event announced; by hand.

## Parameters
`request_ids`: only these requests, by the ledger's or the platform's id. Empty: all that wait.

## If it fails
Some requests stay open; the error says how many, the logs of execute and probe say which store stopped
them. The next sweep goes on with the same cohort.

## Promises
P4.4, P5.1, P5.2, P5.3, P5.5, P5.6, P6.3
"""

from airflow.sdk import (
    Asset,
    AssetAny,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    TriggerRule,
    dag,
    task,
)

from include.dag_defaults import (
    ERASING_TIMEOUT,
    PROCESSORS_POOL,
    REQUESTS_POOL,
    START,
    Tag,
    default_args,
    only_these_requests,
)
from include.privacy.requests import claiming, closing, notifying
from include.privacy.steps import executing, planning, probing, recipients, runs

WAKES = ("erasure_requests", "released_holds", "decided_requests", "answered_requests")


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("9-59/15 * * * *", timezone="UTC"),
        assets=AssetAny(*(Asset(name) for name in WAKES)),
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.event],
    params=only_these_requests(),
)
def fulfil_erasure_requests():
    run = task(runs.open_run)("erasure_requests")
    items = task(claiming.claim, pool=REQUESTS_POOL)(run)
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
    opened = task(recipients.open_erasures, trigger_rule=TriggerRule.ALL_DONE)(run, cleared)
    processor = "{{ task.op_kwargs['processor'] }}"
    worked = (
        task(recipients.work, pool=PROCESSORS_POOL, map_index_template=processor)
        .partial(ledger_run=run)
        .expand_kwargs(opened)
    )
    told = task(notifying.notify_recipients, trigger_rule=TriggerRule.ALL_DONE)(run, cleared)
    looks = task(probing.probes, trigger_rule=TriggerRule.ALL_DONE)(run, cleared)
    probed = (
        task(probing.probe, pool=REQUESTS_POOL, map_index_template=store)
        .partial(ledger_run=run)
        .expand_kwargs(looks)
    )
    closed = task(closing.close_requests, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    items >> planned >> cleared
    executed >> roots >> rooted >> opened >> worked >> told >> looks >> probed >> closed


fulfil_erasure_requests()
