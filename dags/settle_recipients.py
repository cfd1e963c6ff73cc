"""Go on with what processors could not finish at once, and answer the requests that waited for them.

## What it does
Asks every processor about each person whose work there is pending or went wrong: jobs that take minutes,
charges that can be redacted only months later, calls that failed. Carries each one step further, looks for
whoever is said to be erased, and puts every outcome on record. Answers and closes the requests of which no
recipient is open any more; tells people in time when a recipient will not be done before the due date.

## What it does not do
It begins no request. It does nothing that no interface offers: what is *manual* waits until staff have seen
to it (`confirm_recipient`). It never waits itself: what is not ready is asked again, at most a day later.

## Triggers
Every 15 minutes; by hand.

## Parameters
None.

## If it fails
A processor is down, or refuses something for some people: the error says which and how many, the log of
work says why. Everything is asked again; what stays refused for a day needs a person.

## Promises
P5.1, P5.2, P5.5, P5.6, P6.2, P6.3, P6.5
"""

from airflow.sdk import AssetAlias, CronTriggerTimetable, TriggerRule, dag, task

from include.dag_defaults import PROCESSORS_POOL, START, Tag, default_args
from include.privacy.requests import events, settled
from include.privacy.steps import recipients, runs


@dag(
    schedule=CronTriggerTimetable("13-59/15 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.scheduled],
)
def settle_recipients():
    run = task(runs.open_run)("settle_recipients")
    processor = "{{ task.op_kwargs['processor'] }}"
    worked = (
        task(recipients.work, pool=PROCESSORS_POOL, map_index_template=processor)
        .partial(ledger_run=run)
        .expand_kwargs(task(recipients.due)(run))
    )
    outlets = [AssetAlias(events.WOKEN)]
    worked >> task(settled.conclude, outlets=outlets, trigger_rule=TriggerRule.ALL_DONE)(run)


settle_recipients()
