"""The log leaves the ledger's reach every day, and whatever was done to it in between is an alarm."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.privacy.evidence import connecting, publishing
from include.privacy.runtime import Runtime, runtime, use_runtime
from include.privacy.stores.evidence_bucket import EvidenceBucket
from include.privacy.stores.objects.model import BucketError
from include.sandbox.evidence import fetch
from include.sandbox.evidence import verify as verify_apart
from include.tools import verify_evidence as verifier
from tests.runs.conftest import BACKUPS, EVIDENCE, Estate

pytestmark = pytest.mark.timeout(150)
DAG = "publish_evidence"


@pytest.fixture(autouse=True)
def own_log(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test's ledger is a log of its own: one bucket serves all."""
    origin = f"practice-engine.example/{estate.ledger.engine.url.database}".replace("_", "-")
    config = runtime().config()
    assert config.evidence is not None
    evidence = config.evidence.model_copy(update={"origin": origin})
    monkeypatch.setattr(connecting, "settings", lambda: evidence)
    monkeypatch.setattr("include.privacy.evidence.statement.settings", lambda: evidence)
    return origin


def bucket_copy(s3_client: Any, origin: str, folder: Path) -> Path:
    return fetch(s3_client, EVIDENCE, origin, folder)


def verify(folder: Path) -> list[str]:
    return verifier.verify_export(folder, [verifier.Key.read(connecting.signer().verifier_key)]).findings


def published_size(estate: Estate) -> int:
    return int(estate.ledger.evidence(kind="checkpoint_published")[-1].body["size"])


def publish(estate: Estate, key: str) -> dict[str, Any]:
    """The task alone, in a run of its own."""
    run = estate.ledger.open_run(DAG, key, estate.as_of, False, "1", "d")
    return publishing.publish_log(str(run))


def as_owner(estate: Estate, *statements: str) -> None:
    name = estate.ledger.engine.url.database
    with psycopg.connect(estate.world.dsn(str(name)), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no trigger stops the owner
        for each in statements:
            connection.execute(each.encode())


@pytest.mark.whole_dag
def test_what_is_published_is_locked_and_anybody_can_verify_it(
    estate: Estate, s3_client: Any, own_log: str, tmp_path: Path
) -> None:
    estate.whole = False
    assert estate.run(DAG, {"dry_run": True}).state == "success"
    assert bucket_copy(s3_client, own_log, tmp_path / "none").exists() is False
    assert estate.run(DAG).state == "success"
    estate.whole = True
    assert estate.run(DAG, as_of=estate.as_of + timedelta(days=1)).state == "success"

    folder = bucket_copy(s3_client, own_log, tmp_path / "copy")
    notes = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert len(notes) == 2
    assert len(list((folder / "segments").iterdir())) == 2
    assert verify(folder) == []
    assert verify_apart(folder, connecting.signer().verifier_key) == (
        True,
        f"{published_size(estate)} entries, 0 findings",
    )
    head = s3_client.head_object(Bucket=EVIDENCE, Key=f"{own_log}/checkpoints/{notes[0]}")
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert (head["ObjectLockRetainUntilDate"] - head["LastModified"]).days >= 3649
    [one, two] = estate.ledger.evidence(kind="checkpoint_published")
    assert two.body["new"] == two.body["size"] - one.body["size"] > 0

    # The report lies beside it, says where, and names nobody.
    as_of, location, report = estate.ledger.newest_report() or (None, "", {})
    assert as_of == estate.as_of + timedelta(days=1)
    assert location.startswith(f"s3://{EVIDENCE}/{own_log}/reports/")
    pages = sorted((folder / "reports").glob("*.html"))
    page = pages[-1].read_text()
    assert location.endswith(pages[-1].name)
    assert json.loads(pages[-1].with_suffix(".json").read_text()) == report
    figures = {each["name"]: each for each in report["figures"]}
    assert figures["backup_ages"]["rows"] and figures["accounts"]["rows"], report["unavailable"]
    assert sum(row[1] for row in figures["accounts"]["rows"]) == estate.value(
        "accounts", "SELECT count(*) FROM accounts WHERE deleted_at <= %s", as_of
    )
    assert page.count("<svg") == 2, "no request has come yet, and a picture of nothing is none"
    assert "<script" not in page and "There has never been evidence." in page
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        people = accounts.execute("SELECT email, full_name FROM accounts").fetchall()
    assert not [email for email, name in people if email in page or name in page]


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["UPDATE ledger.evidence SET body = '{}' WHERE id = 2"], ["evidence, 2, was changed"]),
        (["DELETE FROM ledger.evidence WHERE id = 2"], ["evidence, 2, is gone"]),
        (
            [
                "DELETE FROM ledger.evidence WHERE id > 1",
                "DELETE FROM ledger.evidence_leaf WHERE idx > 0",
                "UPDATE ledger.evidence_settled SET evidence_id = 0",
            ],
            ["were published and are not in the ledger", "forked"],
        ),
        (["INSERT INTO ledger.evidence (kind, body, at) VALUES ('x', '{}', '2026-01-01Z')"], ["back-dated"]),
    ],
    ids=["changed", "dropped", "restored", "back-dated"],
)
def test_a_ledger_that_is_not_what_was_published_is_a_breach(
    estate: Estate, s3_client: Any, own_log: str, tmp_path: Path, statements: list[str], told: list[str]
) -> None:
    for n in range(2):
        publish(estate, f"before {n}")
    as_owner(estate, *statements)
    with pytest.raises(publishing.EvidenceBrokenError):
        publish(estate, "after")
    [breach] = estate.ledger.open_breaches()
    assert breach.rule == "evidence_log" and any(each in breach.note for each in told), breach.note
    folder = bucket_copy(s3_client, own_log, tmp_path)
    assert len(list((folder / "checkpoints").iterdir())) == 2, "nothing more is published"
    assert verify(folder) == []


