"""Look once more, days after an erasure, whether anything of the erased people has come back.

## What it does
Runs every probe that is due, over all identifiers that were frozen before the erasure, and destroys the
frozen cohort when nothing needs it any more: from then on not even the ledger knows who it was.

## What it does not do
It deletes nothing from any store. What came back (a trigger, a replica, a late write) is a finding for a
person.

## Triggers
Daily at 04:15 UTC; by hand.

## Parameters
`as_of` probes what is due at another instant.

## If it fails
Something of erased people was found, or a store could not be searched: the error says where and how
much. The probe stays due and is repeated every day; find what wrote the data, and add it to the data
map.

## Promises
P4.2, P6.3
"""

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import REQUESTS_POOL, START, Tag, default_args
from include.privacy.requests import probing_again
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("15 4 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.scheduled],
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="Probe what is due at this instant.",
        )
    },
)
def probe_again():
    run = task(runs.open_run)("probe_again")
    due = task(probing_again.due_probes)(run)
    probed = (
        task(
            probing_again.probe_again,
            task_id="probe",
            pool=REQUESTS_POOL,
            map_index_template="{{ task.op_kwargs['store'] }}",
        )
        .partial(ledger_run=run)
        .expand_kwargs(due)
    )
    probed >> task(probing_again.report, trigger_rule=TriggerRule.ALL_DONE)(run)


probe_again()
