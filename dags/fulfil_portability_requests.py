"""Give people the data they provided or caused, in a format that other services can read.

## What it does
Claims every verified request for portability and makes, in one pass over all stores, a package with what
each person provided and what was observed of them: JSON Lines and CSV with a Frictionless
`datapackage.json`. Encrypts each with a passphrase that travels through the platform's outbox only, stores
it encrypted once more for seven days, writes to the person, closes the request. On request the package
goes straight to another service, if `config/policy.yaml` lists that one.

## What it does not do
It holds nothing inferred (scores, recommendations): those are in the access archive. It does not search
backups. It never carries personal data through Airflow.

## Triggers
The intake (asset `portability_requests`); a decision (`decided_requests`); a sweep every 15 minutes; by hand.

## Parameters
`request_ids`: only these requests, by the ledger's or the platform's id. Empty: all that wait.

## If it fails
Some archives could not be made or handed over; the error says how many, the log of build says what stopped
it. The others are answered. The next sweep goes on.

## Promises
P6.4
"""

from airflow.sdk import (
    Asset,
    AssetAlias,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    TriggerRule,
    dag,
    task,
)

from include.dag_defaults import ERASING_TIMEOUT, REQUESTS_POOL, START, Tag, default_args, only_these_requests
from include.privacy.requests import archiving, events, handing_over
from include.privacy.steps import runs


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("5-59/15 * * * *", timezone="UTC"),
        assets=Asset("portability_requests") | Asset("decided_requests"),
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.event],
    params=only_these_requests(),
)
def fulfil_portability_requests():
    run = task(runs.open_run)("portability_requests")
    shares = task(archiving.claim)(run, "portability")
    built = (
        task(archiving.build, pool=REQUESTS_POOL, execution_timeout=ERASING_TIMEOUT)
        .partial(ledger_run=run, right="portability")
        .expand_kwargs(shares)
    )
    outlets = [AssetAlias(events.WOKEN)]
    built >> task(handing_over.hand_over, outlets=outlets, trigger_rule=TriggerRule.ALL_DONE)(run, shares)


fulfil_portability_requests()