def test_a_checkpoint_that_somebody_else_puts_there_is_found_and_hides_nothing(
    estate: Estate, s3_client: Any, own_log: str
) -> None:
    facts = publish(estate, "one")
    key = f"{own_log}/checkpoints/{facts['size']:012d}.note"
    # A newer version changes nothing: the first one counts.
    s3_client.put_object(Bucket=EVIDENCE, Key=key, Body=b"forged")
    assert publish(estate, "two")["new"] > 0
    s3_client.put_object(Bucket=EVIDENCE, Key=f"{own_log}/checkpoints/900000000000.note", Body=b"forged")
    with pytest.raises(publishing.EvidenceBrokenError, match="cannot be relied on"):
        publish(estate, "three")
    assert [b.rule for b in estate.ledger.open_breaches()] == ["evidence_log"]


def test_another_key_signs_on_once_the_old_one_is_listed(
    estate: Estate, s3_client: Any, own_log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(estate, "one")
    old = connecting.signer().verifier_key
    password = base64.b64encode(bytes(range(32))).decode()
    monkeypatch.setenv(
        "AIRFLOW_CONN_PRIVACY_EVIDENCE_KEY", json.dumps({"conn_type": "generic", "password": password})
    )
    with use_runtime(Runtime()) as fresh:
        with pytest.raises(publishing.EvidenceBrokenError, match="signed by no key"):
            publish(estate, "two")
        config = connecting.settings().model_copy(update={"public_keys": (old,)})
        monkeypatch.setattr(connecting, "settings", lambda: config)
        publish(estate, "three")
        assert estate.ledger.open_breaches() == []
        folder = bucket_copy(s3_client, own_log, tmp_path)
        keys = [verifier.Key.read(each) for each in connecting.verifier_keys()]
        assert verifier.verify_export(folder, keys).findings == []
        fresh.close()


def test_a_publication_that_broke_off_is_finished_by_the_next(
    estate: Estate, s3_client: Any, own_log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = EvidenceBucket.put

    def break_off(self: EvidenceBucket, key: str, *rest: Any, **options: Any) -> bool:
        if key.startswith("checkpoints/"):
            raise BucketError("the network is gone")
        return put(self, key, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(EvidenceBucket, "put", break_off)
        with pytest.raises(BucketError, match="network"):
            publish(estate, "one")
    publish(estate, "two")
    publish(estate, "two")  # a retry of the same task
    folder = bucket_copy(s3_client, own_log, tmp_path)
    assert verify(folder) == []


def test_a_bucket_without_object_lock_is_refused(
    estate: Estate, own_log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = connecting.settings().model_copy(update={"bucket": BACKUPS})
    monkeypatch.setattr(connecting, "settings", lambda: config)
    with pytest.raises(BucketError, match="has no Object Lock"):
        publish(estate, "one")
