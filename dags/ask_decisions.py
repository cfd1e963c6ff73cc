"""Put every open question about a request before a person, and carry out what was decided.

## What it does
Starts one run of `decide_subject_request` for each question that nobody sees yet, and carries out decisions
that were made (by `python -m include.privacy decide`, by the API, or in a run that died) but have not
taken effect: letters, extensions, holds, refusals. Then it rings the asset `decided_requests`.

## What it does not do
It waits for nobody and decides nothing. A question is put once; again only when the run that asked has
failed. Questions that are not answered in time take their default in `watch_request_deadlines`.

## Triggers
A question (asset `asked_decisions`); every 5 minutes; by hand.

## Parameters
None.

## If it fails
`carry_out`: a decision could not take effect yet; the next run tries again. `ask`: a run could not be
started; nobody was asked, and the next run asks.

## Promises
P6.3, P6.5, P6.6
"""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, dag, task

from include.dag_defaults import START, Tag, default_args
from include.privacy.requests import asking, deciding


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/5 * * * *", timezone="UTC"), assets=[Asset("asked_decisions")]
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.requests, Tag.decisions, Tag.scheduled],
)
def ask_decisions():
    task(asking.ring, outlets=[Asset("decided_requests")])(task(deciding.carry_out)())
    asked = task(asking.questions)()
    started = TriggerDagRunOperator.partial(
        task_id="ask", trigger_dag_id="decide_subject_request", skip_when_already_exists=True
    ).expand_kwargs(asked)
    started >> task(asking.presented, trigger_rule=TriggerRule.NONE_FAILED)(asked)


ask_decisions()
