"""Ask a person whether a plan that goes beyond its guard may be carried out.

## What it does
Shows the rule, the counts per store and the guard's limit in Airflow's required-actions page, writes the
answer into the ledger, and on approval rings the asset `approved_plans`, which wakes the retention run.

## What it does not do
It deletes nothing, and it shows nothing about any person: counts only. Silence is not consent: without
an answer within five days the run fails, the plan expires, and the next retention run asks anew.

## Triggers
By `enforce_database_retention` and `enforce_backup_retention`, once per plan or cohort.

## Parameters
`plan_ids`: the plans that are decided together.

## If it fails
Nothing was decided. The retention run asks again once the plan has expired; to ask at once, clear this
run.

## Promises
P4.2, P4.3
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.retention import decisions


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.retention, Tag.decisions],
    params={
        "plan_ids": Param(
            type="array",
            items={"type": "string", "format": "uuid"},
            minItems=1,
            description="The plans that are decided together.",
        )
    },
)
def decide_guarded_plan():
    question = task(decisions.describe)()
    answer = HITLOperator(
        task_id="decide",
        subject="A retention plan goes beyond its guard: may it be carried out?",
        body=question,
        options=[decisions.APPROVE, decisions.REJECT],
        response_timeout=timedelta(days=5),
        execution_timeout=None,
        retries=0,
    )
    decided = task.short_circuit(decisions.write_decision)(answer.output)
    decided >> task(decisions.ring, outlets=[Asset("approved_plans")])()


decide_guarded_plan()
