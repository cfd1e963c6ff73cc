"""The DAGs of policy notices in Airflow: proposed, approved by a person, sent, and run again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from include.privacy.notices.deciding import APPROVE
from include.privacy.steps import runs
from include.sandbox import next_version
from include.sandbox.processors.mailbox import arrivals
from tests.conftest import PLATFORM_AS_OF
from tests.runs.conftest import Estate
from tests.runs.people_in_the_loop import answering, shown_body

VERSION = next_version.VERSION


@pytest.fixture
def announced(estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    """A configuration in which the next version applies in 35 days."""
    config = next_version.copy_config(tmp_path / "config")
    next_version.announce(config, (PLATFORM_AS_OF + timedelta(days=35)).date())
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(config))
    monkeypatch.setattr(runs, "current_instant", lambda: PLATFORM_AS_OF + timedelta(hours=1))
    return estate


def letters(estate: Estate) -> dict[str, int]:
    """Notices by address."""
    with estate.ledger.engine.connect() as connection:
        batches = [row[0].hex for row in connection.exec_driver_sql("SELECT id FROM ledger.notice_batch")]
    return dict(arrivals(estate.world.folder, batches=batches))


@pytest.mark.whole_dag
def test_a_notice_is_sent_once_after_somebody_has_read_and_approved_it(announced: Estate) -> None:
    dry = announced.run("announce_policy_change", {"dry_run": True})
    assert dry.state == "success"
    assert announced.ledger.notice_campaign(VERSION) is None
    assert announced.run("announce_policy_change").state == "success"
    assert letters(announced) == {}
    with answering("decide", [APPROVE]):
        asked = announced.run("approve_policy_notice")
    assert asked.state == "success", announced.states(asked)
    shown = shown_body(asked)
    assert "Sixty days at most." in shown
    assert "@practice-engine.example" in shown  # our own contact, as the letter names it
    for _ in range(2):
        run = announced.run("announce_policy_change")
        assert run.state == "success", announced.states(run)
        got = letters(announced)
        people = announced.value("accounts", "SELECT count(*) FROM accounts WHERE deleted_at IS NULL")
        assert len(got) >= people - 5  # a few are on SendGrid's lists
        assert set(got.values()) == {1}


def test_a_form_sends_one_test_to_a_name_of_the_list_and_to_nobody_else(announced: Estate) -> None:
    before = sum(arrivals(announced.world.folder).values())
    form = {"version": VERSION, "language": "de", "to": "privacy_team"}
    assert announced.run("preview_policy_notice", form).state == "success"
    got = arrivals(
        announced.world.folder,
        subject="[Test] Unsere Datenschutzerklärung ändert sich am 25. Dezember 2026",
    )
    assert got["privacy@practice-engine.example"] == 1
    assert sum(arrivals(announced.world.folder).values()) == before + 1
    for wrong in ({"to": "somebody"}, {"version": "1999"}):
        assert announced.run("preview_policy_notice", form | wrong).state == "failed"


def test_a_form_stops_and_resumes_a_campaign_and_says_what_is_wrong_with_it(announced: Estate) -> None:
    announced.run("announce_policy_change")
    form = {"version": VERSION, "action": "stop"}
    assert announced.run("steer_policy_notice", form).state == "success"
    assert announced.ledger.notice_campaign(VERSION).stopped_at is not None
    pace = {"version": VERSION, "action": "change the pace", "people_per_minute": 100}
    assert announced.run("steer_policy_notice", pace).state == "success"
    assert announced.run("steer_policy_notice", {**form, "action": "resume"}).state == "success"
    row = announced.ledger.notice_campaign(VERSION)
    assert (row.stopped_at, row.people_per_minute) == (None, 100)
    assert announced.run("steer_policy_notice", {**pace, "people_per_minute": None}).state == "failed"
    assert announced.run("steer_policy_notice", {"version": "1999", "action": "stop"}).state == "failed"
