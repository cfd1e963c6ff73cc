"""Delete from the databases and buckets what the policy no longer allows to be kept.

## What it does
Marks accounts as deleted 30 days after their service ended, erases everybody whose account was deleted a
target ago from every store, and deletes rows whose own clock has run out. It freezes who is due, plans
each store, checks the plans against the guard, deletes from the dependent stores and then from the root
store, has processors erase the same people (`settle_recipients` carries that out), looks for everybody again,
and reports per rule the age of the oldest overdue row.

## What it does not do
It touches no backup (`enforce_backup_retention`) and nothing under a legal hold. Beyond a rule's guard
it deletes nothing and has `decide_guarded_plan` ask. It does not wait for anybody.

## Triggers
Daily at 02:15 UTC; when a guarded plan was decided (asset `approved_plans`); by hand.

## Parameters
`as_of` applies the rules as at another instant, never a future one unless dry. `dry_run` makes the same
plans and stops before the last verb.

## If it fails
The report's error names the rule, the store and the count. What was done stays done; the next run goes
on with an interrupted cohort. A breach (something past its limit) keeps the run red until it is gone.

## Promises
P2.4, P4.1, P4.2, P4.4
"""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import ERASING_TIMEOUT, RETENTION_POOL, START, Tag, default_args
from include.privacy.retention import cohorts, guard, lifecycle, report
from include.privacy.steps import concluding, executing, planning, probing, recipients, runs


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("15 2 * * *", timezone="UTC"), assets=[Asset("approved_plans")]
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
        "dry_run": Param(False, type="boolean", description="Plan and count, delete nothing."),
    },
)
def enforce_database_retention():
    run = task(runs.open_run)("database_retention")
    marked = task(lifecycle.mark_deleted, pool=RETENTION_POOL)(run)
    items = task(cohorts.freeze_cohorts, pool=RETENTION_POOL)(run)
    planned = (
        task(planning.plan, pool=RETENTION_POOL, map_index_template="{{ task.op_kwargs['store'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(items)
    )
    cleared = task(guard.guard, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    asked = task(guard.decisions_needed)(run)
    TriggerDagRunOperator.partial(
        task_id="ask_for_decision", trigger_dag_id="decide_guarded_plan", skip_when_already_exists=True
    ).expand_kwargs(asked)
    work = {"pool": RETENTION_POOL, "execution_timeout": ERASING_TIMEOUT, "max_active_tis_per_dagrun": 4}
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
    looks = task(probing.probes, trigger_rule=TriggerRule.ALL_DONE)(run, cleared)
    probed = (
        task(probing.probe, pool=RETENTION_POOL, map_index_template="{{ task.op_kwargs['store'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(looks)
    )
    concluded = task(concluding.conclude, trigger_rule=TriggerRule.ALL_DONE)(run, items)
    reported = task(report.report_databases, task_id="report", trigger_rule=TriggerRule.ALL_DONE)(
        run, marked, items, cleared, concluded
    )
    marked >> items >> planned >> cleared >> asked
    executed >> roots >> rooted >> opened >> looks >> probed >> concluded >> reported


enforce_database_retention()
