"""What people see of a campaign: the command line, the report's page, events that SendGrid sends."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from include.privacy.__main__ import main
from include.privacy.mail.bulk import Fate, Fated
from include.privacy.notices import events
from include.privacy.notices.pace import PeoplePace
from tests.notices.conftest import VERSION, Campaign


@pytest.fixture
def told(approved: Campaign, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(approved.config))
    approved.turn()
    return approved


def test_the_report_is_shown_written_as_a_page_and_names_nobody(
    told: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notice", "report", VERSION]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["states"] == {"accepted": len(told.addresses())}
    page = tmp_path / "report.html"
    assert main(["notice", "report", VERSION, "--html", str(page)]) == 0
    html = page.read_text()
    assert "<svg role=" in html
    assert "http" not in html.replace("http-equiv", "")
    assert not any(address in html for address in told.addresses())
    assert main(["notice", "report", "1999"]) == 1
    assert main(["notice", "preview", VERSION, "--into", str(tmp_path / "letters")]) == 0
    assert {p.name for p in (tmp_path / "letters").iterdir()} == {
        f"notice_{language}.{end}" for language in ("en", "de") for end in ("html", "txt")
    }
    assert main(["check"]) == 0
    assert f"policy {VERSION} applies from" in capsys.readouterr().out


def test_an_event_of_sendgrids_counts_once_and_only_for_the_call_that_it_is_about(told: Campaign) -> None:
    with told.ledger.engine.connect() as connection:
        tokens = [
            row[0]
            for row in connection.exec_driver_sql("SELECT token FROM ledger.notice_delivery ORDER BY token")
        ]
    first, second, third = tokens[:3]

    def event(token: UUID, fate: Fate, *, of_address: bool = False, minutes: int = 1) -> Fated:
        at = told.now + timedelta(minutes=minutes)
        return Fated(None, token.hex, fate, of_address, "hard_bounce" if of_address else "", at)

    for _ in range(2):
        events.record(
            [
                event(first, Fate.delivered),
                event(second, Fate.bounced, of_address=True),
                event(third, Fate.bounced, of_address=True, minutes=-60),  # of a call before this one
                event(uuid4(), Fate.delivered),
                Fated(None, "an ordinary letter's", Fate.delivered, False, "", told.now),
            ]
        )
    assert told.states() == {"delivered": 1, "undeliverable": 1, "accepted": len(tokens) - 2}
    events.record([event(first, Fate.bounced, of_address=True, minutes=5)])  # hours after its delivery
    assert told.states()["undeliverable"] == 2


def test_who_heard_is_forgotten_in_its_time_and_the_figures_stay(told: Campaign) -> None:
    told.later(minutes=2)
    told.turn()
    row = told.row
    told.ledger.enter_into_force(
        UUID(told.open_run()),
        version="2026-10",
        effective_at=told.now - timedelta(days=30),
        at=told.now,
        entered="initial",
    )
    run = UUID(told.open_run())
    told.ledger.enter_into_force(
        run,
        version=VERSION,
        effective_at=row.effective_at,
        at=row.effective_at,
        entered="announced",
        campaign_id=row.id,
    )
    from include.privacy.ledger.own_retention import expire_own_records

    def expire(days: int) -> int:
        as_of = row.effective_at + timedelta(days=days)
        counts = expire_own_records(
            told.ledger.sessions, as_of, records_days=1096, quarantine_days=90, token_days=30
        )
        return counts["hearers"]

    assert expire(1095) == 0
    assert expire(1096) == len(told.addresses())
    assert told.row.report["audience"] == len(told.addresses())
    assert told.states() == {}
    assert expire(1097) == 0


def test_nobody_is_written_to_faster_than_the_operator_allows() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = PeoplePace(60, clock=lambda: now[0], sleep=sleep)
    assert pace.pause() == 0
    pace.took(30)
    assert pace.pause() == pytest.approx(30)
    pace.wait()
    assert slept == [5.0]  # short sleeps, so that a stop is noticed
    pace.change(600)
    now[0] += 25
    pace.took(30)
    assert pace.pause() == pytest.approx(3)
    pace.stay_away(100)
    assert pace.pause() == pytest.approx(100)
    with pytest.raises(ValueError, match="to stop a campaign, stop it"):
        pace.change(0)
