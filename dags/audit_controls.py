"""Look at every security control of the policy, and sound an alarm for each that does not hold.

## What it does
Looks at each control, one task for each group: the TLS version really negotiated with every endpoint in use,
and whether older ones are refused; encryption at rest of buckets, database servers, snapshots, queues,
archives and the ledger; the second region or cloud of every backup set; the format and strength of stored
credentials; second factors of AWS users, the platform's administrators, Google Workspace and Airflow itself;
the date of the last audit by a third party; GuardDuty, CloudTrail and Google's audit logs; the rotation of
keys. Every look ends as *holds*, *broken*, *cannot be told* or *exempt* with its reason, and leaves evidence.
What is broken, or cannot be told although `config/controls.yaml` does not call it optional, becomes a breach
that names its promise, and ends with the first run that finds it in order.

## What it does not do
It repairs nothing, and reads no data of people: of credentials and of second factors it counts. Who may
reach the stores, public access to buckets above all, is looked at by `audit_recipients`.

## Triggers
Daily at 04:50 UTC; by hand.

## Parameters
`as_of` dates the findings: ages are counted to it. `dry_run` records evidence and no breach.

## If it fails
`report` names promise, control, place, reason and what to do. A control that could not be looked at is red
too, and says why: mostly a permission, which docs/OPERATIONS.md lists.

## Promises
P2.1, P4.5, P7.1, P7.2, P7.3, P7.4, P7.5
"""

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import RETENTION_POOL, START, Tag, default_args
from include.privacy.audits.controls import probing, report
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("50 4 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.audits, Tag.scheduled],
    params={
        "as_of": Param(None, type=["null", "string"], format="date-time", description="Date the findings."),
        "dry_run": Param(False, type="boolean", description="Look, record no breach."),
    },
)
def audit_controls():
    run = task(runs.open_run)("control_audit")
    groups = task(probing.list_groups)()
    counts = (
        task(probing.probe, pool=RETENTION_POOL, map_index_template="{{ task.op_kwargs['group'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(groups)
    )
    reported = task(report.report, trigger_rule=TriggerRule.ALL_DONE)(run, groups, counts)
    run >> groups >> counts >> reported


audit_controls()
