"""Suspend deletion for a legal case: of a person, a collection or a whole store.

## What it does
Puts a hold into the ledger. It binds every deletion that begins after this task has ended, in every run,
including those that are under way; the task waits for chunks that are being deleted at this moment.

## What it does not do
It brings nothing back, and it takes no name: a person is given by the account's number, the case by its
matter number and a category.

## Triggers
The form, filled in by the privacy team.

## Parameters
`scope`: subject, collection or store. `account_id`, or `store` and `collection`: what is held. `matter`:
the case's number in the legal department. `reason`: its category.

## If it fails
The error names the field and what to enter. Nothing is held until the task has succeeded.

## Promises
P4.4
"""

from airflow.sdk import Param, dag, task

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
        "scope": Param("subject", enum=list(holds.SCOPES), description="What kind of thing is held."),
        "account_id": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9A-Fa-f-]{1,36}$",
            description="The account's number or UUID, for scope subject. No name, no e-mail address.",
        ),
        "store": Param(
            None,
            type=["null", "string"],
            pattern="^[a-z][a-z0-9_]*$",
            description="Store of the data map, for scope store or collection.",
        ),
        "collection": Param(
            None,
            type=["null", "string"],
            maxLength=200,
            description="Table or prefix in the store, for scope collection.",
        ),
        "matter": Param(
            type="string",
            pattern="^[A-Za-z0-9][A-Za-z0-9./_-]{1,63}$",
            description="The case's number in the legal department. No names.",
        ),
        "reason": Param("litigation", enum=list(holds.REASONS), description="Category of the case."),
    },
)
def place_legal_hold():
    task(holds.place_legal_hold, task_id="place")()


place_legal_hold()
