"""Give people the complete archive of their data, with everything that the law wants explained.

## What it does
Claims every verified request for access and makes, in one pass over all stores, an archive with
everything that databases, buckets and our own ledger hold: a front page in plain language, the data as
JSON, the files, a glossary of every field, the information of Art. 15(1) GDPR with the recipients who
really got this person's data. Secrets are named, other people's data redacted. Encrypts each with a
passphrase that travels through the platform's outbox only, stores it encrypted once more for seven days,
writes to the person, closes the request.

## What it does not do
It leaves nothing out but secrets and what is another person's, and lists both. It does not search backups.
It never carries personal data through Airflow.

## Triggers
The intake (asset `access_requests`); a decision (`decided_requests`); a sweep every 15 minutes; by hand.

## Parameters
`request_ids`: only these requests, by the ledger's or the platform's id. Empty: all that wait.

## If it fails
Some archives could not be made or handed over; the error says how many, the log of build says what stopped
it. The others are answered. The next sweep goes on.

## Promises
P6.1
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
        timetable=CronTriggerTimetable("3-59/15 * * * *", timezone="UTC"),
        assets=Asset("access_requests") | Asset("decided_requests"),
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.event],
    params=only_these_requests(),
)
def fulfil_access_requests():
    run = task(runs.open_run)("access_requests")
    shares = task(archiving.claim)(run, "access")
    built = (
        task(archiving.build, pool=REQUESTS_POOL, execution_timeout=ERASING_TIMEOUT)
        .partial(ledger_run=run, right="access")
        .expand_kwargs(shares)
    )
    outlets = [AssetAlias(events.WOKEN)]
    built >> task(handing_over.hand_over, outlets=outlets, trigger_rule=TriggerRule.ALL_DONE)(run, shares)


fulfil_access_requests()
