"""The demo's proof about snapshots fails when one is left, and when one too many is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from include.sandbox.gcs import PROJECT
from include.sandbox.objects import rds_client
from include.sandbox.platform import clouds
from include.sandbox.processors import GOOGLE_CLOUD, RDS
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.verify import Baseline, Stores, check_snapshots
from include.sandbox.world import World

AS_OF = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def stores(world: World) -> Iterator[Stores]:
    clouds.fill(world, AS_OF)
    google = world.processor_endpoints[GOOGLE_CLOUD]
    url = f"{google}/v1/projects/{PROJECT}/instances/{clouds.STANDBY}"
    yield Stores("", "", None, None, rds=rds_client(world.processor_endpoints[RDS]), cloud_sql=url)
    for name in (RDS, GOOGLE_CLOUD):
        ProcessorControl(world.processor_endpoints[name]).begin_again()


@pytest.fixture
def before(stores: Stores) -> Baseline:
    from include.sandbox.verify import _snapshots

    nobody: Any = frozenset()
    return Baseline(
        AS_OF, nobody, nobody, nobody, frozenset(), nobody, {}, 0, 0, 0, {}, {}, _snapshots(stores)
    )


def test_what_is_left_and_what_is_lost_is_noticed(stores: Stores, before: Baseline) -> None:
    assert [c.ok for c in check_snapshots(stores, before)] == [False, False]
    for source in (clouds.ACCOUNTS, clouds.PRACTICE):
        stores.rds.delete_db_snapshot(DBSnapshotIdentifier=f"{source}-before-7")
    assert [c.ok for c in check_snapshots(stores, before)] == [True, False]
    stores.rds.delete_db_snapshot(DBSnapshotIdentifier=f"{clouds.ACCOUNTS}-before-8")
    rds, _ = check_snapshots(stores, before)
    assert (rds.ok, rds.detail) == (False, "0 left, 1 lost")


def test_a_world_without_old_snapshots_proves_nothing(stores: Stores, before: Baseline) -> None:
    young = {place: {} for place in before.snapshots}
    assert not any(c.ok for c in check_snapshots(stores, replace(before, snapshots=young)))
