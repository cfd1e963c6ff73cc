"""Drills in the embedded world: one that passes, and each way to fail that it is there to find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from include.privacy.drill.planter import Planted
from include.privacy.steps import work
from include.sandbox.platform.seed import digest
from tests.runs.conftest import BACKUPS, Estate
from tests.runs.drilling import Drilled

pytestmark = pytest.mark.timeout(300)
WEEK, DAY = timedelta(days=7), timedelta(days=1)
STORES = ("accounts", "practice")
STATES = [
    "planting", "planted", "asked_access", "answered", "asked_rectification", "corrected", "backed_up",
    "asked_erasure", "erased", "restored", "replayed", "passed",
]  # fmt: skip


@pytest.fixture
def drilled(
    estate: Estate, queue_url: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Drilled]:
    """Restored copies and a doorbell of this test's own; its backups go with it."""
    env = estate.world.env
    for store in STORES:
        key = f"AIRFLOW_CONN_DRILL_{store.upper()}_DB"
        name = f"{getattr(estate.platform, store)}_drill"
        monkeypatch.setenv(key, json.dumps(json.loads(env[key]) | {"schema": name}))
    queue = json.loads(env["AIRFLOW_CONN_REQUEST_QUEUE"])
    queue["extra"] |= {"queue_url": queue_url}
    monkeypatch.setenv("AIRFLOW_CONN_REQUEST_QUEUE", json.dumps(queue))
    monkeypatch.setenv("PGPASSWORD", env["PGPASSWORD"])
    before = versions(s3_client)
    estate.whole, whole = False, estate.whole
    yield Drilled(estate, estate.as_of, whole)
    for key, version in versions(s3_client) - before:
        s3_client.delete_object(Bucket=BACKUPS, Key=key, VersionId=version)
    for store in STORES:
        estate.world.postgres.drop_database(f"{getattr(estate.platform, store)}_drill")


def versions(s3_client: Any) -> set[tuple[str, str]]:
    pages = s3_client.get_paginator("list_object_versions").paginate(Bucket=BACKUPS)
    return {(v["Key"], v["VersionId"]) for page in pages for v in page.get("Versions", [])}


def everything(drilled: Drilled) -> dict[str, Any]:
    """A digest of each table, without what speaks of requests."""
    found: dict[str, Any] = {}
    for store in STORES:
        tables = digest(drilled.estate.platform.dsn(store))
        found |= {f"{store}.{name}": value for name, value in tables.items() if name != "privacy_outbox"}
    return found


@pytest.mark.whole_dag
def test_a_synthetic_person_uses_every_right_and_is_found_nowhere_afterwards(drilled: Drilled) -> None:
    before = everything(drilled)
    drilled.estate.ledger.record_breach(
        drilled.open_run(), "P6.3 drill", "practice", 2, None, "of a former drill"
    )
    run = drilled.until("passed")
    assert run.state == "success", drilled.evidence()
    assert [e["state"] for e in drilled.evidence()] == STATES
    facts: dict[str, Any] = {}
    for each in drilled.evidence():
        facts |= each
    assert facts["planted_in"] == [
        "accounts", "postmark", "practice", "sendgrid", "stripe", "user_content"
    ] == facts["shown"]  # fmt: skip
    assert facts["not_planted"] == ["paypal", "plausible"]
    assert facts["fields"] == {
        "full_name": ["accounts", "sendgrid", "stripe"], "display_name": ["practice"],
        "email": ["accounts", "practice", "sendgrid", "stripe"],
    }  # fmt: skip
    assert facts["recipients"]["stripe"] == "redacted" and facts["recipients"]["paypal"] == "not_held"
    assert facts["came_back"]["accounts"] > 10 and facts["came_back"]["practice"] > 30
    assert facts["replayed"] == ["accounts", "practice"]
    assert facts["rehearsed_restore"] is True
    assert drilled.copies() == 0
    assert everything(drilled) == before, "nobody else was touched"
    assert drilled.breaches() == {}, "a drill that passes ends what a former one found"

    drill = drilled.latest()
    assert drill.planted is None and drill.ended_at == drilled.as_of, "who it was is unreadable"
    drilled.whole = False
    assert drilled.run(WEEK - timedelta(hours=3)).state == "success"
    assert drilled.latest().id == drill.id, "not a week since it began"
    assert drilled.run(timedelta(hours=3)).state == "success"
    assert drilled.latest().id != drill.id


