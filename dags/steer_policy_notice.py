"""Stop, resume, slow down or withdraw the notice of a new version of the policy, with a form.

## What it does
Takes effect before the next call to a provider of mail, while the campaign runs. `stop` and `resume`; `change
the pace` to so many people a minute; `withdraw` takes an approval back while nothing has been sent.

## What it does not do
It calls no letter back: the calls that are under way (a few thousand people at most) still arrive. It does
not move the date: `announce_policy_change` does that when the stop lasts too long, and tells everybody.

## Triggers
By hand.

## Parameters
`version`: the version of the policy. `action`: what to do. `people_per_minute`: the new pace.

## If it fails
The error names the field and what to write instead; nothing was changed.

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
        "action": Param(steering.STOP, enum=list(steering.ACTIONS), title="What to do"),
        "people_per_minute": Param(
            None, type=["null", "integer"], minimum=1, title="People a minute", description="For the pace."
        ),
    },
)
def steer_policy_notice():
    task(steering.steer)()


steer_policy_notice()
