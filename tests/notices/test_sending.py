"""Once, or said so: crashes at every point of the send loop, and providers that fail."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from include.privacy.ledger import Ledger
from include.privacy.mail.sendgrid_bulk import SendGridBulk
from include.privacy.notices import sending
from tests.notices.conftest import VERSION, Campaign
from tests.processors.matrix import FAULTS


class Killed(BaseException):
    """What a worker that is killed does: nothing any more."""


@pytest.fixture
def small_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some fifteen calls for the whole audience."""
    monkeypatch.setattr(SendGridBulk, "capacity", 20)


def deadly(monkeypatch: pytest.MonkeyPatch, dice: random.Random, share: float) -> None:
    """Before and after each step of the loop the worker dies now and then; what was committed stays."""

    def wrap(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def step(*args: Any, **kwargs: Any) -> Any:
            if dice.random() < share:
                raise Killed(f"before {name}")
            result = real(*args, **kwargs)
            if dice.random() < share:
                raise Killed(f"after {name}")
            return result

        monkeypatch.setattr(owner, name, step)

    wrap(Ledger, "claim_batch")
    wrap(SendGridBulk, "send")
    wrap(Ledger, "record_accepted")


@pytest.mark.parametrize("seed", range(2))
def test_whatever_dies_whenever_everybody_gets_exactly_one(
    approved: Campaign, small_calls: None, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    expected, deaths = approved.addresses(), 0
    dice = random.Random(seed)
    with monkeypatch.context() as patch:
        deadly(patch, dice, 0.2)
        for _ in range(10):
            try:
                approved.turn()
            except Killed:
                deaths += 1
                assert max(approved.mailbox().values(), default=1) == 1
            approved.later(minutes=dice.choice([1, 20, 61]))
    for _ in range(4):
        approved.later(minutes=61)
        approved.turn()
    assert deaths >= 3
    assert dict(approved.mailbox()) == dict.fromkeys(expected, 1)
    assert approved.states() == {"delivered": len(expected)}


def test_an_orphan_that_still_sends_keeps_the_new_task_from_sending_too(
    approved: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PATIENCE", timedelta(0))
    approved.turn()  # makes the campaign begin
    run = approved.open_run()
    with approved.ledger.turn(f"policy notice {approved.row.id}"):
        assert sending.send(run, VERSION) == {}


@pytest.mark.parametrize("skip", [0, 3])
def test_calls_without_an_answer_are_settled_by_the_log(
    approved: Campaign, small_calls: None, skip: int
) -> None:
    expected = approved.addresses()
    faults = [fault for name, fault in FAULTS.items() if name not in ("slow", "503 again and again")]
    for position, fault in enumerate(faults):
        approved.sendgrid.control.fail(path="/v3/mail/send", skip=skip + position % 3, **fault)
    for _ in range(6):
        approved.turn()
        assert max(approved.mailbox().values(), default=1) == 1
        approved.later(minutes=61)
    assert approved.sendgrid.control.faults() == []
    assert dict(approved.mailbox()) == dict.fromkeys(expected, 1)
    assert approved.states() == {"delivered": len(expected)}


def test_a_provider_that_is_down_for_a_day_is_replaced_and_nobody_gets_two(
    approved: Campaign, small_calls: None
) -> None:
    expected = approved.addresses()
    approved.sendgrid.control.fail(path="/v3/mail/send", kind="reset", count=8)
    done = approved.turn()
    assert done["sent"] == {"sendgrid": 0}
    assert approved.row.outage_since == approved.now
    approved.later(minutes=125)
    approved.sendgrid.control.fail(path="/v3/mail/send", kind="reset", count=1000)
    approved.turn()
    approved.turn()
    assert sum(approved.mailbox().values()) >= len(expected) - 4 * 20 * 3
    approved.later(hours=24)
    approved.sendgrid.control.clear_faults()
    for _ in range(3):
        approved.turn()
        approved.later(hours=25)
    approved.turn()
    assert dict(approved.mailbox()) == dict.fromkeys(expected, 1)
    assert approved.row.state == "proven"


def test_whom_the_address_keeps_from_a_letter_finds_it_in_the_app_others_get_it_from_the_other_provider(
    approved: Campaign,
) -> None:
    addresses = sorted(approved.addresses())
    bounced, dropped, blocked = addresses[:5], addresses[5:9], addresses[9:12]
    approved.sendgrid.control.configure(bounces=bounced, drops=dropped, blocks=blocked)
    approved.turn()
    approved.later(minutes=2)
    approved.turn()
    approved.later(minutes=2)
    done = approved.turn()
    got = approved.mailbox()
    assert set(got) == set(addresses) - set(bounced)
    assert set(got.values()) == {1}
    # Postmark tells of a delivery only when asked about one message: silence for three days has to do.
    assert approved.states() == {"delivered": len(addresses) - 12, "accepted": 7, "told_in_app": 5}
    assert approved.row.state == "sending"
    approved.later(hours=73)
    done = approved.turn()
    assert approved.states() == {"delivered": len(addresses) - 12, "silent": 7, "told_in_app": 5}
    told = approved.rows(
        "accounts",
        "SELECT a.email FROM privacy_outbox o JOIN accounts a ON a.id = o.account_id "
        "WHERE o.kind = 'policy_notice'",
    )
    assert sorted(email for (email,) in told) == bounced
    assert done["report"]["campaigns"][VERSION]["coverage"] == 1.0
    assert approved.row.state == "proven"


def test_a_letter_that_comes_back_hours_later_is_found_on_the_providers_list_and_a_complaint_is_none(
    approved: Campaign,
) -> None:
    bounced, complained, *others = sorted(approved.addresses())
    approved.turn()
    approved.later(minutes=2)
    approved.turn()
    assert approved.states() == {"delivered": len(others) + 2}
    assert approved.row.state == "proven"
    approved.later(hours=9)
    approved.sendgrid.stand_in.suppressions.put("bounces", bounced)
    approved.sendgrid.stand_in.suppressions.put("spam_reports", complained)
    approved.sendgrid.control.fail(path="/v3/suppression/bounces", kind="status", status=503, count=9)
    approved.turn()
    assert approved.states() == {"delivered": len(others) + 2}, "the list could not be read"
    approved.sendgrid.control.clear_faults()
    approved.turn()
    approved.turn()
    assert approved.states() == {"delivered": len(others) + 1, "told_in_app": 1}
    told = approved.rows(
        "accounts",
        "SELECT a.email FROM privacy_outbox o JOIN accounts a ON a.id = o.account_id "
        "WHERE o.kind = 'policy_notice'",
    )
    assert told == [(bounced,)]
    assert set(approved.mailbox().values()) == {1}


def test_one_address_that_spoils_a_call_costs_nobody_else_the_letter(
    approved: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.mail.port import MailRejectedError

    poison = sorted(approved.addresses())[7]
    real = SendGridBulk.send

    def send(self: SendGridBulk, letter: Any, to: Any, *, batch: str) -> Any:
        if any(each.address == poison for each in to):
            raise MailRejectedError("SendGrid refused it with 400 (fields: personalizations)")
        return real(self, letter, to, batch=batch)

    monkeypatch.setattr(SendGridBulk, "send", send)
    approved.turn()
    assert dict(approved.mailbox()) == dict.fromkeys(approved.addresses(), 1)  # the other provider takes it


def test_sending_that_takes_too_long_moves_the_date_and_everybody_is_told(
    approved: Campaign, small_calls: None
) -> None:
    before = approved.row.effective_on
    approved.sendgrid.control.fail(path="/v3/mail/send", skip=6, kind="status", status=401, count=1000)
    approved.turn()
    written = sum(approved.mailbox().values())
    assert 0 < written < len(approved.addresses())
    approved.sendgrid.control.clear_faults()
    approved.ledger.steer_notice(approved.row.id, approved.now, stopped=True, people_per_minute=None)
    approved.at(approved.row.dispatch_by + timedelta(hours=1))
    approved.turn()
    row = approved.row
    assert row.effective_on > before
    assert row.announced_on == row.effective_on
    assert row.effective_at - approved.now >= timedelta(days=30)
    told = approved.rows("accounts", "SELECT body FROM privacy_outbox WHERE kind = 'policy_notice_moved'")
    assert len(told) == written
    assert {body["effective_on"] for (body,) in told} == {row.effective_on.isoformat()}
    assert approved.turn()["concluded"]["effective_on"] == row.effective_on.isoformat()
    count = "SELECT count(*) FROM privacy_outbox WHERE kind = 'policy_notice_moved'"
    assert approved.rows("accounts", count) == [(written,)]


def test_the_log_that_cannot_be_read_settles_nothing(approved: Campaign) -> None:
    approved.turn()
    approved.later(minutes=2)
    approved.sendgrid.control.fail(path="/v3/logs", count=200, status=403)
    approved.turn()
    assert set(approved.states()) == {"accepted"}
    approved.sendgrid.control.clear_faults()
    approved.turn()
    assert set(approved.states()) == {"delivered"}


def test_a_provider_that_says_nothing_for_three_days_has_delivered(approved: Campaign) -> None:
    approved.sendgrid.control.configure(deliver_seconds=10 * 24 * 3600)
    approved.turn()
    for _ in range(5):
        approved.later(hours=20)
        approved.turn()
    assert set(approved.states()) == {"silent"}
    assert approved.row.state == "proven"
