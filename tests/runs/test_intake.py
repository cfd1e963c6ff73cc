"""Whatever people ask for is taken in, confirmed at once, and verified before anything is done."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest

from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.mailbox import Mail, read_mailbox
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(240)
INTAKE = "intake_subject_requests"
QUARTER = timedelta(minutes=15)
CORRECTION = {"corrections": {"full_name": "Mary Major"}}


@pytest.fixture
def sendgrid(estate: Estate) -> ProcessorControl:
    """The stand-in's switchboard."""
    return ProcessorControl(estate.world.processor_endpoints["sendgrid"])


def address(estate: Estate, account: int) -> str:
    return str(estate.value("accounts", "SELECT email FROM accounts WHERE id = %s", account))


def mails(estate: Estate, reference: str) -> list[Mail]:
    """The letters about one request, oldest first."""
    return [mail for mail in read_mailbox(estate.world) if reference in mail.text]


def person(estate: Estate, offset: int) -> int:
    query = "SELECT id FROM accounts WHERE status = 'active' AND id < 900000000 ORDER BY id OFFSET %s LIMIT 1"
    return int(estate.value("accounts", query, offset))


@pytest.mark.whole_dag
def test_every_right_is_taken_in_confirmed_and_ready_for_its_run(estate: Estate) -> None:
    who = person(estate, 11)
    asked = {
        "access": estate.ask(who, "access"),
        "portability": estate.ask(who, "portability"),
        "erasure": estate.ask(who, "erasure"),
        "rectification": estate.ask(who, "rectification", details=CORRECTION),
        "objection": estate.ask(who, "objection", details={"purposes": ["personalize.content"]}),
    }
    assert estate.run(INTAKE).state == "success"
    for right, external in asked.items():
        row = estate.ledger.find_request(external)
        assert row is not None
        assert (row.right, row.state) == (right, "assessing")
        assert row.due["due_at"] and row.due_at <= row.received_at + timedelta(days=31)
        (mail,) = mails(estate, external)
        assert mail.to == address(estate, who)
    kinds = {answer["kind"] for answer in estate.answers()}
    assert kinds == {f"{right}_received" for right in asked}

    assert estate.run(INTAKE, as_of=estate.as_of + QUARTER).state == "success"
    assert all(len(mails(estate, external)) == 1 for external in asked.values()), "nobody is written to twice"
    assert estate.answers() == []


def test_whoever_is_not_signed_in_follows_a_one_time_link_first(estate: Estate) -> None:
    who = person(estate, 12)
    external = estate.ask(who, "access", verified=False)
    assert estate.run(INTAKE).state == "success"
    assert estate.ledger.find_request(external).state == "verifying"
    _, challenge = mails(estate, external)
    (token,) = re.findall(r"token=([\w-]+)", challenge.text)
    assert not estate.ledger.redeem_token(external, "guess", estate.as_of)
    assert estate.ledger.redeem_token(external, token, estate.as_of + QUARTER)
    assert estate.ledger.find_request(external).state == "assessing"


def test_the_link_goes_to_the_address_that_was_on_file_when_the_request_came(estate: Estate) -> None:
    who = person(estate, 13)
    before = address(estate, who)
    external = estate.ask(who, "erasure", verified=False)
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        accounts.execute("UPDATE accounts SET email = 'thief@example.net' WHERE id = %s", (who,))
        accounts.execute(
            "INSERT INTO former_emails (account_id, email, replaced_at) VALUES (%s, %s, %s)",
            (who, before, estate.as_of - timedelta(hours=1)),
        )
    assert estate.run(INTAKE).state == "success"
    challenge = next(mail for mail in mails(estate, external) if "token=" in mail.text)
    assert challenge.to == before


@pytest.mark.parametrize(
    "verification",
    [
        {"method": "session"},
        {"method": "session", "strength": "cookie", "authenticated_at": "2026-01-01T00:00:00Z"},
        {"method": "session", "strength": "password", "authenticated_at": "2020-01-01T00:00:00Z"},
        {"method": "passport_scan"},
    ],
    ids=["silent", "weak", "old", "unknown"],
)
def test_a_session_that_does_not_suffice_is_no_verification(
    estate: Estate, verification: dict[str, str]
) -> None:
    from psycopg.types.json import Jsonb

    external = estate.ask(person(estate, 14), "erasure")
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        accounts.execute(
            "UPDATE privacy_inbox SET verification = %s WHERE request_id = %s",
            (Jsonb(verification), external),
        )
    assert estate.run(INTAKE).state == "success"
    assert estate.ledger.find_request(external).state == "verifying"


