"""A campaign from its proposal to the version that applies."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from include.privacy.notices import deciding, steering
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, ParameterError
from tests.notices.conftest import VERSION, Campaign


def test_everybody_hears_of_it_once_and_the_version_applies_thirty_days_later(approved: Campaign) -> None:
    expected = approved.addresses()
    done = approved.turn()
    assert done["gathered"] == len(expected) == done["sent"]["sendgrid"]
    assert dict(approved.mailbox()) == dict.fromkeys(expected, 1)
    approved.later(minutes=2)
    done = approved.turn()
    assert approved.states() == {"delivered": len(expected)}
    assert (done["concluded"]["state"], approved.row.state) == ("proven", "proven")
    assert done["report"]["campaigns"][VERSION]["coverage"] == 1.0
    assert approved.row.effective_at - approved.row.proven_through >= timedelta(days=30)
    assert done["in_force"] == "2026-10"
    approved.at(approved.row.effective_at - timedelta(seconds=1))
    assert approved.turn()["in_force"] == "2026-10"
    approved.at(approved.row.effective_at)
    with pytest.raises(FindingError, match=f"make it that of config/notices/{VERSION}/"):
        approved.turn()
    assert approved.ledger.policy_in_force().version == VERSION
    assert dict(approved.mailbox()) == dict.fromkeys(expected, 1)


def test_nothing_is_sent_that_nobody_has_approved(campaign: Campaign) -> None:
    campaign.later(days=6)
    done = campaign.turn()
    assert (done["versions"], done["unasked"]) == ([], 1)
    taken = deciding.take()
    (asked,) = deciding.question(taken)
    assert "300" in asked["body"] or "people would be written to" in asked["body"]
    assert "Sixty days at most" in asked["body"]
    assert campaign.turn()["unasked"] == 0
    refused = {"chosen_options": [deciding.REJECT]}
    with pytest.raises(ValueError, match="does not say who gave it"):
        deciding.write_decision([refused], taken)
    deciding.write_decision([refused | {"responded_by_user": {"id": "7"}}], taken)
    assert campaign.row.state == "rejected"
    assert campaign.turn()["versions"] == []
    assert not campaign.mailbox()


def test_a_folder_that_changes_after_its_approval_sends_nothing(approved: Campaign) -> None:
    text = approved.config / "notices" / VERSION / "en" / "notice.txt"
    text.write_text(text.read_text().replace("Hello,", "Dear all,"))
    runtime().close()
    with pytest.raises(FindingError, match="reads differently from what was approved"):
        approved.turn()
    assert not approved.mailbox()
    steering.steer(params={"version": VERSION, "action": "withdraw"})
    assert approved.turn()["unasked"] == 1
    approved.approve()
    approved.turn()
    assert dict(approved.mailbox()) == dict.fromkeys(approved.addresses(), 1)


def test_an_answer_to_what_has_changed_since_decides_nothing(campaign: Campaign) -> None:
    campaign.turn()
    taken = deciding.take()
    text = campaign.config / "notices" / VERSION / "en" / "notice.txt"
    text.write_text(text.read_text().replace("Hello,", "Dear all,"))
    runtime().close()
    campaign.turn()
    answer = {"chosen_options": [deciding.APPROVE], "responded_by_user": {"id": "7"}}
    assert "changed since it was asked" in deciding.write_decision([answer], taken)
    assert campaign.row.state == "proposed"


def test_the_database_refuses_a_version_whose_notice_is_not_proven(approved: Campaign) -> None:
    run = approved.open_run()
    approved.turn()
    row = approved.row
    assert row.state == "sending"
    with pytest.raises(IntegrityError, match="announced_30_days_before"):
        approved.ledger.enter_into_force(
            UUID(run),
            version=VERSION,
            effective_at=row.effective_at,
            at=row.effective_at,
            entered="announced",
            campaign_id=row.id,
        )


def test_a_version_that_comes_too_late_is_refused_with_the_earliest_lawful_date(campaign: Campaign) -> None:
    campaign.later(days=10)
    with pytest.raises(FindingError, match=r"earliest lawful date is \d{4}-\d\d-\d\d"):
        campaign.turn()
    assert campaign.row is None


def test_a_stopped_campaign_sends_nothing_until_it_is_resumed(approved: Campaign) -> None:
    approved.ledger.steer_notice(approved.row.id, approved.now, stopped=True, people_per_minute=None)
    approved.turn()
    assert not approved.mailbox()
    steering.steer(params={"version": VERSION, "action": "resume"})
    approved.turn()
    assert dict(approved.mailbox()) == dict.fromkeys(approved.addresses(), 1)
    with pytest.raises(ParameterError, match="too late to withdraw"):
        steering.steer(params={"version": VERSION, "action": "withdraw"})


def test_a_dry_run_counts_and_changes_nothing(campaign: Campaign) -> None:
    done = campaign.turn(dry_run=True)
    assert (done["versions"], done["gathered"]) == ([VERSION], len(campaign.addresses()))
    assert campaign.row is None
    assert not campaign.mailbox()
