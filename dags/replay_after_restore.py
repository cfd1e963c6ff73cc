"""Apply to a restored store what its backup does not know: erasures, corrections, objections.

## What it does
Refuses to begin while anybody but us can use the restored database. Compares every key and address in it
with the tombstones of the erased, and erases whoever came back with the same plans as ever, dependents
first; writes corrected values again where the backup says what was wrong; restricts who was restricted or
objected since, and lifts what was lifted. Looks at everything once more, and lets the platform in only when
nobody is left.

## What it does not do
It restores nothing, and it cannot keep out a superuser. People under a legal hold stay, closed to every job.
It changes no value that the person has changed since, and does not tell processors: they were told. A store
without the root table can be newly connected: it is open to the platform, and stays so.

## Triggers
By hand, after a restore, as docs/OPERATIONS.md says.

## Parameters
`stores`: what was restored together. `captured_at`: when the backup was captured; empty for a store that is
newly connected. `connection`: where the restored database is, if not in the store's own place. `dry_run`
finds and counts, and changes nothing.

## If it fails
The database stays closed. The error of check says how to close it properly; that of report who or what is
left, in counts. Run it again: it goes on where it was.

## Promises
P4.2, P4.3, P6.2, P6.3, P6.5
"""

from airflow.sdk import Param, TriggerRule, dag, task

from include.dag_defaults import ERASING_TIMEOUT, RETENTION_POOL, START, Tag, default_args
from include.privacy.replay import applying, concluding, erasing, targets
from include.privacy.steps import executing, runs


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.retention, Tag.form],
    params={
        "stores": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            description="Names of the data map, one a line: what was restored from backups of one instant.",
        ),
        "captured_at": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="When the backup was captured. Empty: the store is newly connected.",
        ),
        "connection": Param(
            None,
            type=["null", "string"],
            description="Connection of the restored database. Empty: it is in the store's own place.",
        ),
        "dry_run": Param(False, type="boolean", description="Find and count, change nothing."),
    },
)
def replay_after_restore():
    run = task(runs.open_run)("replay")
    chosen = task(targets.check)(run)
    items = task(erasing.freeze, pool=RETENTION_POOL, execution_timeout=ERASING_TIMEOUT)(run, chosen)
    here = {"ledger_run": run, "targets": chosen}
    by_store = {"pool": RETENTION_POOL, "map_index_template": "{{ task.op_kwargs['store'] }}"}
    planned = task(erasing.plan, **by_store).partial(**here).expand_kwargs(items)
    cleared = task(erasing.complete, trigger_rule=TriggerRule.ALL_DONE)(items)
    work = {**by_store, "execution_timeout": ERASING_TIMEOUT, "max_active_tis_per_dagrun": 4}
    executed = (
        task(erasing.execute, task_id="execute_dependents", **work)
        .partial(**here)
        .expand_kwargs(task(executing.shards)(cleared))
    )
    roots = task(erasing.release_roots, trigger_rule=TriggerRule.ALL_DONE)(run, chosen, cleared)
    rooted = task(erasing.execute, task_id="execute_root", **work).partial(**here).expand_kwargs(roots)
    again = task(applying.databases, trigger_rule=TriggerRule.ALL_DONE)(chosen)
    applied = task(applying.apply, **work).partial(**here).expand_kwargs(again)
    looks = task(erasing.probes, trigger_rule=TriggerRule.ALL_DONE)(run, chosen, cleared)
    probed = task(erasing.probe, **by_store).partial(**here).expand_kwargs(looks)
    reported = task(concluding.conclude, task_id="report", trigger_rule=TriggerRule.ALL_DONE)(
        run, chosen, items, applied
    )
    planned >> cleared
    executed >> roots >> rooted >> again
    applied >> looks >> probed >> reported


replay_after_restore()
