"""Put on record, with a form, what staff have seen to at a recipient whose interface does not offer it.

## What it does
Writes down that the recipient has erased, corrected or lawfully keeps what it had of the person, and the
number under which its answer is filed. When no recipient of the request is open any more,
`settle_recipients` answers the person.

## What it does not do
It tells the recipient nothing. What to write to them, and what to attach, is shown by
`python -m include.privacy recipient REQUEST RECIPIENT`, outside of Airflow.

## Triggers
By hand.

## Parameters
`request_id`: the request, by the ledger's or the platform's id. `recipient`: the processor. `outcome`: what
it did. `proof`: the number under which its answer is filed. `until`: the last day, where it keeps something.

## If it fails
The error names the field and what to write instead; nothing was changed.

## Promises
P5.2, P6.2, P6.3, P6.5
"""

from airflow.sdk import Param, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import settled

OUTCOMES = ["erased", "redacted", "corrected", "stopped", "retained", "not_held"]


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
        ),
        "recipient": Param(
            "paypal", type="string", title="Recipient", description="Its name in config/processors/."
        ),
        "outcome": Param("erased", enum=OUTCOMES, title="What it did"),
        "proof": Param(
            type="string",
            pattern="^[A-Za-z0-9][A-Za-z0-9./_-]{2,63}$",
            title="Proof",
            description="The number under which the recipient's answer is filed; no name, no address.",
        ),
        "until": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Kept until",
            description="If it keeps something.",
        ),
    },
)
def confirm_recipient():
    task(settled.confirm_by_hand)()


confirm_recipient()
