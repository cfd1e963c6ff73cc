"""The platform's own archives, with the accidents of real ones, in both clouds at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from include.privacy.planning.models import Holds
from include.privacy.stores.gcs import GcsStore
from include.privacy.stores.objects.store import ObjectStore
from include.privacy.stores.s3 import S3Store
from include.sandbox.platform.backups import write_backups
from tests.stores.buckets import BACKUPS, Gate, backup_map, days, rule

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client
    from mypy_boto3_s3.client import S3Client

    from tests.conftest import Platform


def test_the_platforms_archives_expire_to_the_day_in_both_clouds(
    platform: Platform,
    s3_client: S3Client,
    bucket: Callable[..., str],
    gcs_client: Client,
    gcs_bucket: Callable[..., Bucket],
) -> None:
    as_of, name, copies = datetime.now(UTC), bucket(), gcs_bucket()
    report = write_backups(
        platform.dsn("accounts"),
        platform.dsn("practice"),
        as_of=as_of,
        s3=s3_client,
        s3_bucket=name,
        gcs_bucket=copies,
        every_days=10,
    )
    kept = [s for s in report.sets if s.database == "accounts" and s.captured_at > as_of - days(170)]
    stores: list[tuple[ObjectStore, bool]] = [
        (S3Store(backup_map(name), s3_client), False),
        (GcsStore(backup_map(copies.name, "gcs"), gcs_client), True),
    ]
    for store, undeletes in stores:
        before = store.overdue(rule(), as_of=as_of, holds=Holds())
        assert before.oldest is not None
        assert days(19.9) < before.oldest < days(20.1)
        plan = store.plan_expiry(rule(), uuid4(), as_of=as_of)
        outcome = store.execute(plan, None, Gate())
        assert outcome.removed == {BACKUPS: plan.matched}
        assert not outcome.blocked
        assert store.probe(plan, None).clean
        after = store.overdue(rule(), as_of=as_of, holds=Holds())
        assert after.count == 0
        # What soft delete still keeps is late on the second clock, and said so.
        assert (after.gone.count > 0) is undeletes
        assert any("soft delete" in note for note in plan.notes) is undeletes
        span = store.captures(BACKUPS)
        assert span.newest == max(s.captured_at for s in kept)
        if not undeletes:
            assert span.oldest == min(s.captured_at for s in kept)
            assert span.count == 2 * len(kept)
