"""Propose that the law's period of a request be extended; somebody approves it in the required actions.

## What it does
Checks that the law still allows an extension (once, told within the original period, for one of two reasons)
and puts the question, with both dates. After approval the due date moves, and the person is told the new
date and the reason, by letter and in the app.

## What it does not do
It moves no date by itself, and nothing waits for it: the request is worked on meanwhile. The policy's
promise of 14 business days is not extended: it is missed, and the ledger says so.

## Triggers
By hand.

## Parameters
`request_id`: the request, by the ledger's or the platform's id. `reason`: which of the law's two.

## If it fails
Nothing was asked; the error names the field, or the day on which the window closed.

## Promises
P6.6
"""

from airflow.sdk import Asset, Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import extending


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
            "complexity",
            enum=list(extending.EXTENSION_REASONS),
            title="Reason",
            description="The request is complex, or this person has sent many (Art. 12(3) GDPR).",
        ),
    },
)
def extend_subject_request():
    task(extending.extend_by_form, retries=0, outlets=[Asset("asked_decisions")])()


extend_subject_request()
