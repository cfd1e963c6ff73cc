"""The audit of controls on the embedded world: all is well as shipped, and what breaks is an alarm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from include.privacy.audits.controls import report
from include.privacy.steps import runs
from include.privacy.stores.aws import aws_client
from include.sandbox import objects
from include.sandbox.platform import clouds
from include.sandbox.processors import AWS_SECURITY, GOOGLE_CLOUD, RDS
from include.sandbox.processors.control import ProcessorControl
from tests.runs.conftest import ARCHIVES, Estate

pytestmark = pytest.mark.timeout(150)
DAG = "audit_controls"
CONTROLS = {
    "P2.1 credential_hashes", "P4.5 second_copy", "P7.1 tls_version", "P7.2 encrypted_archive",
    "P7.2 encrypted_bucket", "P7.2 encrypted_database", "P7.2 encrypted_queue", "P7.2 rotated_key",
    "P7.2 sealed_ledger", "P7.3 administrator_mfa", "P7.3 airflow_login", "P7.3 aws_console_mfa",
    "P7.4 third_party_audit", "P7.5 cloudtrail", "P7.5 google_audit_logs", "P7.5 guardduty",
}  # fmt: skip


@pytest.fixture
def guarded(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    """The estate with what a platform has beside its stores, and Airflow on this machine only."""
    monkeypatch.setenv("AIRFLOW__API__HOST", "127.0.0.1")
    objects.create_key(estate.world.s3_endpoint)
    clouds.fill(estate.world, estate.as_of)
    security = ProcessorControl(estate.world.processor_endpoints[AWS_SECURITY])
    before = security.state()
    yield estate
    security.configure(**before)
    ProcessorControl(estate.world.processor_endpoints[RDS]).configure(forget=True)
    ProcessorControl(estate.world.processor_endpoints[GOOGLE_CLOUD]).configure(
        forget=True, audit={"activity": "now", "data_access": "now"}, denied=[]
    )


def _open(estate: Estate) -> set[tuple[str, str]]:
    return {(b.rule, b.store) for b in estate.ledger.open_breaches()}


def _summary(estate: Estate) -> dict[str, Any]:
    summary: dict[str, Any] = estate.ledger.latest_run("control_audit").summary
    return summary


@pytest.mark.whole_dag
def test_every_control_holds_or_is_exempt_on_the_platform_as_it_is(guarded: Estate) -> None:
    run = guarded.run(DAG)
    summary = _summary(guarded)
    assert run.state == "success", json.dumps(summary, indent=1)
    assert _open(guarded) == set()
    assert {name.partition(" in ")[0] for name in summary["controls"]} == CONTROLS
    assert set(summary["verdicts"]) == {"holds", "exempt"}
    told = summary["controls"]
    assert told["P7.1 tls_version in accounts"] == "exempt: on this machine"
    assert told["P4.5 second_copy in accounts"].startswith(
        "holds: young backups are in AWS eu-central-1, Goo"
    )
    assert (
        told["P7.3 administrator_mfa in accounts.admin_users"]
        == "holds: all 5 administrators have a second factor"
    )
    rows = guarded.ledger.evidence(kind="control")
    assert len(rows) == len(told)
    assert {row.body["verdict"] for row in rows} == {"holds", "exempt"}


def test_each_control_that_breaks_is_an_alarm_until_it_is_put_right(
    guarded: Estate, s3_client: Any, sqs_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, accounts = guarded.world, guarded.platform.dsn("accounts")
    rds, google, security = (
        ProcessorControl(world.processor_endpoints[name]) for name in (RDS, GOOGLE_CLOUD, AWS_SECURITY)
    )
    kms = aws_client(
        "kms", region=objects.REGION, endpoint_url=world.s3_endpoint, access_key="a", secret_key="b"
    )
    archive_key = kms.describe_key(KeyId=objects.ARCHIVE_KEY)["KeyMetadata"]["KeyId"]
    kms.disable_key_rotation(KeyId=archive_key)
    was, key = security.state(), f"archives/{uuid4()}/archive.zip"
    security.configure(
        users={"jane.doe": {"password": True, "mfa": False}},
        detectors={"d": "DISABLED"},
        trails={"t": {"logging": True, "every_region": True, "delivered": 1.0, "error": ""}},
    )
    google.configure(audit={"activity": "2026-11-01T00:00:00Z", "data_access": None})
    rds.configure(unencrypted=[clouds.ACCOUNTS])
    s3_client.put_object(
        Bucket=ARCHIVES, Key=key, Body=b"PK\x03\x04 in the clear", ServerSideEncryption="AES256"
    )
    queue = {"SqsManagedSseEnabled": "false"}
    sqs_client.set_queue_attributes(QueueUrl=world.queue_url, Attributes=queue)
    with psycopg.connect(accounts, autocommit=True) as connection:
        connection.execute("ALTER TABLE credentials DROP CONSTRAINT credentials_password_hash_check")
        connection.execute("UPDATE credentials SET password_hash = md5('secret') WHERE account_id % 10 = 0")
        connection.execute("UPDATE admin_users SET mfa_method = NULL WHERE id = 1")
    monkeypatch.setenv("AIRFLOW__API__HOST", "0.0.0.0")
    expected = {
        ("P2.1 credential_hashes", "accounts.credentials.password_hash"),
        ("P7.2 encrypted_archive", "archives archives/"),
        ("P7.2 encrypted_database", "snapshots_rds"),
        ("P7.2 encrypted_queue", "request_queue"),
        ("P7.2 rotated_key", "key of archives"),
        ("P7.3 administrator_mfa", "accounts.admin_users"),
        ("P7.3 airflow_login", "airflow"),
        ("P7.3 aws_console_mfa", "aws_iam"),
        ("P7.5 cloudtrail", "aws_cloudtrail"),
        ("P7.5 google_audit_logs", "google_cloud_logging"),
        ("P7.5 guardduty", "aws_guardduty"),
    }
    try:
        assert guarded.run(DAG, {"dry_run": True}).state == "success"
        assert _open(guarded) == set()
        assert len(_summary(guarded)["red"]) == len(expected)

        assert guarded.run(DAG, as_of=guarded.as_of + timedelta(minutes=1)).state == "failed"
        assert _open(guarded) == expected
        told = json.dumps(_summary(guarded))
        assert "1 of 1 console users" in told
        assert "a fast hash (md5" in told
        assert "jane" not in told and "[redacted]" not in told
    finally:
        security.configure(**was)
        google.configure(audit={"activity": "now", "data_access": None})
        rds.configure(unencrypted=[])
        kms.enable_key_rotation(KeyId=archive_key)
        objects.empty_bucket(s3_client, ARCHIVES)
        sqs_client.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"SqsManagedSseEnabled": "true"})
        with psycopg.connect(accounts, autocommit=True) as connection:
            connection.execute(
                "UPDATE credentials SET password_hash = (SELECT password_hash FROM admin_users LIMIT 1)"
            )
            connection.execute("UPDATE admin_users SET mfa_method = 'totp' WHERE id = 1")
        monkeypatch.setenv("AIRFLOW__API__HOST", "127.0.0.1")

    # What cannot be told is red as well, and ends no alarm; an old backup breaks the promise of copies.
    security.configure(denied=["ListDetectors", "DescribeTrails", "GenerateCredentialReport"])
    google.configure(denied=["/v2/entries:list"])
    late = guarded.as_of + timedelta(days=3)
    assert guarded.run(DAG, as_of=late).state == "failed"
    unknown = {rule for rule, _ in expected if "P7.5" in rule or "console" in rule}
    copies = {("P4.5 second_copy", name) for name in ("accounts", "practice")}
    assert _open(guarded) == {pair for pair in expected if pair[0] in unknown} | copies
    assert "grant guardduty:ListDetectors" in json.dumps(_summary(guarded)["red"])

    security.configure(**was)
    google.configure(denied=[])
    again = guarded.run(DAG, as_of=guarded.as_of + timedelta(minutes=2))
    assert again.state == "success", _summary(guarded)["red"]
    assert _open(guarded) == set()


def test_a_group_that_was_not_looked_at_is_red_and_a_place_that_is_no_more_ends_its_alarm(
    estate: Estate,
) -> None:
    def opened(name: str) -> str:
        return runs.open_run("control_audit", dag_run=SimpleNamespace(
            dag_id=DAG, run_id=name, run_after=estate.as_of))  # fmt: skip

    first = opened("first")
    estate.ledger.record_breach(UUID(first), "P7.5 guardduty", "an_account_sold", 1, None, "broken")
    estate.ledger.record_breach(UUID(first), "P4.2", "accounts", 1, None, "not ours")
    with pytest.raises(report.ControlError, match="1 of 2 groups could not be looked at"):
        report.report(first, [{"group": "tls"}, {"group": "keys"}], [{"holds": 1}])
    assert _open(estate) == {("P7.5 guardduty", "an_account_sold"), ("P4.2", "accounts")}
    assert report.report(opened("second"), [{"group": "tls"}], [{}]) == {}
    assert _open(estate) == {("P4.2", "accounts")}
    with pytest.raises(report.ControlError, match="all of 0 groups"):
        report.report(opened("third"))
