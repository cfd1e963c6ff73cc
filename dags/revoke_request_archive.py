"""Revoke the archive that answered a request, with a form: its links lead nowhere from this moment on.

## What it does
Removes every version of the request's archives from the bucket and puts that on record.

## What it does not do
It does not call back what somebody has already downloaded, and it reopens nothing: whoever should have
their data all the same asks again.

## Triggers
By hand.

## Parameters
`request_id`: the request, by the ledger's or the platform's id.

## If it fails
The error names the field, or the bucket could not be reached and Airflow tries again.

## Promises
P6.1, P6.4
"""

from airflow.sdk import Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import handing_over


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.form],
    params={
        "request_id": Param(
            type="string",
            format="uuid",
            title="Request",
            description="The ledger's or the platform's id of the request; no name, no address.",
        )
    },
)
def revoke_request_archive():
    task(handing_over.revoke_archive)()


revoke_request_archive()
