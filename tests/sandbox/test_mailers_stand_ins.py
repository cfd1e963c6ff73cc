"""SendGrid's and Postmark's stand-ins by themselves: the traps that their documentation names are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.postmark import Postmark, account_token
from include.sandbox.processors.sendgrid import SendGrid

KEY = "a-key"


@pytest.fixture
def sendgrid(tmp_path: Path) -> SendGrid:
    made = SendGrid(tmp_path, KEY)
    made.configure({"job_seconds": 0, "erase_seconds": 0})
    return made


@pytest.fixture
def postmark(tmp_path: Path) -> Postmark:
    return Postmark(tmp_path, KEY)


def ask(stand_in: SendGrid | Postmark, method: str, target: str, body: Any = None) -> tuple[Response, Any]:
    headers = {
        "Authorization": f"Bearer {KEY}",
        "X-Postmark-Server-Token": KEY,
        "X-Postmark-Account-Token": account_token(KEY),
    }
    data = json.dumps(body).encode() if body is not None else b""
    response = stand_in.answer(Request.of(method, target, headers, data))
    return response, json.loads(response.body) if response.body else None


def upsert(stand_in: SendGrid, **contact: str) -> str:
    _, told = ask(stand_in, "PUT", "/v3/marketing/contacts", {"contacts": [contact]})
    _, job = ask(stand_in, "GET", f"/v3/marketing/contacts/imports/{told['job_id']}")
    return str(job["status"])


def test_posting_to_a_group_that_does_not_exist_suppresses_globally(sendgrid: SendGrid) -> None:
    response, _ = ask(
        sendgrid, "POST", "/v3/asm/groups/77/suppressions", {"recipient_emails": ["a@b.example"]}
    )
    assert response.status == 201
    assert sendgrid.describe()["suppressions"]["unsubscribes"] == ["a@b.example"]


def test_a_search_that_finds_nobody_is_a_404_and_one_that_finds_some_tells_of_the_others(
    sendgrid: SendGrid,
) -> None:
    path = "/v3/marketing/contacts/search/emails"
    assert ask(sendgrid, "POST", path, {"emails": ["a@b.example"]})[0].status == 404
    upsert(sendgrid, email="A@b.example")
    _, told = ask(sendgrid, "POST", path, {"emails": ["a@B.example", "c@b.example"]})
    assert told["result"]["a@b.example"]["contact"]["email"] == "a@b.example"
    assert "error" in told["result"]["c@b.example"]
    assert ask(sendgrid, "POST", path, {"emails": ["nobody"]})[0].status == 400
    assert ask(sendgrid, "POST", path, {"emails": ["a@b.example"] * 101})[0].status == 400


def test_an_identifier_belongs_to_one_contact_and_an_update_names_them_all(sendgrid: SendGrid) -> None:
    assert upsert(sendgrid, email="a@b.example", external_id="x") == "completed"
    assert upsert(sendgrid, email="new@b.example", external_id="x") == "errored"
    assert upsert(sendgrid, email="a@b.example", first_name="Gwen") == "errored"
    assert upsert(sendgrid, email="a@b.example", external_id="x", first_name="Gwen") == "completed"
    [contact] = sendgrid.describe()["contacts"]
    assert (contact["email"], contact["first_name"]) == ("a@b.example", "Gwen")


def test_202_is_queued_and_nothing_has_happened_yet(sendgrid: SendGrid) -> None:
    upsert(sendgrid, email="a@b.example")
    [contact] = sendgrid.describe()["contacts"]
    sendgrid.configure({"job_seconds": 60})
    response, told = ask(sendgrid, "DELETE", f"/v3/marketing/contacts?ids={contact['id']}")
    assert response.status == 202
    assert len(sendgrid.describe()["contacts"]) == 1
    sendgrid.configure({"clock_offset_seconds": 61})
    assert sendgrid.describe()["contacts"] == []
    assert [j["status"] for j in sendgrid.describe()["jobs"] if j["id"] == told["job_id"]] == ["completed"]


def test_an_erase_job_names_wrong_addresses_has_a_limit_and_a_scope(sendgrid: SendGrid) -> None:
    path, good = "/v3/recipients/erasejob", {"email_addresses": ["a@b.example"]}
    response, told = ask(sendgrid, "POST", path, {"email_addresses": ["a@b.example", "wrong"]})
    assert response.status == 400
    assert "wrong" in told["errors"][0]["message"]
    assert ask(sendgrid, "POST", path, {"email_addresses": ["a@b.example"] * 5_001})[0].status == 400
    answers = [ask(sendgrid, "POST", path, good)[0] for _ in range(99)]
    assert [a.status for a in answers] == [202] * 98 + [429]
    assert answers[-1].headers["X-RateLimit-Remaining"] == "0"
    sendgrid.configure({"erase_job": False})
    assert "recipients.erasejob.create" not in ask(sendgrid, "GET", "/v3/scopes")[1]["scopes"]


def test_a_call_without_its_scope_is_refused(sendgrid: SendGrid) -> None:
    sendgrid.configure({"scopes": ["marketing.read"]})
    assert ask(sendgrid, "DELETE", "/v3/marketing/contacts?ids=x")[0].status == 403
    assert ask(sendgrid, "GET", "/v3/marketing/field_definitions")[0].status == 200


def test_a_complaint_cannot_be_deleted_and_is_told_inside_a_200(postmark: Postmark) -> None:
    postmark.server.suppress("broadcast", "a@b.example", "SpamComplaint", "Recipient")
    postmark.server.suppress("broadcast", "c@b.example", "HardBounce", "Recipient")
    wanted = {"Suppressions": [{"EmailAddress": each} for each in ("a@b.example", "c@b.example")]}
    response, told = ask(postmark, "POST", "/message-streams/broadcast/suppressions/delete", wanted)
    assert response.status == 200
    assert [each["Status"] for each in told["Suppressions"]] == ["Failed", "Deleted"]
    assert len(postmark.describe()["suppressions"]["broadcast"]) == 1


def test_a_search_reaches_no_further_than_ten_thousand(postmark: Postmark) -> None:
    for query, status in (("count=500&offset=9500", 200), ("count=500&offset=9501", 422), ("count=501", 422)):
        assert ask(postmark, "GET", f"/messages/outbound?{query}")[0].status == status


def test_removals_take_time_need_the_accounts_token_and_may_be_off(postmark: Postmark) -> None:
    postmark.configure({"removal_seconds": 60})
    body = {"RequestedBy": "u@b.example", "RequestedFor": "a@b.example", "NotifyWhenCompleted": False}
    _, told = ask(postmark, "POST", "/data-removals", body)
    assert ask(postmark, "GET", f"/data-removals/{told['ID']}")[1]["Status"] == "Pending"
    postmark.configure({"clock_offset_seconds": 61})
    assert ask(postmark, "GET", f"/data-removals/{told['ID']}")[1]["Status"] == "Done"
    only_server = Request.of("GET", "/data-removals/1", {"X-Postmark-Server-Token": KEY})
    assert postmark.answer(only_server).status == 401
    postmark.configure({"removals": False})
    assert ask(postmark, "POST", "/data-removals", body)[0].status == 403


def test_what_is_older_than_the_retention_is_gone(postmark: Postmark) -> None:
    message = postmark.server.send("a@b.example", postmark.server.now(), "Hello")
    postmark.server.open(message)
    postmark.configure({"clock_offset_seconds": 46 * 86_400})
    state = postmark.describe()
    assert (state["messages"], state["opens"]) == ([], [])


def test_unknown_settings_are_refused_with_the_known_ones(postmark: Postmark, sendgrid: SendGrid) -> None:
    for stand_in in (postmark, sendgrid):
        with pytest.raises(ValueError, match=r"known: .*clock_offset_seconds"):
            stand_in.configure({"speed": 3})
