"""Try another policy.yaml on real counts: what it would delete, keep and refuse, beside the one in force.

## What it does
Reads the policy that is pasted into the form and checks it as `make check` does: one that allows more than a
promise does, or leaves something without a rule, is refused with line and reason. Then it plans every rule of
both policies against the stores as they are, runs the same executors in dry mode, and reports by rule and
store what goes, what is anonymised, kept or held, and which rules would wait for approval. It says which
changes leave people worse off. `python -m include.privacy simulate PATH` prints the same.

## What it does not do
It deletes nothing, asks nobody, and changes no configuration: a policy comes into force by a deployment, and
material changes only after their notice.

## Triggers
By hand.

## Parameters
`policy` is the text of the other policy.yaml; only its digest is kept. `as_of` applies both as at another
instant, which may lie in the future.

## If it fails
A refused policy fails the run: the error, and the run's summary in the ledger, name each line and what to
write instead. A rule that cannot be planned does not fail it; the report says *could not be planned* there.

## Promises
P4.1, P4.2, P4.3
"""

from airflow.sdk import Param, dag, task

from include.dag_defaults import ERASING_TIMEOUT, RETENTION_POOL, START, Tag, default_args
from include.privacy.retention import simulating


@dag(
    schedule=None,
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    doc_md=__doc__,
    tags=[Tag.retention, Tag.form],
    params={
        "policy": Param("", type="string", format="multiline", description="The other policy.yaml."),
        "as_of": Param(None, type=["null", "string"], format="date-time", description="As at this instant."),
    },
)
def simulate_policy_change():
    run = task(simulating.open_simulation)()
    task(simulating.report_simulation, pool=RETENTION_POOL, execution_timeout=ERASING_TIMEOUT)(run)


simulate_policy_change()
