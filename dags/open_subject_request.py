"""Open a request for somebody who wrote, phoned or came, with a form.

## What it does
Checks the form, takes the request into the ledger with its clocks counted from `received_at`, and wakes the
intake, which confirms the receipt and, unless a member of staff has verified the person, sends a one-time
link to the address on file.

## What it does not do
It takes no personal data: an account's number and codes only. Corrections (new values of a person) come
through the platform or the API. It verifies nobody: whoever fills in `verified_by` answers for it.

## Triggers
By hand.

## Parameters
`account_id`: the number in the platform. `right`. `received_at`: when the request arrived; the clocks run
from there. `channel`: how. `verified_by`: how you established who asks; empty sends a one-time link.
`purpose`: only for an objection.

## If it fails
Nothing was opened; the error names the field and what to write.

## Promises
P6.1, P6.3, P6.4, P6.5, P6.6, P6.7
"""

from airflow.sdk import Asset, Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import opening


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.form],
    params={
        "account_id": Param(
            type="string",
            pattern=r"^[0-9A-Za-z-]{1,64}$",
            title="Account number",
            description="The number of the account in the platform; no name, no address.",
        ),
        "right": Param(
            "access", enum=["access", "portability", "erasure", "objection"], title="What is asked for"
        ),
        "received_at": Param(
            type="string",
            format="date-time",
            title="Received at",
            description="When the letter, call or visit arrived, with its zone: 2026-03-01T09:30:00Z",
        ),
        "channel": Param("letter", enum=["email", "support", "phone", "letter"], title="How it came"),
        "verified_by": Param(
            "",
            enum=["", "in_person", "phone_callback", "letter", "mandate"],
            title="How you verified who asks",
            description="Empty: a one-time link goes to the address on file.",
        ),
        "purpose": Param(
            None,
            type=["null", "string"],
            pattern=r"^[a-z_.]+$",
            title="Purpose objected to",
            description="Only for an objection; a key of config/policy.yaml such as personalize.content",
        ),
    },
)
def open_subject_request():
    task(opening.open_by_form, retries=0, outlets=[Asset("opened_requests")])()


open_subject_request()
