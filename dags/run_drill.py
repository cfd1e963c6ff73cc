"""Once a week a synthetic person uses every right, and is looked for in every store afterwards.

## What it does
Plants a person who does not exist in every store and processor, asks for access and opens the archive, which
must show something of each; has name and address corrected and reads them in every store; has a backup made,
asks for the erasure and looks for what is left; restores the backup into a closed copy, replays it, looks in
it, and drops it. It asks through the platform's inbox, with a session that proves the identity, like
everybody, and looks with eyes of its own: those of the planter of `config/drill.yaml`, not the engine's.

## What it does not do
It hurries nobody: the requests are answered by the DAGs of their rights. It has no invoices written, and
does not tell PayPal of anybody, where a member of staff would have to answer every week. It does not open the
restored copy to the platform.

## Triggers
Every 30 minutes; by hand. Each run takes the steps that can be taken and ends; nothing waits. A drill begins
a week after the last one began, one at a time.

## Parameters
`as_of` takes the steps at another instant.

## If it fails
The error names the promise, and the stores with counts; the breach stays until a drill passes. The failed
drill asks for the erasure of what it planted, and says what is left and where (docs/OPERATIONS.md). A step
that could not be taken is tried again by the next run, until its deadline.

## Promises
P4.3, P6.1, P6.2, P6.3, P6.7
"""

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import RETENTION_POOL, START, Tag, default_args
from include.privacy.drill import running
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("10,40 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.audits, Tag.scheduled],
    params={
        "as_of": Param(None, type=["null", "string"], format="date-time", description="Take the steps then.")
    },
)
def run_drill():
    run = task(runs.open_run)("drill")
    advanced = task(running.advance)(run)
    rehearsed = task(running.rehearse, pool=RETENTION_POOL)(run)
    reported = task(running.report, trigger_rule=TriggerRule.ALL_DONE)(run, advanced, rehearsed)
    advanced >> rehearsed >> reported


run_drill()
