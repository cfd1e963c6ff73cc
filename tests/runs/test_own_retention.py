"""What this project itself keeps: expired by one DAG, counted, and on record."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from include.privacy.retention import own_airflow
from include.privacy.retention.own import SEEN
from tests.runs.conftest import HOME, Estate

pytestmark = pytest.mark.timeout(300)


def test_the_ledger_airflow_and_the_working_tables_are_rid_of_what_is_old(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.planning.models import Member

    logs = HOME / "logs" / "dag_id=old"
    logs.mkdir(parents=True, exist_ok=True)
    old, young, other = logs / "attempt=1.log", logs / "attempt=2.log", logs / "notes.txt"
    for path in (old, young, other):
        path.write_text("x")
    past = (estate.as_of - timedelta(days=120)).timestamp()
    for path in (old, other):
        os.utime(path, (past, past))
    cohort = estate.ledger.freeze_cohort(
        [Member("1", {"email": ("a@example.org",)})],
        "t",
        estate.ledger.open_run("t", uuid4().hex, estate.as_of, False, "1", "d"),
    )
    estate.ledger.write_tombstones(cohort, estate.as_of + timedelta(days=10), estate.as_of)
    abandoned = uuid4()
    with psycopg.connect(estate.platform.dsn("practice", "privacy_dags")) as practice:
        practice.execute(f"CREATE TABLE privacy_work.cohort_{abandoned.hex} (ordinal int)")  # type: ignore[arg-type]
    work = "SELECT count(*) FROM pg_tables WHERE schemaname = 'privacy_work' AND tablename LIKE 'cohort_%%'"

    def own(day: int, **conf: object) -> dict[str, object]:
        done = estate.run("enforce_own_retention", conf, as_of=estate.as_of + timedelta(days=day))
        assert done.state == "success", estate.states(done)
        row = estate.ledger.latest_run("own_retention")
        assert row is not None and row.summary is not None
        return dict(row.summary)

    dry = own(20, dry_run=True)
    assert dry["records"]["tombstones"] == 2 and dry["airflow_logs"]["files"] >= 1  # type: ignore[index]
    assert old.exists() and estate.ledger.match_tombstones("subject", ["1"])
    # Airflow's own command is slow to start; one run with it is enough.
    with monkeypatch.context() as patch:
        patch.setattr(own_airflow, "_airflow", lambda *_: "")
        live = own(20)
    assert live["records"] == dry["records"]
    assert not estate.ledger.match_tombstones("subject", ["1"])
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)
    # A working table that nobody knows is only seen at first; a probe may be using it.
    assert live["work_tables"] == {"dropped": 0, "seen": 1} and estate.value("practice", work) == 1
    with monkeypatch.context() as patch:
        patch.setattr(own_airflow, "_airflow", lambda *_: "")
        assert own(21)["work_tables"] == {"dropped": 1, "seen": 0}
        assert estate.value("practice", work) == 0
        again = own(22)
    assert not any(again["records"].values()) and again["work_tables"] == {"dropped": 0, "seen": 0}  # type: ignore[attr-defined]
    assert len(estate.ledger.evidence(kind="own_retention")) == 3
    assert [len(e.body["owners"]) for e in estate.ledger.evidence(kind=SEEN)] == [1, 0]


def test_a_part_that_fails_stops_no_other_and_is_named(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(own_airflow.SETTING, f"{own_airflow.BLOCKED}:///")
    monkeypatch.delenv("AIRFLOW_CONN_AIRFLOW_METADATA")
    done = estate.run("enforce_own_retention")
    states = estate.states(done)
    assert done.state == "failed"
    assert states["prune_metadata"] == ["failed"]
    assert states["expire_records"] == states["prune_logs"] == ["success"]
    row = estate.ledger.latest_run("own_retention")
    assert row is not None and row.summary is not None
    assert row.summary["undone"] == ["airflow_metadata"]


def test_links_and_what_is_no_log_stay(tmp_path: Path, estate: Estate) -> None:
    elsewhere = tmp_path / "elsewhere" / "a.log"
    elsewhere.parent.mkdir()
    elsewhere.write_text("x")
    folder = tmp_path / "logs"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "a.log").write_text("xx")
    (folder / "link.log").symlink_to(elsewhere)
    (folder / "linked").symlink_to(elsewhere.parent)
    past = (estate.as_of - timedelta(days=1)).timestamp()
    for path in (elsewhere, folder / "deep" / "er" / "a.log"):
        os.utime(path, (past, past))
    for path in (folder / "deep" / "er", folder / "deep"):
        os.utime(path, (past, past))
    assert own_airflow.remove_old_logs(folder, estate.as_of, dry_run=True) == {"files": 1, "bytes": 2}
    assert own_airflow.remove_old_logs(folder, estate.as_of) == {"files": 1, "bytes": 2}
    assert elsewhere.exists() and (folder / "link.log").is_symlink()
