"""Snapshots of RDS: what is found, when it was captured, what goes and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from moto import mock_aws

from include.privacy.planning.models import Holds, PlanError
from include.privacy.policy.clouds import Snapshots
from include.privacy.policy.policy import SnapshotAgeRule
from include.privacy.stores.aws import CloudError, aws_client
from include.privacy.stores.rds import Rds
from include.privacy.stores.snapshots import SnapshotStore
from tests.processors.standing import Standing, standing
from tests.stores.buckets import Gate

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
SNAPSHOTS = Snapshots(
    store="snapshots", kind="rds", connection="c", sources={"db": "accounts", "aurora": "practice"}
)
RULE = SnapshotAgeRule(
    id="r",
    kind="snapshot_age",
    promise="P4.3",
    store="snapshots",
    target_days=170,
    limit_days=180,
    guard={"max_share": 1.0, "max_count": 10},
)


def ago(days: float) -> str:
    return (AS_OF - timedelta(days=days)).isoformat()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Standing]:
    with standing("rds", tmp_path, "key") as running:
        yield running


@pytest.fixture
def rds(there: Standing) -> Rds:
    return Rds(client(there))


def client(there: Standing) -> Any:
    return aws_client(
        "rds", region="eu-central-1", endpoint_url=there.endpoint, access_key="a", secret_key="s"
    )


def put(there: Standing, *snapshots: dict[str, Any]) -> None:
    there.control.configure(
        snapshots=[{"source": "db", "created": ago(1), **snapshot} for snapshot in snapshots]
    )


def left(there: Standing) -> set[str]:
    return set(there.control.state()["snapshots"])


def store(rds: Rds) -> SnapshotStore:
    return SnapshotStore(SNAPSHOTS, rds)


def test_age_counts_from_the_earliest_time_that_is_known(there: Standing, rds: Rds) -> None:
    put(
        there,
        {"id": "fresh"},
        {"id": "copy", "original": ago(175), "copy_of": "x"},
        {"id": "stated", "tags": {"captured-at": ago(176)}},
        {"id": "nonsense", "tags": {"captured-at": "last year"}},
        {"id": "cluster-copy", "source": "aurora", "cluster": True, "copy_of": "arn"},
        {"id": "cluster-stated", "source": "aurora", "cluster": True, "copy_of": "arn",
         "tags": {"captured-at": ago(177)}},
    )  # fmt: skip
    found = {s.key: s for s in rds.snapshots()}
    ages = {key: (AS_OF - s.captured).days for key, s in found.items() if s.captured}
    assert ages == {
        "fresh": 1, "copy": 175, "stated": 176, "nonsense": 1, "cluster-copy": 1, "cluster-stated": 177,
    }  # fmt: skip
    assert {key for key, s in found.items() if s.copied} == {"cluster-copy"}


def test_all_pages_are_read_and_nothing_is_listed_twice(there: Standing, rds: Rds) -> None:
    there.control.configure(page_size=20)
    put(
        there,
        *({"id": f"s{n}"} for n in range(50)),
        *({"id": f"v{n}", "type": "awsbackup"} for n in range(30)),
    )
    keys = [s.key for s in rds.snapshots()]
    assert len(keys) == len(set(keys)) == 80


def test_due_snapshots_go_and_what_is_not_ours_to_delete_is_named(there: Standing, rds: Rds) -> None:
    put(
        there,
        {"id": "old", "created": ago(171)},
        {"id": "just-due", "created": ago(170)},
        {"id": "young", "created": ago(169.9)},
        {"id": "automated", "created": ago(171), "type": "automated"},
        {"id": "cluster", "source": "aurora", "cluster": True, "created": ago(300)},
        {"id": "stranger", "source": "other", "created": ago(300)},
        {"id": "busy", "created": ago(171), "status": "copying"},
    )
    snapshots = store(rds)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    assert (plan.matched, plan.population) == (5, 6)
    assert any("1 snapshots of other" in note for note in plan.notes)

    dry = snapshots.execute(plan, None, Gate(), dry_run=True)
    assert (dry.matched, dry.removed) == ({"db": 4, "aurora": 1}, {"db": 0, "aurora": 0})
    assert len(left(there)) == 7

    outcome = snapshots.execute(plan, None, Gate())
    assert outcome.removed == {"db": 2, "aurora": 1}
    assert left(there) == {"young", "automated", "stranger", "busy"}
    assert len(outcome.blocked) == 2
    assert any("backup retention period" in line for line in outcome.blocked)
    assert any("in use" in line for line in outcome.blocked)
    assert dict(snapshots.probe(plan, None).remaining) == {"db": 2, "aurora": 0}

    again = snapshots.execute(plan, None, Gate())
    assert sum(again.removed.values()) == 0


def test_a_hold_that_comes_in_the_middle_binds_the_rest(there: Standing, rds: Rds) -> None:
    put(there, *({"id": f"s{n}", "created": ago(200)} for n in range(4)))
    gate = Gate()

    def hold_after_two(entered: int) -> None:
        if entered == 2:
            gate.holds = Holds(collections=frozenset({"snapshots.db"}))

    gate.before = hold_after_two
    snapshots = store(rds)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    outcome = snapshots.execute(plan, None, gate)
    assert outcome.removed["db"] + len(left(there)) == 4
    assert 0 < len(left(there)) < 4
    assert "legal hold" in outcome.kept["db"]
    assert snapshots.overdue(RULE, as_of=AS_OF, holds=gate.holds).count == 0
    assert snapshots.overdue(RULE, as_of=AS_OF, holds=gate.holds).held == len(left(there))
    assert snapshots.overdue(RULE, as_of=AS_OF, holds=Holds()).oldest == timedelta(days=20)


def test_a_deletion_whose_answer_is_lost_is_found_done(there: Standing, rds: Rds) -> None:
    put(there, {"id": "old", "created": ago(200)})
    snapshots = store(rds)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    listings = 4
    there.control.fail(kind="reset", when="after", skip=listings)
    outcome = snapshots.execute(plan, None, Gate())
    assert outcome.removed["db"] == 1
    assert not outcome.blocked
    assert left(there) == set()
    assert not there.control.faults()


def test_two_copies_at_once_do_no_harm(there: Standing) -> None:
    put(there, *({"id": f"s{n}", "created": ago(200)} for n in range(30)), {"id": "young"})
    copies = [store(Rds(client(there))) for _ in range(2)]
    plan = copies[0].plan_expiry(RULE, uuid4(), as_of=AS_OF)
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(lambda each: each.execute(plan, None, Gate()), copies))
    assert left(there) == {"young"}
    assert not any(outcome.blocked for outcome in outcomes)


def test_a_denied_call_says_what_to_grant_and_names_no_snapshot(there: Standing, rds: Rds) -> None:
    put(there, {"id": "secret-name", "created": ago(200)})
    snapshots = store(rds)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    there.control.fail(status=403, skip=4)
    with pytest.raises(CloudError, match="grant rds:DeleteDBSnapshot") as refused:
        snapshots.execute(plan, None, Gate())
    assert "secret-name" not in str(refused.value)
    there.control.fail(status=403)
    with pytest.raises(PlanError, match="grant rds:DescribeDBSnapshots"):
        snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)


def test_a_plan_for_others_or_for_today_is_refused(there: Standing, rds: Rds) -> None:
    put(there, {"id": "old", "created": ago(200)})
    snapshots = store(rds)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    step = plan.steps[0].model_copy(update={"table": "other"})
    for wrong in (
        plan.model_copy(update={"store": "elsewhere"}),
        plan.model_copy(update={"groups": ((step,),)}),
        plan.model_copy(update={"params": {"cutoff": AS_OF.isoformat()}}),
    ):
        with pytest.raises(PlanError, match="nothing was deleted"):
            snapshots.execute(wrong, None, Gate())
    assert left(there) == {"old"}


def test_the_adapter_works_on_an_independent_server_too() -> None:
    with mock_aws():
        raw = aws_client("rds", region="eu-central-1", access_key="a", secret_key="s")
        raw.create_db_instance(
            DBInstanceIdentifier="db", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
            MasterUsername="u", MasterUserPassword="password-1",
        )  # fmt: skip
        login = {"MasterUsername": "u", "MasterUserPassword": "password-1"}
        raw.create_db_cluster(DBClusterIdentifier="aurora", Engine="aurora-postgresql", **login)
        tags = [{"Key": "captured-at", "Value": ago(200)}]
        raw.create_db_snapshot(DBInstanceIdentifier="db", DBSnapshotIdentifier="old", Tags=tags)
        raw.create_db_snapshot(DBInstanceIdentifier="db", DBSnapshotIdentifier="young")
        raw.create_db_cluster_snapshot(
            DBClusterIdentifier="aurora", DBClusterSnapshotIdentifier="cluster-old", Tags=tags
        )
        raw.modify_db_snapshot_attribute(
            DBSnapshotIdentifier="young", AttributeName="restore", ValuesToAdd=["999999999999"]
        )
        rds = Rds(raw)
        shared = {
            r["DBSnapshotIdentifier"]: rds.shared_with(kind, r) for kind, r in rds.described() if not kind
        }
        assert shared["young"] == ("999999999999",)
        assert shared["old"] == ()
        snapshots = SnapshotStore(SNAPSHOTS, rds)
        plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
        outcome = snapshots.execute(plan, None, Gate())
        assert outcome.removed == {"db": 1, "aurora": 1}
        assert "young" in {s.key for s in rds.snapshots()}
        assert snapshots.probe(plan, None).clean
