"""Publish the log of evidence where nobody can change it, renew certificates, and report on every promise.

## What it does
Gives every row of evidence its place in the log, recomputes the whole log, and compares it with the last
checkpoint outside. Signs a new checkpoint, copies it and the new entries into a bucket that locks what it is
given (`config/evidence.yaml`), and has it time-stamped where an authority is configured. Issues certificates
of erasure that are missing or no longer say all, and writes the promise report beside the checkpoint.

## What it does not do
It changes and overwrites nothing, neither in the ledger nor in the bucket. It writes nothing personal.

## Triggers
Daily at 04:50 UTC; by hand.

## Parameters
`as_of` only dates the report. `dry_run` audits the log and publishes nothing.

## If it fails
`publish_log`: the log is not what was published. It was changed, cut, or restored from a backup: the message
names the entries, and a breach is recorded. Nothing is published until that is settled (OPERATIONS).
Otherwise bucket, key or ledger could not be reached; the next run publishes what is left. The report is
written all the same; `write_report` is red when the log or a certificate is missing.

## Promises
P4.2, P6.3
"""

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.evidence import publishing, renewing, reporting
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
        "as_of": Param(None, type=["null", "string"], format="date-time", description="Date the report."),
        "dry_run": Param(False, type="boolean", description="Audit the log, publish nothing."),
    },
)
def publish_evidence():
    run = task(runs.open_run)("publish_evidence")
    renewed = task(renewing.renew_certificates)(run)
    published = task(publishing.publish_log, trigger_rule=TriggerRule.ALL_DONE)(run)
    renewed >> published
    task(reporting.write_report, trigger_rule=TriggerRule.ALL_DONE)(run, published, renewed)


publish_evidence()
