"""Send the notice of a new version of the policy to one of our own addresses, with a form.

## What it does
Renders the notice as everybody will get it, marks the subject as a test, and sends it to an address that
`test_addresses` in `config/notices/notices.yaml` lists.

## What it does not do
It writes to nobody else, begins no campaign and needs no approval.

## Triggers
By hand.

## Parameters
`version`: the version of the policy. `language`: of the letter. `to`: the name of the address, not the
address.

## If it fails
The error names the field and what to write instead.

## Promises
P8.1
"""

from airflow.sdk import Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.notices import steering


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.notices, Tag.form],
    params={
        "version": Param(type="string", title="Version", description="As its folder in config/notices/."),
        "language": Param("en", type="string", title="Language", pattern="^[a-z]{2,3}$"),
        "to": Param(
            "privacy_team",
            type="string",
            title="To",
            pattern="^[a-z][a-z0-9_]{0,39}$",
            description="A name of test_addresses; no address.",
        ),
    },
)
def preview_policy_notice():
    # A retry would send a second test.
    task(steering.send_test, retries=0)()


preview_policy_notice()
