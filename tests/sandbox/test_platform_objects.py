"""What the platform keeps in buckets, and the requests it sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from include.sandbox.platform import app
from include.sandbox.platform.backups import CAPTURED_AT, BackupReport, plan_sets, write_backups
from include.sandbox.platform.content import upload_content
from include.sandbox.platform.dumps import restore
from include.sandbox.platform.people import MARKERS
from include.sandbox.platform.seed import create_schema, digest, seed
from include.sandbox.postgres import find_binaries

if TYPE_CHECKING:
    from google.cloud.storage import Bucket
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from include.sandbox.world import World

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def platform(world: World) -> Iterator[tuple[str, str]]:
    names = [f"platform_{uuid4().hex[:10]}" for _ in range(2)]
    for name in names:
        world.postgres.create_database(name, "platform")
    accounts, practice = (world.dsn(name) for name in names)
    create_schema(accounts, practice)
    seed(accounts, practice, people=60, attempts_per_person=10, as_of=AS_OF)
    yield accounts, practice
    for name in names:
        world.postgres.drop_database(name)


def test_content_has_versions_delete_markers_and_only_prefixes_of_people(
    platform: tuple[str, str], s3_client: S3Client, bucket: Callable[..., str]
) -> None:
    name = bucket()
    report = upload_content(s3_client, name, platform[0], share=0.2)
    with psycopg.connect(platform[0]) as connection:
        known = {str(row[0]) for row in connection.execute("SELECT id FROM accounts")}
        leaving = {
            row[0] for row in connection.execute("SELECT id FROM accounts WHERE deleted_at IS NOT NULL")
        }
    versions, markers, prefixes = 0, 0, set()
    for page in s3_client.get_paginator("list_object_versions").paginate(Bucket=name):
        versions += len(page.get("Versions", []))
        markers += len(page.get("DeleteMarkers", []))
        prefixes |= {found["Key"].split("/")[1] for found in page.get("Versions", [])}
    assert (versions, markers) == (report.versions, report.delete_markers)
    assert versions > len(report.accounts) > 0
    assert markers > 0
    assert prefixes <= known
    assert leaving | {m.account_id for m in MARKERS} <= set(report.accounts)
    for marker in MARKERS:
        found = s3_client.list_object_versions(Bucket=name, Prefix=f"user-content/{marker.account_id}/")
        for version in found["Versions"]:
            body = s3_client.get_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])[
                "Body"
            ]
            text = body.read()
            assert marker.texts[0].encode() in text or marker.texts[0].encode() in text[::-1]


@pytest.fixture(scope="module")
def backups(platform: tuple[str, str], s3_client: S3Client) -> tuple[str, BackupReport]:
    from include.sandbox.objects import create_bucket

    name = create_bucket(s3_client, f"test-{uuid4().hex[:12]}")
    return name, write_backups(*platform, as_of=AS_OF, s3=s3_client, s3_bucket=name, every_days=30)


def test_every_archive_has_the_capture_time_in_at_least_one_place(
    backups: tuple[str, BackupReport], s3_client: S3Client
) -> None:
    name, report = backups
    for found in report.sets:
        key = f"{found.folder}{found.database}.dump"
        stated = set()
        versions = s3_client.list_object_versions(Bucket=name, Prefix=found.folder)["Versions"]
        archive = next(v for v in versions if v["Key"] == key)
        head = s3_client.head_object(Bucket=name, Key=key, VersionId=archive["VersionId"])
        stated |= {head["Metadata"].get(CAPTURED_AT)}
        if any(v["Key"].endswith("manifest.json") for v in versions):
            body = s3_client.get_object(Bucket=name, Key=f"{found.folder}manifest.json")["Body"].read()
            stated |= {json.loads(body)["captured_at"]}
        if found.trap == "manifest_lost":
            assert stated == {None}
            assert found.captured_at.strftime("%Y-%m-%d") in found.folder
        else:
            assert stated == {found.captured_at.isoformat()}


def test_the_sets_reach_from_the_oldest_to_yesterday_with_their_traps() -> None:
    sets = list(plan_sets(AS_OF, 200, 7, 1, traps=True))
    ages = sorted({(AS_OF - s.captured_at).days for s in sets})
    assert (ages[0], ages[-1]) == (1, 200)
    assert {s.trap for s in sets} - {None} == {
        "manifest_lost", "deleted_by_hand", "written_twice", "folder_without_date",
    }  # fmt: skip
    assert [s for s in plan_sets(AS_OF, 160, 7, 1, traps=False) if s.trap] == []


def test_the_bucket_has_a_hidden_archive_an_old_version_and_an_unfinished_upload(
    backups: tuple[str, BackupReport], s3_client: S3Client
) -> None:
    name, report = backups
    listing = s3_client.list_object_versions(Bucket=name)
    hidden = {marker["Key"] for marker in listing["DeleteMarkers"]}
    assert len(hidden) == 2
    twice = {f"{s.folder}{s.database}.dump" for s in report.sets if s.trap == "written_twice"}
    assert {v["Key"] for v in listing["Versions"] if not v["IsLatest"] and v["Key"] not in hidden} == twice
    uploads = {u["Key"] for u in s3_client.list_multipart_uploads(Bucket=name)["Uploads"]}
    assert uploads == set(report.unfinished_uploads)


def test_archives_are_restorable_and_hold_the_rows_of_the_platform(
    backups: tuple[str, BackupReport],
    platform: tuple[str, str],
    s3_client: S3Client,
    fresh_database: Callable[..., str],
    tmp_path: Path,
) -> None:
    name, report = backups
    for database, source in zip(("accounts", "practice"), platform, strict=True):
        newest = max((s for s in report.sets if s.database == database), key=lambda s: s.captured_at)
        archive = tmp_path / f"{database}.dump"
        s3_client.download_file(name, f"{newest.folder}{database}.dump", str(archive))
        target = fresh_database()
        restore(archive, target, find_binaries())
        assert digest(target) == digest(source)
        manifest = json.loads(
            s3_client.get_object(Bucket=name, Key=f"{newest.folder}manifest.json")["Body"].read()
        )
        assert manifest["excluded_data"] == []
        assert manifest["bytes"] == archive.stat().st_size


def test_an_older_archive_restores_without_what_its_manifest_leaves_out(
    backups: tuple[str, BackupReport],
    platform: tuple[str, str],
    s3_client: S3Client,
    fresh_database: Callable[..., str],
    tmp_path: Path,
) -> None:
    name, report = backups
    old = next(s for s in report.sets if s.database == "practice" and s.trap == "written_twice")
    archive = tmp_path / "old.dump"
    s3_client.download_file(name, f"{old.folder}practice.dump", str(archive))
    target = fresh_database()
    restore(archive, target, find_binaries())
    restored, live = digest(target), digest(platform[1])
    for table in ("attempts", "attempt_events", "access_log"):
        assert restored[table][0] == 0 < live[table][0]
    assert restored["comments"] == live["comments"]


def test_the_copy_in_google_cloud_has_the_same_sets(
    platform: tuple[str, str], gcs_bucket: Callable[..., Bucket]
) -> None:
    bucket = gcs_bucket()
    report = write_backups(*platform, as_of=AS_OF, gcs_bucket=bucket, oldest_days=170, every_days=60)
    live = {blob.name: blob for blob in bucket.list_blobs()}
    for found in report.sets:
        blob = live.get(f"{found.folder}{found.database}.dump")
        if found.trap == "deleted_by_hand":
            assert blob is None
        elif found.trap == "manifest_lost":
            assert blob is not None and CAPTURED_AT not in (blob.metadata or {})
        else:
            assert blob is not None
            assert blob.metadata[CAPTURED_AT] == found.captured_at.isoformat()
    assert len(list(bucket.list_blobs(versions=True))) > len(live)
    assert report.unfinished_uploads == ()


def test_a_click_is_one_row_and_one_doorbell_with_nothing_but_the_id(
    platform: tuple[str, str], sqs_client: SQSClient, queue_url: str
) -> None:
    marker = MARKERS[1]
    with psycopg.connect(platform[0]) as connection:
        request = app.request_erasure(connection, sqs_client, queue_url, marker.account_id, at=AS_OF)
    with psycopg.connect(platform[0]) as other:
        row = other.execute(
            'SELECT kind, account_id, "right", received_at, verified_at, verification, taken_at'
            " FROM privacy_inbox WHERE request_id = %s",
            (request,),
        ).fetchall()
    signed_in = {
        "method": "session",
        "strength": "password",
        "authenticated_at": str(row[0][5]["authenticated_at"]),
    }
    assert row == [("opened", marker.account_id, "erasure", AS_OF, AS_OF, signed_in, None)]
    assert datetime.fromisoformat(signed_in["authenticated_at"]) <= AS_OF, (
        "the session began before the click"
    )
    messages = sqs_client.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1)["Messages"]
    assert [json.loads(m["Body"]) for m in messages] == [{"request_id": request}]


def test_the_row_is_there_when_the_doorbell_is_not(
    platform: tuple[str, str], sqs_client: SQSClient, queue_url: str
) -> None:
    with psycopg.connect(platform[0]) as connection:
        request = app.request_erasure(connection, sqs_client, f"{queue_url}-gone", MARKERS[1].account_id)
        found = connection.execute("SELECT count(*) FROM privacy_inbox WHERE request_id = %s", (request,))
        assert found.fetchone() == (1,)


def test_a_request_by_mail_is_verified_later_or_withdrawn(platform: tuple[str, str]) -> None:
    with psycopg.connect(platform[0]) as connection:
        account = MARKERS[0].account_id
        request = app.open_request(connection, None, "", account, "erasure", channel="email", at=AS_OF)
        app.verify_request(connection, None, "", request, at=AS_OF + timedelta(days=1))
        app.withdraw_request(connection, None, "", request, at=AS_OF + timedelta(days=2))
        rows = connection.execute(
            "SELECT kind, verified_at, verification FROM privacy_inbox"
            " WHERE request_id = %s ORDER BY received_at",
            (request,),
        ).fetchall()
        assert rows == [
            ("opened", None, {}),
            ("verified", AS_OF + timedelta(days=1), {"method": "one_time_token"}),
            ("withdrawn", None, {}),
        ]
        with pytest.raises(LookupError, match="never opened"):
            app.withdraw_request(connection, None, "", str(uuid4()))


def test_answers_are_delivered_once(platform: tuple[str, str]) -> None:
    request = uuid4()
    with psycopg.connect(platform[0]) as connection:
        connection.execute(
            "INSERT INTO privacy_outbox (request_id, kind, body)"
            " VALUES (%s, 'erasure_completed', '{\"letter\": 1}')",
            (request,),
        )
        expected = {"request_id": str(request), "kind": "erasure_completed", "body": {"letter": 1}}
        assert expected in app.deliver_answers(connection)
        assert expected not in app.deliver_answers(connection)
