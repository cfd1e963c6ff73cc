"""Find every way out of the stores, and sound an alarm for each that nobody has listed.

## What it does
Looks at every place from which personal data could leave, one task each: policies, ACLs, public access and
copies of buckets; roles, publications, subscriptions, foreign servers, extensions and replication slots of
databases; with whom snapshots are shared; how long logs are kept and where they are copied; keys and features
of processors. Compares it with `config/recipients.yaml` and `config/clouds.yaml`. Whatever is not listed
there becomes a breach that names its promise, and ends with the first run that no longer finds it. Shortens
the retention of logs where `config/clouds.yaml` says `manage`.

## What it does not do
It closes no way out: revoking somebody's access in the middle of the night breaks what may be meant. It reads
no data, only settings.

## Triggers
Daily at 04:35 UTC; by hand.

## Parameters
`as_of` only dates the findings. `dry_run` records no breach and changes no setting.

## If it fails
`report` names promise, code, place and count of each alarm; the breach's note in the ledger, and the log of
the place's task, say what it is and what to do. A place that cannot be looked at is red too, and its
breaches stay.

## Promises
P2.4, P3.2, P5.1, P5.2, P5.3, P5.4, P5.5, P5.6, P5.7
"""

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import RETENTION_POOL, START, Tag, default_args
from include.privacy.audits import looking, recipients
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("35 4 * * *", timezone="UTC"),
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
def audit_recipients():
    run = task(runs.open_run)("recipient_audit")
    looks = task(looking.list_looks)()
    counts = (
        task(looking.look, pool=RETENTION_POOL, map_index_template="{{ task.op_kwargs['name'] }}")
        .partial(ledger_run=run)
        .expand_kwargs(looks)
    )
    reported = task(recipients.report, trigger_rule=TriggerRule.ALL_DONE)(run, looks, counts)
    run >> looks >> counts >> reported


audit_recipients()
