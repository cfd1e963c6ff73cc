"""End a legal hold, so that what it suspended is taken up again.

## What it does
Marks the hold as released in the ledger and wakes `fulfil_erasure_requests`, which takes up the requests
that the hold had parked. The daily retention run finds the rest.

## What it does not do
It deletes nothing itself, and releases nothing that another matter holds too.

## Triggers
The form, filled in by the privacy team.

## Parameters
`hold_id`: the id that `place_legal_hold` returned.

## If it fails
The error says what is wrong with the id. The hold stays in force.

## Promises
P4.4
"""

from airflow.sdk import Asset, Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import holds


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.holds, Tag.form],
    params={
        "hold_id": Param(type="string", format="uuid", description="The id that place_legal_hold returned."),
    },
)
def release_legal_hold():
    task(holds.release_legal_hold, task_id="release", outlets=[Asset("released_holds")])()


release_legal_hold()
