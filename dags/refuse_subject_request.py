"""Propose that a request be refused; a second person decides.

## What it does
Checks the form and puts the question to the required-actions page. The request waits meanwhile. When a
second person confirms, whoever made the request is told the reason and both remedies (complaint, court), and
it is closed.

## What it does not do
It refuses nothing by itself: whoever fills it in cannot confirm it. It takes no text: a reason that needs
an explanation gets it from the second person, with `python -m include.privacy decide`.

## Triggers
By hand.

## Parameters
`request_id`: the request, by the ledger's or the platform's id. `reason`: why, as a code.

## If it fails
Nothing was asked; the error names the field and what to write.

## Promises
P6.1, P6.2, P6.3, P6.4, P6.5
"""

from airflow.sdk import Asset, Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import refusing


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.decisions, Tag.form],
    params={
        "request_id": Param(
            type="string",
            format="uuid",
            title="Request",
            description="Its id in the ledger or in the platform: 8 digits, 3 times 4, 12, with hyphens.",
        ),
        "reason": Param(
            type="string",
            enum=list(refusing.BY_STAFF),
            title="Reason",
            description="The letter says it in words. manifestly_unfounded, excessive and other need an "
            "explanation, which the second person writes.",
        ),
    },
)
def refuse_subject_request():
    task(refusing.refuse_by_form, retries=0, outlets=[Asset("asked_decisions")])()


refuse_subject_request()
