"""Compare what the stores really hold with the data map, and sound an alarm for whatever it does not know.

## What it does
Looks at every store and processor of the map, one task each. Databases: tables, columns, schemas and foreign
keys that the map does not know, entries that no longer exist, types that have changed, columns called after
a company that is no mapped processor. Buckets: prefixes that the map does not know. Contents: a bounded
sample of what the map says is not personal, and of what it does not know, for what looks like addresses,
numbers, names, secrets or free text. The map itself: categories of data that no promise names. Each finding
becomes a breach that names its promise, and ends with the first run that no longer finds it.

## What it does not do
It changes neither map nor store. It does not read what the map says is personal, and no sampled value leaves
the function that looks at it: only counts and kinds do.

## Triggers
Daily at 04:05 UTC; by hand.

## Parameters
`as_of` only dates the findings. `dry_run` records no breach. How much is sampled: `sampling` in
`config/policy.yaml`.

## If it fails
`report_map` names promise, code, store and count of each alarm; the breach's note in the ledger, and the log
of the store's task, say what it is and what to do (docs/OPERATIONS.md). A store that cannot be looked at is
red too, and its breaches stay.

## Promises
P2.1, P2.2, P2.3, P2.4, P5.1, P5.2, P5.3, P5.4, P5.5, P5.6, P5.7
"""

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import RETENTION_POOL, START, Tag, default_args
from include.privacy.audits.data_map import looking, report
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("5 4 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.audits, Tag.scheduled],
    params={
        "as_of": Param(None, type=["null", "string"], format="date-time", description="Date the findings."),
        "dry_run": Param(False, type="boolean", description="Look, record nothing."),
    },
)
def audit_data_map():
    run = task(runs.open_run)("data_map_audit")
    looks = task(looking.list_map_looks)()
    counts = (
        task(looking.look_at_map, pool=RETENTION_POOL, map_index_template="{{ task.op_kwargs['name'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(looks)
    )
    reported = task(report.report_map, trigger_rule=TriggerRule.ALL_DONE)(run, looks, counts)
    run >> looks >> counts >> reported


audit_data_map()
