"""Watch the due date of every open request: remind, escalate, refuse what nobody verified, say what is late.

## What it does
Takes the default of decisions that nobody made in time, carries it out, and rings the asset
`decided_requests`. Refuses, with a letter, what is
unverified at its due date. Ends requests whose question to the person went unanswered, where
`config/calendar.yaml` says so. Gives the reminders of `calendar.yaml`, each once for each due date, and tells
the roles named there: a log line that begins with `privacy deadline:`, evidence, and an e-mail to roles that
have a connection. What is overdue becomes a breach of P6.6 for each right, and the run is red.

## What it does not do
Being late closes nothing: an overdue request stays open and in work. It tells the roles ids, rights, states
and dates, never anything about a person.

## Triggers
Every hour at minute 7; by hand.

## Parameters
None.

## If it fails
`report` names how many requests of which right are overdue, and which of the other tasks did not end well.
The breaches are in the ledger; OPERATIONS says what to do. The next hour looks again.

## Promises
P6.6, P6.7
"""

from airflow.sdk import Asset, CronTriggerTimetable, TriggerRule, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import asking, deadlines, escalating, questions, refusing
from include.privacy.steps import runs


@dag(
    schedule=CronTriggerTimetable("7 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.scheduled],
)
def watch_request_deadlines():
    run = task(runs.open_run)("request_deadlines")
    whatever_happens = {"trigger_rule": TriggerRule.ALL_DONE}
    decided = task(deadlines.take_defaults)(run)
    refused = task(refusing.refuse_unverified, **whatever_happens)(run)
    expired = task(questions.expire_unanswered, **whatever_happens)(run)
    reminded = task(deadlines.remind, **whatever_happens)(run)
    told = task(escalating.escalate, **whatever_happens)(run)
    reported = task(deadlines.report, **whatever_happens)(run, decided, refused, expired, reminded, told)
    task(asking.ring, outlets=[Asset("decided_requests")])(decided)
    decided >> refused >> expired >> reminded >> told >> reported


watch_request_deadlines()
