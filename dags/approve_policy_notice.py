"""Ask a person whether the notice of a new version of the policy may be sent to everybody.

## What it does
Shows dates, number of people, what changes and the letter itself in Airflow's required-actions page, and
writes the answer into the ledger. The next run of `announce_policy_change` acts on it.

## What it does not do
It sends nothing. Silence is no approval: without an answer within five days the run fails, and the
question is put again. An approval holds for what was shown: a folder that changes is asked about anew.

## Triggers
By `announce_policy_change` (asset `proposed_policy_notices`); by hand.

## Parameters
None.

## If it fails
Nothing was decided; the question is put again by the next run of `announce_policy_change`.

## Promises
P8.1
"""

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, TriggerRule, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.notices import deciding


@dag(
    schedule=[Asset("proposed_policy_notices")],
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.notices, Tag.decisions],
)
def approve_policy_notice():
    taken = task(deciding.take)()
    asked = HITLOperator.partial(task_id="decide", retries=0, execution_timeout=None).expand_kwargs(
        task(deciding.question)(taken)
    )
    written = task(deciding.write_decision)(asked.output, taken)
    [asked, written] >> task(deciding.ask_again, trigger_rule=TriggerRule.ONE_FAILED)()


approve_policy_notice()
