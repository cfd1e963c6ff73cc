"""Tell everybody of a material change of the policy, 30 days before it applies, once, and prove it.

## What it does
For every version in `config/notices/`: has its notice approved, freezes who is to hear of it, writes to
them by SendGrid (by Postmark where SendGrid cannot), reads the providers' records of what became of each
letter, puts the notice into the app of those whom no letter reaches, and reports. When everybody is
accounted for and the date has come, the version applies; who uses the service after that has accepted it.
If sending takes too long, the date moves, and everybody is told.

## What it does not do
It sends nothing that nobody has approved, and nobody anything twice: a call whose outcome is unknown is
settled by the provider's records before anybody in it is written to again. It does not write to deleted or
restricted accounts. It does not replace `config/policy.yaml`: `report` says when that is to be done.

## Triggers
Every 15 minutes; by hand.

## Parameters
`as_of` is the instant that counts for the schedule. `dry_run` counts the audience and sends nothing.

## If it fails
`gather` or `send`: the folder is not what was approved, or no provider answers; the next run goes on where
this one stopped. `report` names each date that cannot be met, and what to do. To stop a campaign at once:
`steer_policy_notice`.

## Promises
P1.1, P8.1, P8.2
"""

from airflow.sdk import AssetAlias, CronTriggerTimetable, Param, TriggerRule, dag, task

from include.dag_defaults import PROCESSORS_POOL, START, Tag, default_args
from include.privacy.notices import campaigns, entering, gathering, proving, reporting, sending
from include.privacy.requests.events import WOKEN
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.notices, Tag.scheduled],
    params={
        "as_of": Param(None, type=["null", "string"], format="date-time", description="Date the run."),
        "dry_run": Param(False, type="boolean", description="Count the audience, send nothing."),
    },
)
def announce_policy_change():
    run = task(runs.open_run)("policy_notice")
    versions = task(campaigns.take_up, outlets=[AssetAlias(WOKEN)])(run)
    gathered = task(gathering.gather).partial(ledger_run=run).expand(version=versions)
    # What is not delivered is known first, so that the other provider gets it in the same run.
    looked = task(proving.look, pool=PROCESSORS_POOL).partial(ledger_run=run).expand(version=versions)
    sent = task(sending.send, pool=PROCESSORS_POOL).partial(ledger_run=run).expand(version=versions)
    concluded = task(proving.conclude).partial(ledger_run=run).expand(version=versions)
    applied = task(entering.apply, trigger_rule=TriggerRule.ALL_DONE)(run)
    reported = task(reporting.report, trigger_rule=TriggerRule.ALL_DONE)(run, versions)
    gathered >> looked >> sent >> concluded >> applied >> reported


announce_policy_change()
