"""Delete backup archives and database snapshots before they are older than the policy allows.

## What it does
For each object-age rule: counts what was captured longer ago than the target, checks the count against
the guard, deletes every version, delete marker and unfinished upload of it, and looks again. The same for
each snapshot-age rule, with snapshots of databases in RDS and Cloud SQL (`config/clouds.yaml`). Compares
the bucket's own lifecycle with what the promise needs and sets it where the data map says `manage`.
Reports how far the oldest archive is past its limit on two clocks: still readable, and still restorable.

## What it does not do
It never looks into an archive and never deletes a single person from one: backups expire as a whole.
What a lock or a bucket's retention keeps is reported before it becomes a breach, not forced; so is what a
cloud itself keeps (AWS Backup). Snapshots of servers that nobody mapped are left alone and reported.

## Triggers
Daily at 03:15 UTC; when a guarded plan was decided (asset `approved_plans`); by hand.

## Parameters
`as_of` applies the rules as at another instant, never a future one unless dry. `dry_run` counts and
deletes nothing.

## If it fails
The report's error names the rule, the bucket's store and the count. Deleting goes on where it stopped:
the next run lists what is there.

## Promises
P4.3, P4.4, P5.3, P5.4
"""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import ERASING_TIMEOUT, RETENTION_POOL, START, Tag, default_args
from include.privacy.retention import buckets, cohorts, guard, report
from include.privacy.steps import concluding, executing, planning, probing, runs


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("15 3 * * *", timezone="UTC"), assets=[Asset("approved_plans")]
    ),
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
            description="Apply the rules as at this instant.",
        ),
        "dry_run": Param(False, type="boolean", description="Count, delete nothing."),
    },
)
def enforce_backup_retention():
    run = task(runs.open_run)("backup_retention")
    items = task(cohorts.list_backup_rules)(run)
    rule = "{{ task.op_kwargs['rule'] }}"
    planned = (
        task(planning.plan, pool=RETENTION_POOL, map_index_template=rule)
        .partial(ledger_run=run)
        .expand_kwargs(items)
    )
    cleared = task(guard.guard, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    asked = task(guard.decisions_needed)(run)
    TriggerDagRunOperator.partial(
        task_id="ask_for_decision", trigger_dag_id="decide_guarded_plan", skip_when_already_exists=True
    ).expand_kwargs(asked)
    store = "{{ task.op_kwargs['store'] }}"
    executed = (
        task(
            executing.execute,
            pool=RETENTION_POOL,
            execution_timeout=ERASING_TIMEOUT,
            map_index_template=store,
        )
        .partial(ledger_run=run)
        .expand_kwargs(task(executing.shards)(cleared))
    )
    looks = task(probing.probes, trigger_rule=TriggerRule.ALL_DONE)(run, cleared)
    probed = (
        task(probing.probe, pool=RETENTION_POOL, map_index_template=store)
        .partial(ledger_run=run)
        .expand_kwargs(looks)
    )
    differences = (
        task(buckets.compare_lifecycle, map_index_template="{{ task.op_kwargs['rule_id'] }}")
        .partial(ledger_run=run)
        .expand(rule_id=task(buckets.object_age_rules)())
    )
    concluded = task(concluding.conclude, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    reported = task(report.report_backups, task_id="report", trigger_rule=TriggerRule.ALL_DONE)(
        run, items, cleared, concluded, differences
    )
    planned >> cleared >> asked
    executed >> looks >> probed >> concluded >> reported


enforce_backup_retention()