def test_a_store_that_the_erasure_forgets_is_found_and_named(
    drilled: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    drilled.begin_at("backed_up")
    stores = work.erasure_stores()
    with monkeypatch.context() as patch:
        patch.setattr(work, "erasure_stores", lambda: [s for s in stores if s != "user_content"])
        run = drilled.until("passed")
    assert run.state == "failed"
    report = drilled.report()
    assert report["failed"] == ["P6.3: the erasure was answered, and the person is left in user_content (4)"]
    assert report["left"] == {"user_content": 4}, "it says what it could not take away"
    assert drilled.breaches() == {("P6.3 drill", "user_content"): 4}
    assert (drilled.latest().state, drilled.latest().planted) == ("failed", None)
    assert drilled.run().state == "success", "told once; the breach stays open"
    assert drilled.breaches()


def test_a_drill_without_an_answer_in_time_fails_and_takes_away_what_it_planted(drilled: Drilled) -> None:
    assert drilled.run().state == "success"
    planted = drilled.latest().planted
    assert drilled.run(DAY - timedelta(hours=1)).state == "success"
    assert drilled.latest().state == "asked_access"
    assert drilled.run(timedelta(hours=1)).state == "failed"
    assert drilled.report()["failed"] == [
        "P6.1: the drill has not come beyond 'asked_access' within 24 hours"
    ]
    assert drilled.latest().state == "clearing" and drilled.latest().planted == planted
    assert drilled.breaches() == {("P6.1 drill", "drill"): 1}
    drilled.answer("access")  # late, and yet before anything is erased
    assert drilled.until("failed").state == "success"
    assert (drilled.latest().state, drilled.report()["left"]) == ("failed", {})
    assert drilled.estate.value("accounts", "SELECT count(*) FROM accounts WHERE id >= 920000000") == 0


def test_a_replay_that_leaves_the_person_in_a_restored_copy_is_found(
    drilled: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.drill import replaying

    drilled.begin_at("corrected")
    monkeypatch.setattr(replaying, "replay", lambda *_: None)
    assert drilled.until("passed").state == "failed"
    (failure,) = drilled.report()["failed"]
    assert failure.startswith("P4.3: after the replay of a restored backup the person is in accounts (")
    assert {rule for rule, _ in drilled.breaches()} == {"P4.3 drill"}
    assert drilled.latest().state == "failed" and drilled.report()["left"] == {}
    assert drilled.copies() == 0, "a copy of everybody is dropped, however the drill ends"


def test_a_correction_that_does_not_reach_a_store_is_found(drilled: Drilled) -> None:
    planted = drilled.begin_at("answered")
    assert drilled.run().state == "success"
    drilled.answer("rectification")
    for _ in range(6):
        if not drilled.estate.ledger.requests(["awaiting_recipients"]):
            break
        drilled.as_of += timedelta(minutes=30)
        drilled.estate.settle(as_of=drilled.as_of)
    with psycopg.connect(drilled.estate.platform.dsn("practice")) as practice:
        practice.execute(
            "UPDATE learners SET display_name = 'as before' WHERE account_id = %s", (int(planted.account),)
        )
    assert drilled.run().state == "failed"
    assert drilled.report()["failed"] == ["P6.2: practice does not say what was corrected"]
    assert drilled.breaches() == {("P6.2 drill", "practice"): 1}


def test_an_identity_that_is_not_accepted_is_a_finding_of_its_own(
    drilled: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.sandbox import drill

    real = drill.open_request
    monkeypatch.setattr(drill, "open_request", lambda *a, **k: real(*a, **{**k, "session": False}))
    assert drilled.run().state == "success"
    drilled.answer("access")
    assert drilled.run(DAY).state == "failed"
    assert drilled.report()["failed"] == [
        "P6.7: the proof of identity that came with access was not accepted"
    ]


def test_two_runs_at_the_same_time_plant_one_person_and_ask_once(drilled: Drilled) -> None:
    from include.privacy.drill import running

    run = str(drilled.open_run())
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: running.advance(run), range(2)))
    assert sorted(r["state"] for r in results) in (["asked_access"] * 2, ["asked_access", "busy"])
    assert sum(r["moved"] for r in results) == 2
    planted = "SELECT count(*) FROM accounts WHERE id >= 920000000"
    asked = "SELECT count(*) FROM privacy_inbox WHERE account_id >= 920000000 AND taken_at IS NULL"
    assert drilled.estate.value("accounts", planted) == drilled.estate.value("accounts", asked) == 1


def test_a_drill_that_stopped_after_planting_and_before_its_record_plants_nobody_twice(
    drilled: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.ledger import Ledger

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "move_drill", lambda *_, **__: 1 / 0)
        assert drilled.run().state == "failed"
    assert drilled.latest().state == "planting"
    assert drilled.run().state == "success"
    planted = "SELECT count(*) FROM accounts WHERE id >= 920000000"
    assert drilled.estate.value("accounts", planted) == 1


def test_without_a_planter_every_run_says_that_the_drill_is_off(
    drilled: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.policy.drill import DrillSettings
    from include.privacy.runtime import runtime

    config = runtime().config()
    monkeypatch.setitem(vars(config), "drill", DrillSettings())
    assert drilled.run().state == "success"
    assert "no planter" in drilled.report()["off"]
    monkeypatch.setitem(vars(config), "drill", DrillSettings(planter="include.sandbox.drill:Nobody"))
    assert drilled.run().state == "failed"
    assert drilled.estate.ledger.latest_drill() is None


def test_planting_that_leaves_nothing_behind_proves_nothing(
    drilled: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.sandbox.processors.control import ProcessorControl

    monkeypatch.setattr(ProcessorControl, "seed", lambda *_: None)
    assert drilled.run().state == "failed"
    (failure,) = drilled.report()["failed"]
    assert failure == "P6.1: nothing was found in postmark, sendgrid, stripe after planting"


@pytest.mark.parametrize(
    ("restored", "came_back", "ends"),
    [
        ({"accounts": "drill_accounts_db"}, {"accounts": 0}, "failed"),
        ({}, {}, "passed"),
        (None, {}, "erased"),
    ],
)
def test_a_restore_may_take_time_or_be_impossible_but_never_bring_nobody_back(
    drilled: Drilled,
    monkeypatch: pytest.MonkeyPatch,
    restored: dict[str, str] | None,
    came_back: dict[str, int],
    ends: str,
) -> None:
    from include.sandbox.drill import SandboxPlanter

    monkeypatch.setattr(SandboxPlanter, "plant", lambda *_: Planted("1", {}, {}))
    monkeypatch.setattr(SandboxPlanter, "residue", lambda *_: {})
    monkeypatch.setattr(SandboxPlanter, "restore", lambda *_: restored)
    monkeypatch.setattr(SandboxPlanter, "residue_in", lambda *_: came_back)
    monkeypatch.setattr(SandboxPlanter, "ask", lambda *_: None)
    drilled.begin_at("erased", {"captured_at": drilled.as_of.isoformat()})
    run = drilled.run()
    if ends == "failed":
        assert (run.state, drilled.latest().state) == ("failed", "clearing")
        assert drilled.report()["failed"] == ["P4.3: the restored backup of accounts has nobody in it"]
        return
    assert (run.state, drilled.latest().state) == ("success", ends)
    if ends == "passed":
        assert drilled.evidence()[-1]["rehearsed_restore"] is False
    else:
        assert drilled.run(DAY).state == "failed"
        assert drilled.report()["failed"] == ["P4.3: the drill has not come beyond 'erased' within 24 hours"]
