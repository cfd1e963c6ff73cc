"""Content of people in S3, against a server that enforces versions, locks and legal holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse

from include.privacy.planning.models import Plan, PlanError
from include.privacy.stores.objects import sweep as sweep_module
from include.privacy.stores.s3 import BucketError, S3Store
from tests.stores.buckets import CONTENT, Gate, Log, cohort, content_map, days, utc_now

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)
Buckets = Callable[..., str]


def put(client: S3Client, bucket: str, *keys: str, **more: Any) -> None:
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"x", **more)


def everything(client: S3Client, bucket: str) -> set[tuple[str, str]]:
    """Kind and key of every version, marker and upload."""
    found = set()
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found |= {("version", v["Key"]) for v in page.get("Versions", ())}
        found |= {("marker", m["Key"]) for m in page.get("DeleteMarkers", ())}
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    return found | {("upload", u["Key"]) for u in uploads}


def planned(store: S3Store, *keys: str) -> tuple[Plan, Any]:
    people = cohort(*keys)
    return store.plan_erasure(people, uuid4(), as_of=AS_OF), people


class Answers:
    """Makes the client receive prepared answers for one operation instead of the server's."""

    def __init__(self, client: S3Client, operation: str) -> None:
        self.client, self.event = client, f"before-send.s3.{operation}"
        self.prepared: list[tuple[int, str] | None] = []
        self.calls = 0

    def __enter__(self) -> Answers:
        self.client.meta.events.register(self.event, self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.meta.events.unregister(self.event, self._answer)

    def _answer(self, request: Any, **_: object) -> AWSResponse | None:
        self.calls += 1
        chosen = self.prepared.pop(0) if self.prepared else None
        if chosen is None:
            return None
        status, body = chosen

        class Raw:
            def stream(self, *_: object, **__: object) -> Any:
                yield body.encode()

        return AWSResponse(request.url, status, {"content-type": "application/xml"}, Raw())


def error(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>secret-key-name</Message></Error>"


def test_erasure_removes_every_version_marker_and_upload_and_nobody_elses(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()
    put(
        s3_client, name, "user-content/12/a", "user-content/12/a", "user-content/12/b/c", "user-content/123/a"
    )
    s3_client.delete_object(Bucket=name, Key="user-content/12/a")
    s3_client.create_multipart_upload(Bucket=name, Key="user-content/12/big")
    s3_client.create_multipart_upload(Bucket=name, Key="user-content/123/big")
    log = Log()
    store = S3Store(content_map(name), s3_client, batch_log=log)
    plan, people = planned(store, "12", "77")
    assert (plan.matched, plan.subjects, plan.population) == (5, 1, 2)
    outcome = store.execute(plan, people, Gate())
    assert outcome.removed == {CONTENT: 5}
    assert not outcome.blocked
    assert everything(s3_client, name) == {
        ("version", "user-content/123/a"),
        ("upload", "user-content/123/big"),
    }
    assert store.probe(plan, people).clean
    assert sum(removed for removed, _ in log.done.values()) == 5
    assert log.done.keys() == log.intents.keys()


def test_a_dry_run_counts_the_same_and_deletes_nothing(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/12/b")
    log = Log()
    store = S3Store(content_map(name), s3_client, batch_log=log)
    plan, people = planned(store, "12")
    outcome = store.execute(plan, people, Gate(), dry_run=True)
    assert (outcome.matched, outcome.removed) == ({CONTENT: 2}, {CONTENT: 0})
    assert len(everything(s3_client, name)) == 2
    assert not log.intents
    assert not store.probe(plan, people).clean


def test_a_second_run_finds_nothing_and_harms_nothing(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    store.execute(plan, people, Gate())
    assert store.execute(plan, people, Gate()).removed in ({}, {CONTENT: 0})


@pytest.mark.parametrize(
    "odd",
    [
        "a b+c",
        "ü/ß/日本語",
        "q?a=1&b=2#f",
        "100%25",
        "<&>\"'",
        "~!$*();:@,=[]",
        "tab\there",
        "x" * 900,
        "//",
        ".",
    ],
)
def test_keys_with_odd_characters_are_erased(s3_client: S3Client, bucket: Buckets, odd: str) -> None:
    name = bucket()
    key = f"user-content/12/{odd}"
    put(s3_client, name, key, key)
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    assert store.execute(plan, people, Gate()).removed == {CONTENT: 2}
    assert not everything(s3_client, name)


def test_more_versions_than_a_page_holds_are_all_erased(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, *["user-content/12/often"] * 1003, *[f"user-content/12/{i:04}" for i in range(20)])
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    assert plan.matched == 1023
    outcome = store.execute(plan, people, Gate())
    assert outcome.removed == {CONTENT: 1023}
    assert not everything(s3_client, name)


def test_a_listing_that_loses_its_place_because_entries_before_it_went_is_begun_again(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()
    put(s3_client, name, *["user-content/12/often"] * 1003)
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    list_versions, delete_objects, deleted = s3_client.list_object_versions, s3_client.delete_objects, Event()

    def delete(**request: Any) -> Any:
        answer = delete_objects(**request)
        deleted.set()
        return answer

    def list_late(**request: Any) -> Any:
        if "KeyMarker" in request and not deleted.is_set():
            assert deleted.wait(20)
            return {"Versions": [], "IsTruncated": False}
        return list_versions(**request)

    with (
        patch.object(s3_client, "delete_objects", side_effect=delete),
        patch.object(s3_client, "list_object_versions", side_effect=list_late),
    ):
        assert store.execute(plan, people, Gate()).removed == {CONTENT: 1003}
    assert not everything(s3_client, name)


def test_a_cohort_shares_batches_and_uploads_are_listed_once(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    people = [str(n) for n in range(60)]
    put(s3_client, name, *[f"user-content/{n}/avatar" for n in people])
    s3_client.create_multipart_upload(Bucket=name, Key="user-content/59/big")
    store = S3Store(content_map(name), s3_client)
    plan, members = planned(store, *people)
    with (
        Answers(s3_client, "ListMultipartUploads") as listings,
        Answers(s3_client, "DeleteObjects") as deletes,
    ):
        outcome = store.execute(plan, members, Gate())
    assert outcome.removed == {CONTENT: 61}
    assert deletes.calls == 1
    assert listings.calls <= 3
    assert not everything(s3_client, name)


def test_one_locked_object_does_not_stop_the_others_and_is_told_with_mode_and_date(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket(object_lock=True)
    put(s3_client, name, *[f"user-content/12/{i}" for i in range(9)])
    until = (utc_now() + days(30)).replace(microsecond=0)
    put(
        s3_client,
        name,
        "user-content/12/locked",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
    )
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    outcome = store.execute(plan, people, Gate())
    assert outcome.removed == {CONTENT: 9}
    assert outcome.blocked == [f"{CONTENT}: 1 objects: Object Lock COMPLIANCE until {until:%Y-%m-%d}"]
    assert store.deferred(plan) == {"12"}
    assert store.probe(plan, people).remaining == {CONTENT: 1}


def test_a_legal_hold_of_the_bucket_is_named_and_its_delete_marker_stays_on(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket(object_lock=True)
    put(s3_client, name, "user-content/12/held", ObjectLockLegalHoldStatus="ON")
    put(s3_client, name, "user-content/12/free", "user-content/12/gone")
    s3_client.delete_object(Bucket=name, Key="user-content/12/gone")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    outcome = store.execute(plan, people, Gate())
    assert outcome.blocked == [f"{CONTENT}: 1 objects: S3 legal hold"]
    assert everything(s3_client, name) == {("version", "user-content/12/held")}


def test_a_marker_over_a_refused_version_is_not_taken_off() -> None:
    from include.privacy.stores.objects.model import BucketPolicy, Deletion, Kind, Protection
    from include.privacy.stores.objects.store import ObjectStore
    from tests.stores.buckets import MemoryBucket, version

    entries = [
        version("user-content/12/a", AS_OF, Kind.marker),
        version("user-content/12/a", AS_OF - days(1)),
        version("user-content/12/b", AS_OF, Kind.marker),
        version("user-content/12/b", AS_OF - days(1)),
    ]
    memory = MemoryBucket(entries, page=1)
    memory.settings = BucketPolicy(versioned=True, markers=True, protects=True)
    memory.on_delete = lambda batch: Deletion(
        refused=[(o, Protection("lock")) for o in batch if o == entries[1]]
    )
    store = ObjectStore(content_map("memory"), memory)
    people = cohort("12")
    outcome = store.execute(store.plan_erasure(people, uuid4(), as_of=AS_OF), people, Gate())
    assert memory.entries == entries[:2]
    assert outcome.blocked == [f"{CONTENT}: 1 objects: lock"]
    assert outcome.removed == {CONTENT: 2}


def test_a_held_person_survives_and_the_others_do_not(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/13/a")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12", "13")
    outcome = store.execute(plan, people, Gate(subjects=frozenset({"12"})))
    assert everything(s3_client, name) == {("version", "user-content/12/a")}
    assert (outcome.held_subjects, outcome.kept) == (1, {CONTENT: "legal hold: 1 objects"})
    assert store.deferred(plan) == {"12"}
    assert store.probe(plan, people, held_back=store.deferred(plan)).clean
    released = store.execute(plan, people, Gate())
    assert released.removed == {CONTENT: 1}


@pytest.mark.parametrize(
    "hold",
    [
        {"stores": frozenset({"content"})},
        {"collections": frozenset({f"content.{CONTENT}"})},
        {"collections": frozenset({"content.user-content/{subject}"})},
    ],
)
def test_a_held_store_or_collection_keeps_everything(
    s3_client: S3Client, bucket: Buckets, hold: dict[str, frozenset[str]]
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    outcome = store.execute(plan, people, Gate(**hold))
    assert len(everything(s3_client, name)) == 1
    assert "legal hold" in outcome.kept[CONTENT]
    assert store.deferred(plan) == {"12"}


def test_a_hold_placed_between_batches_binds_the_next_one(
    s3_client: S3Client, bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/13/a")
    store = S3Store(content_map(name), s3_client)
    monkeypatch.setattr(store._bucket, "batch_size", 1)
    plan, people = planned(store, "12", "13")
    gate = Gate()
    # Entered once for the whole collection, then once for each batch.
    gate.before = lambda n: gate.hold(subjects=frozenset({"13"})) if n == 3 else None
    store.execute(plan, people, gate)
    assert everything(s3_client, name) == {("version", "user-content/13/a")}


def test_when_holds_cannot_be_looked_up_nothing_is_deleted(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    log = Log()
    store = S3Store(content_map(name), s3_client, batch_log=log)
    plan, people = planned(store, "12")
    for failing in (1, 2):
        gate = Gate()

        def fail(n: int, failing: int = failing) -> None:
            if n == failing:
                raise ConnectionError("ledger is down")

        gate.before = fail
        with pytest.raises(ConnectionError):
            store.execute(plan, people, gate)
    assert len(everything(s3_client, name)) == 1
    assert not log.done


def test_when_intent_cannot_be_recorded_nothing_is_deleted(s3_client: S3Client, bucket: Buckets) -> None:
    class Broken(Log):
        def record_batch_intent(self, *_: object) -> None:
            raise ConnectionError("ledger is down")

    name = bucket()
    put(s3_client, name, "user-content/12/a")
    store = S3Store(content_map(name), s3_client, batch_log=Broken())
    plan, people = planned(store, "12")
    with pytest.raises(ConnectionError):
        store.execute(plan, people, Gate())
    assert len(everything(s3_client, name)) == 1


@pytest.mark.parametrize("key", ["", " ", "../13", "12/", "1 2", "12/../..", "a.b", "é", "12\n"])
def test_a_subject_key_that_could_widen_a_prefix_is_refused(
    s3_client: S3Client, bucket: Buckets, key: str
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    store = S3Store(content_map(name), s3_client)
    with pytest.raises(PlanError, match="characters that may not enter a prefix"):
        planned(store, key)
    plan, _ = planned(store, "12")
    with pytest.raises(PlanError):
        store.execute(plan, cohort(key), Gate())
    assert len(everything(s3_client, name)) == 1


def test_a_plan_without_cohort_or_of_another_store_is_refused(s3_client: S3Client, bucket: Buckets) -> None:
    store = S3Store(content_map(bucket()), s3_client)
    plan, people = planned(store, "12")
    with pytest.raises(PlanError, match="no cohort"):
        store.execute(plan, None, Gate())
    with pytest.raises(PlanError, match="is for store"):
        store.execute(plan.model_copy(update={"store": "other"}), people, Gate())
    widened = plan.steps[0].model_copy(update={"table": "user-content/"})
    with pytest.raises(PlanError, match="names prefixes"):
        store.execute(plan.model_copy(update={"groups": ((widened,),)}), people, Gate())


def test_a_bucket_that_is_gone_is_told_by_name(s3_client: S3Client) -> None:
    store = S3Store(content_map("no-such-bucket-here"), s3_client)
    with pytest.raises(PlanError, match="bucket 'no-such-bucket-here' does not exist"):
        planned(store, "12")


def test_a_bucket_that_goes_while_deleting_stops_the_run(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    with Answers(s3_client, "DeleteObjects") as answers:
        answers.prepared = [(404, error("NoSuchBucket"))]
        with pytest.raises(BucketError, match="does not exist"):
            store.execute(plan, people, Gate())


def test_a_denied_listing_names_the_missing_permission_and_no_object(
    s3_client: S3Client, bucket: Buckets
) -> None:
    store = S3Store(content_map(bucket()), s3_client)
    with Answers(s3_client, "ListObjectVersions") as answers:
        answers.prepared = [(403, error("AccessDenied"))]
        with pytest.raises(PlanError, match=r"grant s3:ListBucketVersions") as caught:
            planned(store, "12")
    assert "secret-key-name" not in str(caught.value)


def test_a_denied_deletion_is_counted_by_reason(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/12/b")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    with Answers(s3_client, "DeleteObjects") as answers:
        answers.prepared = [(403, error("AccessDenied"))]
        outcome = store.execute(plan, people, Gate())
    assert outcome.removed == {CONTENT: 0}
    assert outcome.blocked == [
        f"{CONTENT}: 2 objects: access denied (needs s3:DeleteObjectVersion, and no bucket policy against it)"
    ]


def test_errors_inside_a_200_are_retried_or_told_never_swallowed(
    s3_client: S3Client, bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "FIRST_PAUSE_S", 0.001)
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/12/b", "user-content/12/c")
    ids = {v["Key"]: v["VersionId"] for v in s3_client.list_object_versions(Bucket=name)["Versions"]}

    def entry(letter: str, code: str) -> str:
        key = f"user-content/12/{letter}"
        return f"<Error><Key>{key}</Key><VersionId>{ids[key]}</VersionId><Code>{code}</Code></Error>"

    log = Log()
    store = S3Store(content_map(name), s3_client, batch_log=log)
    plan, people = planned(store, "12")
    first = entry("a", "InternalError") + entry("b", "SlowDown") + entry("c", "MethodNotAllowed")
    with Answers(s3_client, "DeleteObjects") as answers:
        answers.prepared = [(200, f"<DeleteResult>{first}</DeleteResult>"), None]
        outcome = store.execute(plan, people, Gate())
    assert answers.calls == 2
    assert outcome.removed == {CONTENT: 2}
    assert outcome.blocked == [f"{CONTENT}: 1 objects: refused with MethodNotAllowed"]
    assert list(log.done.values()) == [(2, 1)]
    assert everything(s3_client, name) == {("version", "user-content/12/c")}


def test_what_stays_unavailable_is_told_after_the_last_attempt(
    s3_client: S3Client, bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "FIRST_PAUSE_S", 0.001)
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    only = s3_client.list_object_versions(Bucket=name)["Versions"][0]
    slow = (
        f"<DeleteResult><Error><Key>{only['Key']}</Key><VersionId>{only['VersionId']}</VersionId>"
        "<Code>SlowDown</Code></Error></DeleteResult>"
    )
    with Answers(s3_client, "DeleteObjects") as answers:
        answers.prepared = [(200, slow)] * 20
        outcome = store.execute(plan, people, Gate())
    assert answers.calls == sweep_module.ATTEMPTS
    assert outcome.blocked == [f"{CONTENT}: 1 objects: still SlowDown after {sweep_module.ATTEMPTS} attempts"]


def test_a_crash_leaves_the_intent_of_its_batch_and_a_second_run_finishes(
    s3_client: S3Client, bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = bucket()
    put(s3_client, name, *[f"user-content/12/{i}" for i in range(5)])
    log = Log()
    store = S3Store(content_map(name), s3_client, batch_log=log)
    monkeypatch.setattr(store._bucket, "batch_size", 2)
    plan, people = planned(store, "12")
    gate = Gate()

    def die(n: int) -> None:
        if n == 3:
            raise KeyboardInterrupt

    gate.before = die
    with pytest.raises(KeyboardInterrupt):
        store.execute(plan, people, gate)
    assert (len(log.intents), len(log.done)) == (2, 1)
    assert store.execute(plan, people, Gate()).removed == {CONTENT: 3}
    assert sum(removed for removed, _ in log.done.values()) == 5
    assert not everything(s3_client, name)


def test_no_log_line_names_an_object(
    s3_client: S3Client, bucket: Buckets, caplog: pytest.LogCaptureFixture
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/passport-of-jane")
    store = S3Store(content_map(name), s3_client)
    with caplog.at_level(logging.DEBUG, logger="include"):
        plan, people = planned(store, "12")
        store.execute(plan, people, Gate())
    assert "batch of 1 objects" in caplog.text
    assert "jane" not in caplog.text
    assert "user-content/12" not in caplog.text


@pytest.mark.parametrize("versioning", [False, None])
def test_buckets_without_versions_and_with_suspended_ones_are_emptied_too(
    s3_client: S3Client, bucket: Buckets, versioning: bool | None
) -> None:
    name = bucket(versioning=versioning is None)
    put(s3_client, name, "user-content/12/a")
    if versioning is None:
        s3_client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
        put(s3_client, name, "user-content/12/a", "user-content/12/a")
        s3_client.delete_object(Bucket=name, Key="user-content/12/a")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    assert not store.execute(plan, people, Gate()).blocked
    assert not everything(s3_client, name)


def test_a_bucket_without_content_plans_nothing(s3_client: S3Client, bucket: Buckets) -> None:
    from tests.stores.buckets import backup_map

    store = S3Store(backup_map(bucket()), s3_client)
    plan, people = planned(store, "12")
    assert (plan.groups, plan.matched) == ((), 0)
    assert store.execute(plan, people, Gate()).removed == {}
    assert store.probe(plan, people).clean


@pytest.mark.parametrize("endpoint", ["http://s3.example.org", "http://10.0.0.1:9000", "ftp://localhost"])
def test_plain_http_is_for_loopback_only(endpoint: str) -> None:
    from include.privacy.stores.s3 import s3_client

    with pytest.raises(ValueError, match="is refused"):
        s3_client(region="eu-central-1", endpoint_url=endpoint)
    assert s3_client(region="eu-central-1", endpoint_url="http://127.0.0.1:1").meta.endpoint_url
