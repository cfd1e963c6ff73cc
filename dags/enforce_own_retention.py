"""Delete what this project itself has kept long enough: its ledger, Airflow's memory, working tables.

## What it does
Expires tombstones and the replay journal with the last backup that needs them, and their keys with them;
deletes records of closed requests, released holds, bad input, used tokens, corrected addresses and forgotten
cohorts after their periods; prunes Airflow's metadata with Airflow's own command, without archives, and its
log files; drops working tables that a crash left in a store. Puts the counts on record.

## What it does not do
It deletes no evidence: that names nobody. Archives for people go by `expire_request_archives`, data of the
platform by the rules of policy.yaml.

## Triggers
Daily at 05:40 UTC; by hand.

## Parameters
`as_of` expires as at another instant, never a future one unless dry. `dry_run` counts and deletes nothing.

## If it fails
The error names the part; the others were done. Airflow's metadata need the connection `airflow_metadata`,
because Airflow keeps its database from tasks; the next run tries everything again.

## Promises
P2.4
"""

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import RETENTION_POOL, START, Tag, default_args
from include.privacy.retention import own, own_airflow
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("40 5 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.retention, Tag.scheduled],
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="Expire as at this instant.",
        ),
        "dry_run": Param(False, type="boolean", description="Count, delete nothing."),
    },
)
def enforce_own_retention():
    run = task(runs.open_run)("own_retention")
    records = task(own.expire_records)(run)
    metadata = task(own_airflow.prune_metadata)(run)
    logs = task(own_airflow.prune_logs)(run)
    work = (
        task(
            own.drop_abandoned_work,
            pool=RETENTION_POOL,
            map_index_template="{{ task.op_kwargs['store'] }}",
        )
        .partial(ledger_run=run)
        .expand_kwargs(task(own.databases)(run))
    )
    task(own.report, trigger_rule=TriggerRule.ALL_DONE)(run, records, metadata, logs, work)


enforce_own_retention()
