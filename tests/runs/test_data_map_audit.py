"""The audit of the data map: what the map does not know is an alarm, until it is mapped or gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.runs.conftest import CONTENT, Estate

pytestmark = pytest.mark.timeout(150)
DAG = "audit_data_map"
LEAKED = [f"jane.doe{n}@example.org" for n in range(8)]


def _open(estate: Estate) -> dict[tuple[str, str], int]:
    return {(b.rule, b.store): b.count for b in estate.ledger.open_breaches()}


def _summary(estate: Estate) -> dict[str, Any]:
    summary: dict[str, Any] = estate.ledger.latest_run("data_map_audit").summary
    return summary


def _do(estate: Estate, store: str, *statements: str, values: list[Any] | None = None) -> None:
    with psycopg.connect(estate.platform.dsn(store), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode(), values)


@pytest.fixture
def leaks(estate: Estate, s3_client: Any) -> Iterator[Estate]:
    """What somebody did one evening: a table, a column, a key, a schema, an export, addresses in a title."""
    _do(
        estate,
        "accounts",
        "CREATE TABLE campaign (id bigserial PRIMARY KEY, mailchimp_id text, sent_to text)",
        "GRANT SELECT ON campaign TO privacy_dags",
        "ALTER TABLE consents ADD COLUMN nickname text",
        "ALTER TABLE invoice_lines ADD COLUMN bought_by bigint REFERENCES accounts (id)",
        "CREATE SCHEMA crm",
        "CREATE TABLE crm.leads (id int)",
    )
    _do(estate, "accounts", "INSERT INTO campaign (sent_to) SELECT unnest(%s::text[])", values=[LEAKED])
    _do(
        estate,
        "practice",
        "INSERT INTO skills (id, name)"
        " SELECT 900 + n, 'ask ' || a FROM unnest(%s::text[]) WITH ORDINALITY x(a, n)",
        values=[LEAKED],
    )
    keys = ["exports/all.csv", "jane.doe@example.org/a.txt"]
    for key in keys:
        s3_client.put_object(Bucket=CONTENT, Key=key, Body="\n".join(LEAKED).encode())
    yield estate
    for key in keys:
        for found in s3_client.list_object_versions(Bucket=CONTENT, Prefix=key)["Versions"]:
            s3_client.delete_object(Bucket=CONTENT, Key=key, VersionId=found["VersionId"])


EXPECTED = {
    ("P2.4 unknown_table", "accounts"): 1,
    ("P2.4 unknown_processor", "accounts"): 1,
    ("P2.1 personal_content", "accounts"): 1,
    ("P2.4 unknown_column", "accounts"): 2,
    ("P2.4 unmapped_foreign_key", "accounts"): 1,
    ("P2.4 unknown_schema", "accounts"): 1,
    ("P2.1 personal_content", "practice"): 1,
    ("P5.3 unknown_prefix", "user_content"): 2,
    ("P2.1 personal_content", "user_content"): 2,
}


def _mend(estate: Estate, s3_client: Any) -> None:
    _do(
        estate,
        "accounts",
        "DROP TABLE campaign",
        "ALTER TABLE consents DROP COLUMN nickname",
        "ALTER TABLE invoice_lines DROP COLUMN bought_by",
        "DROP SCHEMA crm CASCADE",
    )
    _do(estate, "practice", "DELETE FROM skills WHERE id >= 900")


@pytest.mark.whole_dag
def test_the_shipped_map_fits_the_platform_as_it_is(estate: Estate) -> None:
    run = estate.run(DAG)
    assert run.state == "success", _summary(estate)
    summary = _summary(estate)
    assert summary["looked_at"] == 11
    assert summary["values_sampled"] > 3000
    assert summary["found"] == {}
    assert _open(estate) == {}


def test_what_the_map_does_not_know_is_an_alarm_and_mending_it_ends_the_alarm(
    leaks: Estate, s3_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    dry = leaks.run(DAG, {"dry_run": True})
    assert dry.state == "success"
    assert _summary(leaks)["found"]["personal_content"] == 4
    assert _open(leaks) == {} and leaks.ledger.evidence(kind="data_map_catalogue") == []

    for minutes in (1, 2):
        run = leaks.run(DAG, as_of=leaks.as_of + timedelta(minutes=minutes))
        assert run.state == "failed"
        assert _open(leaks) == EXPECTED
    alarms = _summary(leaks)["alarms"]
    assert "8 of 8 values looked at in campaign.sent_to look like e-mail addresses" in str(alarms)
    assert "called after mailchimp" in alarms["P2.4 unknown_processor in accounts"]
    written = json.dumps([alarms, [row.body for row in leaks.ledger.evidence()]], default=str) + caplog.text
    assert "jane" not in written and "[redacted]" not in written

    _mend(leaks, s3_client)
    after = leaks.run(DAG, as_of=leaks.as_of + timedelta(minutes=3))
    assert {store for _, store in _open(leaks)} == {"user_content"}, "its objects are still there"
    assert after.state == "failed"


def test_a_type_that_changes_is_an_alarm_until_the_map_is_touched(estate: Estate) -> None:
    assert estate.run(DAG).state == "success"
    _do(estate, "accounts", "ALTER TABLE subscriptions ALTER status TYPE varchar(20)")
    for minutes in (1, 2):
        assert estate.run(DAG, as_of=estate.as_of + timedelta(minutes=minutes)).state == "failed"
        assert _open(estate) == {("P2.1 changed_type", "accounts"): 1}, "it does not end by being seen"
    note = _summary(estate)["alarms"]["P2.1 changed_type in accounts"]
    assert "subscriptions.status was text when the map was written, and is character varying(20)" in note

    from include.privacy.runtime import runtime

    config = runtime().config()
    accounts = config.data_map["accounts"]
    touched = accounts.model_copy(update={"description": "Looked through."})
    stores = tuple(touched if s is accounts else s for s in config.data_map.stores)
    object.__setattr__(config, "data_map", config.data_map.model_copy(update={"stores": stores}))
    assert estate.run(DAG, as_of=estate.as_of + timedelta(minutes=3)).state == "success"
    assert _open(estate) == {}


def test_what_cannot_be_looked_at_is_red_and_its_alarms_stay(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    _do(estate, "practice", "UPDATE skills SET name = 'ask anybody' || id || '@example.org'")
    assert estate.run(DAG).state == "failed"
    alarm = {("P2.1 personal_content", "practice"): 1}
    assert _open(estate) == alarm
    _do(estate, "practice", "UPDATE skills SET name = 'skill ' || id")

    # A table that may not be read: the rest is looked at, and nothing is taken for mended.
    _do(estate, "practice", "REVOKE ALL ON exercises, skills FROM privacy_dags")
    run = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=1))
    assert estate.states(run)["look_at_map"].count("failed") == 1
    assert any("1 of 11 places could not be looked at" in line for line in _summary(estate)["red"])
    assert alarm.items() <= _open(estate).items()

    # A database that is not there.
    there = json.loads(estate.world.env["AIRFLOW_CONN_PRACTICE_DB"])
    monkeypatch.setenv("AIRFLOW_CONN_PRACTICE_DB", json.dumps(there | {"port": 9}))
    from include.privacy import runtime

    with runtime.use_runtime(runtime.Runtime()) as fresh:
        run = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=2))
        fresh.close()
    assert run.state == "failed"
    assert alarm.items() <= _open(estate).items()