def test_malformed_rows_are_quarantined_with_the_fix_and_stop_nobody(estate: Estate) -> None:
    who = person(estate, 15)
    good = estate.ask(who, "access")
    bad = {
        estate.ask(who, "rectification", details={}): "details.corrections must be an object",
        estate.ask(who, "objection", details={"purposes": ["world.domination"]}): "policy.yaml knows",
        estate.ask(who, "portability", details={"transmit_to": "https://evil.example"}): "policy.yaml lists",
        estate.ask(who, "erasure", details={"agent": {"name": "An Agency"}}): "agent.mandate must be one of",
    }
    assert estate.run(INTAKE).state == "success"
    assert estate.ledger.find_request(good).state == "assessing"
    reasons = [row.reason for row in estate.ledger.quarantined()]
    assert len(reasons) == len(bad)
    for part in bad.values():
        assert any(part in reason for reason in reasons), part
    assert not any("evil" in reason or "domination" in reason for reason in reasons)


def test_an_agent_with_a_mandate_asks_and_the_person_confirms(estate: Estate) -> None:
    agent = {"name": "An Agency", "mandate": "signed_permission", "evidence": "archive 2026/17"}
    external = estate.ask(person(estate, 16), "access", verified=False, details={"agent": agent})
    assert estate.run(INTAKE).state == "success"
    row = estate.ledger.find_request(external)
    assert row.state == "verifying"
    assert row.agent == agent and "agent" not in row.details


def test_a_provider_that_is_down_holds_up_no_request_and_nobody_is_written_to_twice(
    estate: Estate, sendgrid: ProcessorControl
) -> None:
    external = estate.ask(person(estate, 17), "access")
    sendgrid.fail(kind="status", when="before", status=429, count=1)
    assert estate.run(INTAKE).state == "success"
    assert estate.ledger.find_request(external).state == "assessing"
    assert mails(estate, external) == []
    later = estate.run(INTAKE, as_of=estate.as_of + QUARTER)
    assert later.state == "success", estate.states(later)
    assert len(mails(estate, external)) == 1


def test_a_letter_whose_answer_was_lost_is_looked_for_before_it_is_sent_again(
    estate: Estate, sendgrid: ProcessorControl
) -> None:
    external = estate.ask(person(estate, 18), "access")
    sendgrid.fail(kind="timeout", when="after", count=1)
    assert estate.run(INTAKE).state == "success"
    for minutes in (15, 30, 75):
        assert estate.run(INTAKE, as_of=estate.as_of + timedelta(minutes=minutes)).state == "success"
    assert len(mails(estate, external)) == 1
    request = estate.ledger.find_request(external)
    assert [letter.state for letter in estate.ledger.letters(request.id)] == ["sent"]


@pytest.mark.whole_dag
def test_a_request_opened_by_form_takes_the_same_way(estate: Estate) -> None:
    who = person(estate, 19)
    form = {
        "account_id": str(who),
        "right": "access",
        "received_at": (estate.as_of - timedelta(days=2)).isoformat(),
        "channel": "letter",
        "verified_by": "phone_callback",
    }
    assert estate.run("open_subject_request", form).state == "success"
    assert estate.run(INTAKE).state == "success"
    (row,) = estate.ledger.requests(["assessing"], "access")
    assert (row.subject_key, row.channel, row.verification["method"]) == (
        str(who),
        "letter",
        "phone_callback",
    )
    assert row.received_at == estate.as_of - timedelta(days=2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"account_id": "987654321"}, "account_id: there is no such account"),
        ({"received_at": "2026-13-01T00:00:00Z"}, "received_at"),
        ({"right": "objection", "purpose": "world.domination"}, "policy.yaml knows"),
    ],
)
def test_a_form_that_is_wrong_opens_nothing_and_names_the_field(
    estate: Estate, change: dict[str, str], told: str
) -> None:
    from include.privacy.requests.opening import MalformedRequestError, open_by_form

    form = {
        "account_id": str(person(estate, 20)),
        "right": "access",
        "received_at": (estate.as_of - timedelta(days=1)).isoformat(),
        "channel": "letter",
        "verified_by": "",
        "purpose": None,
    }
    with pytest.raises(MalformedRequestError, match=told):
        open_by_form(params=form | change)
    assert estate.ledger.requests(["received"]) == []
