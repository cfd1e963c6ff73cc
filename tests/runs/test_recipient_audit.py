"""The audit of recipients: each new way out is an alarm that names its promise, until it is closed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from include.sandbox import objects
from include.sandbox.platform import clouds
from include.sandbox.processors import GOOGLE_CLOUD, RDS
from include.sandbox.processors.control import ProcessorControl
from tests.runs.conftest import BACKUPS, CONTENT, COPY, Estate

pytestmark = pytest.mark.timeout(150)
DAG = "audit_recipients"
JOBS = ("platform_recommender", "platform_analytics", "platform_marketing")


@pytest.fixture
def closed(estate: Estate) -> Iterator[Estate]:
    """The estate as a platform should be: databases not open to every role, snapshots and logs in place."""
    world = estate.world
    names = {
        estate.platform.accounts: ("platform", "privacy_dags", *JOBS),
        estate.platform.practice: ("platform", "privacy_dags", *JOBS),
        json.loads(os.environ["AIRFLOW_CONN_PRIVACY_LEDGER"])["schema"]: ("ledger_owner", "privacy_dags"),
    }
    with psycopg.connect(world.dsn("postgres"), autocommit=True) as connection:
        for name, roles in names.items():
            database = sql.Identifier(name)
            connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database))
            for role in roles:
                grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
                connection.execute(grant.format(database, sql.Identifier(role)))
    clouds.fill(world, estate.as_of)
    return estate


def _alarms(estate: Estate) -> dict[str, str]:
    alarms: dict[str, str] = estate.ledger.latest_run("recipient_audit").summary["alarms"]
    return alarms


def _open(estate: Estate) -> dict[tuple[str, str], int]:
    return {(b.rule, b.store): b.count for b in estate.ledger.open_breaches()}


def test_the_shipped_lists_fit_the_platform_as_it_is(closed: Estate) -> None:
    run = closed.run(DAG)
    summary = closed.ledger.latest_run("recipient_audit").summary
    assert run.state == "success", summary
    assert summary["looked_at"] >= 10
    assert summary["found"] == {}
    assert _open(closed) == {}


def test_every_new_way_out_is_an_alarm_and_closing_it_ends_the_alarm(
    closed: Estate, s3_client: Any, gcs_client: Any
) -> None:
    world, accounts = closed.world, closed.platform.dsn("accounts")
    rds, google = (ProcessorControl(world.processor_endpoints[name]) for name in (RDS, GOOGLE_CLOUD))
    logs = objects.logs_client(world.s3_endpoint)
    foreign = {"AWS": "arn:aws:iam::999999999999:user/jane.doe"}
    statements = [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{CONTENT}/*",
        },
        {"Effect": "Allow", "Principal": foreign, "Action": "s3:*", "Resource": f"arn:aws:s3:::{CONTENT}/*"},
    ]
    s3_client.put_bucket_policy(
        Bucket=CONTENT, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    s3_client.delete_public_access_block(Bucket=BACKUPS)
    copy = gcs_client.get_bucket(COPY)
    policy = copy.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:jane.doe@example.org"}})
    copy.set_iam_policy(policy)
    with psycopg.connect(accounts, autocommit=True) as connection:
        connection.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        connection.execute("CREATE EXTENSION postgres_fdw")
        connection.execute("CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw")
        connection.execute('CREATE ROLE "jane.doe" LOGIN BYPASSRLS')
        connection.execute(
            sql.SQL('GRANT CONNECT ON DATABASE {} TO "jane.doe"').format(
                sql.Identifier(closed.platform.accounts)
            )
        )
    rds.configure(share={f"{clouds.ACCOUNTS}-before-8": ["all"]})
    logs.create_log_group(logGroupName="/practice-engine/forgotten")
    google.configure(sinks={"export": {"destination": "bigquery.googleapis.com/projects/x/datasets/y"}})
    expected = {
        ("P3.2 public_bucket", "user_content"): 1,
        ("P3.2 foreign_account", "user_content"): 1,
        ("P3.2 public_access_not_blocked", "backups_s3"): 1,
        ("P3.2 unknown_principal", "backups_gcs"): 1,
        ("P3.2 unknown_publication", "accounts"): 1,
        ("P3.2 unknown_extension", "accounts"): 1,
        ("P3.2 unknown_foreign_server", "accounts"): 1,
        ("P3.2 unknown_role", "accounts"): 1,
        ("P3.2 privileged_role", "accounts"): 1,
        ("P3.2 public_snapshot", "snapshots_rds"): 1,
        ("P2.4 logs_kept_too_long", "cloudwatch"): 1,
        ("P3.2 unknown_log_destination", "cloud_logging"): 1,
    }
    try:
        dry = closed.run(DAG, {"dry_run": True})
        assert dry.state == "success"
        assert closed.ledger.latest_run("recipient_audit").summary["found"]["public_bucket"] == 1
        assert _open(closed) == {}

        run = closed.run(DAG, as_of=closed.as_of + timedelta(minutes=1))

        assert run.state == "failed"
        assert _open(closed) == expected
        alarms = _alarms(closed)
        assert "lets everybody in" in alarms["P3.2 public_bucket in user_content"]
        assert "account 999999999999" in alarms["P3.2 foreign_account in user_content"]
        assert "publication everything: drop it" in alarms["P3.2 unknown_publication in accounts"]
        assert "jane" not in json.dumps(alarms)
        assert "[redacted]" not in json.dumps(alarms)

        closed.run(DAG, as_of=closed.as_of + timedelta(minutes=2))
        assert _open(closed) == expected
    finally:
        s3_client.delete_bucket_policy(Bucket=CONTENT)
        objects.block_public_access(s3_client, BACKUPS)
        policy = copy.get_iam_policy(requested_policy_version=3)
        policy.bindings = [b for b in policy.bindings if b["role"] != "roles/storage.objectViewer"]
        copy.set_iam_policy(policy)
        with psycopg.connect(accounts, autocommit=True) as connection:
            connection.execute("DROP PUBLICATION everything")
            connection.execute("DROP EXTENSION postgres_fdw CASCADE")
            connection.execute(
                sql.SQL('REVOKE CONNECT ON DATABASE {} FROM "jane.doe"').format(
                    sql.Identifier(closed.platform.accounts)
                )
            )
            connection.execute('DROP ROLE "jane.doe"')
        rds.configure(share={f"{clouds.ACCOUNTS}-before-8": []})
        logs.delete_log_group(logGroupName="/practice-engine/forgotten")
        google.configure(sinks={})

    after = closed.run(DAG, as_of=closed.as_of + timedelta(minutes=3))
    assert after.state == "success", _alarms(closed)
    assert _open(closed) == {}


def test_a_place_that_cannot_be_looked_at_is_red_and_its_alarm_stays(
    closed: Estate, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_client.delete_public_access_block(Bucket=BACKUPS)
    try:
        assert closed.run(DAG).state == "failed"
    finally:
        objects.block_public_access(s3_client, BACKUPS)
    there = json.loads(closed.world.env["AIRFLOW_CONN_BACKUPS_S3"])
    nobody = there | {"extra": there["extra"] | {"endpoint_url": "http://127.0.0.1:9"}}
    monkeypatch.setenv("AIRFLOW_CONN_BACKUPS_S3", json.dumps(nobody))
    from include.privacy import runtime

    with runtime.use_runtime(runtime.Runtime()) as fresh:
        run = closed.run(DAG, as_of=closed.as_of + timedelta(minutes=1))
        fresh.ledger().close()

    assert run.state == "failed"
    summary = closed.ledger.latest_run("recipient_audit").summary
    assert any("1 of" in line and "could not be looked at" in line for line in summary["red"])
    assert list(_open(closed)) == [("P3.2 public_access_not_blocked", "backups_s3")]
