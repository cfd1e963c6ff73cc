"""Ask a person of the privacy team one question about a request: refuse, extend, hold, or continue.

## What it does
Shows one question in Airflow's required-actions page, with ids, counts, rules and codes, and what each answer
does; writes the answer into the ledger; carries it out; and rings the asset `decided_requests`, which wakes
the runs that go on with the request.

## What it does not do
It shows nothing about the person, and takes no text: an answer is one of the options. Words that the person
will read are given with `python -m include.privacy decide`, which seals them in the ledger. Nothing else
waits for it. Silence takes the default that the question names, which never harms the person.

## Triggers
By `ask_decisions`, once for each question.

## Parameters
`decision_id`: the question.

## If it fails
`write_decision`: the answer cannot stand (a refusal takes a second person, an explanation is missing,
somebody answered otherwise); nothing was decided and the question is put again within minutes. `carry_out`:
the answer is in the ledger and `ask_decisions` carries it out.

## Promises
P6.3, P6.5, P6.6
"""

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, Param, TriggerRule, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import asking, deciding


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.decisions],
    params={
        "decision_id": Param(
            type="string", format="uuid", title="Decision", description="The question, by the ledger's id."
        )
    },
)
def decide_subject_request():
    asked = HITLOperator.partial(task_id="decide", retries=0, execution_timeout=None).expand_kwargs(
        task(asking.question)()
    )
    written = task(asking.write_decision)(asked.output)
    carried = task(deciding.carry_out)()
    task(asking.ring, outlets=[Asset("decided_requests")])(carried)
    written >> carried
    [asked, written] >> task(asking.ask_again, trigger_rule=TriggerRule.ONE_FAILED)()


decide_subject_request()
