"""Where invoices go that tax law wants: once, encrypted, and gone by the day of their issue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.loading import load_config
from include.privacy.policy.policy import ObjectAgeRule
from include.privacy.stores.archive_bucket import ArchiveBucket
from include.privacy.stores.invoice_archive import InvoiceBucket
from include.privacy.stores.objects.model import BucketError
from include.privacy.stores.s3 import S3Store, s3_client
from include.sandbox import objects
from tests.stores.buckets import Gate

KEY = "alias/privacy-archives"
DAY = date(2026, 11, 20)


def shipped(bucket: str) -> BucketMap:
    """The store ``archives`` of config/data_map, in a bucket of the test's own."""
    mapped = load_config().data_map["archives"]
    assert isinstance(mapped, BucketMap)
    return mapped.model_copy(update={"bucket": bucket})


@pytest.fixture
def client(world: Any) -> Any:
    return s3_client(
        region=objects.REGION,
        endpoint_url=world.s3_endpoint,
        access_key=objects.ACCESS_KEY,
        secret_key=objects.SECRET_KEY,
    )


@pytest.fixture
def invoices(bucket: Callable[..., str], client: Any) -> InvoiceBucket:
    return InvoiceBucket(shipped(bucket()), client, KEY)


def test_an_invoice_is_stored_once_encrypted_under_the_day_of_its_issue(
    invoices: InvoiceBucket, client: Any
) -> None:
    assert invoices.put("in_1", DAY, b'{"number": "A-1"}')
    assert not invoices.put("in_1", DAY, b'{"number": null}'), "a later copy may be redacted"
    found = client.get_object(Bucket=invoices._bucket, Key="invoices/2026-11-20/in_1.json")
    assert found["Body"].read() == b'{"number": "A-1"}'
    assert (found["ServerSideEncryption"], found["ContentType"]) == ("aws:kms", "application/json")
    versions = client.list_object_versions(Bucket=invoices._bucket)["Versions"]
    assert len(versions) == 1


def test_two_that_store_at_once_leave_one_copy(invoices: InvoiceBucket, client: Any) -> None:
    told: list[bool] = []
    threads = [
        threading.Thread(target=lambda: told.append(invoices.put("in_1", DAY, b"{}"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 8 and any(told)
    assert invoices.put("in_1", DAY, b"{}") is False


def test_an_id_that_could_lead_elsewhere_is_refused(invoices: InvoiceBucket) -> None:
    for wrong in ("../archives/x", "a/b", "", "in 1"):
        with pytest.raises(ValueError, match="not stored"):
            invoices.put(wrong, DAY, b"{}")


def test_a_bucket_that_is_gone_or_not_for_invoices_is_named(client: Any, bucket: Callable[..., str]) -> None:
    with pytest.raises(BucketError, match="'no-such-bucket-anywhere'"):
        InvoiceBucket(shipped("no-such-bucket-anywhere"), client, KEY).put("in_1", DAY, b"{}")
    without = shipped(bucket())
    without = without.model_copy(update={"archives": without.archives[:1]})
    with pytest.raises(ValueError, match="hold invoices"):
        InvoiceBucket(without, client, KEY)


def test_what_is_not_encrypted_with_kms_is_no_archive(invoices: InvoiceBucket, client: Any) -> None:
    client.put_object(Bucket=invoices._bucket, Key=invoices.key("in_1", DAY), Body=b"{}")
    with pytest.raises(BucketError, match="does not encrypt"):
        invoices.put("in_1", DAY, b"{}")


def test_invoices_expire_by_the_day_of_their_issue_and_not_of_their_storing(
    invoices: InvoiceBucket, client: Any
) -> None:
    rule = load_config().policy.rule("stored_invoices")
    assert isinstance(rule, ObjectAgeRule)
    store = S3Store(shipped(invoices._bucket), client)
    now = datetime.now(UTC)
    old = (now - timedelta(days=rule.target_days + 1)).date()
    young = (now - timedelta(days=rule.target_days - 2)).date()
    invoices.put("in_old", old, b"{}")
    invoices.put("in_young", young, b"{}")
    plan = store.plan_expiry(rule, uuid4(), as_of=now)
    assert plan.matched == 1
    assert store.execute(plan, None, Gate()).removed == {"invoices/": 1}
    left = client.list_object_versions(Bucket=invoices._bucket).get("Versions", [])
    assert [v["Key"] for v in left] == [invoices.key("in_young", young)]


def test_answers_to_requests_keep_their_own_prefix_and_rule(bucket: Callable[..., str], client: Any) -> None:
    mapped = shipped(bucket())
    stored = ArchiveBucket(mapped, client, KEY).upload(uuid4(), [b"x"])
    assert stored.key.startswith("archives/")
    answers, kept = mapped.archive("answers"), mapped.archive("invoices")
    assert answers and answers.captured_at == ("last_modified",)
    assert kept and kept.captured_at == ("key", "last_modified")


def test_what_is_told_to_people_is_what_the_rule_does() -> None:
    config = load_config()
    rule = config.policy.rule("stored_invoices")
    keeps = config.processors["stripe"].keeps
    assert keeps["invoice"].days == keeps["charge"].days == rule.target_days
