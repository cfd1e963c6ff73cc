"""Remove archives that answered a request once their links have expired.

## What it does
Removes every version of each archive that is seven days old, was revoked, or was begun and never finished,
and puts that on record.

## What it does not do
It removes nothing else. The bucket's own lifecycle and the rule `request_archives` are a second net.

## Triggers
Hourly; by hand.

## Parameters
None.

## If it fails
The bucket or the ledger could not be reached; the next run removes what is left.

## Promises
P2.4, P6.1, P6.4
"""

from airflow.sdk import CronTriggerTimetable, dag, task

from include.dag_defaults import REQUESTS_POOL, START, Tag, default_args
from include.privacy.requests import handing_over
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("23 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.scheduled],
)
def expire_request_archives():
    task(handing_over.expire_archives, pool=REQUESTS_POOL)(task(runs.open_run)("expire_archives"))


expire_request_archives()
