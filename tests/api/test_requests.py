"""Our own API: opened, verified, withdrawn and followed; nobody learns who is known."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from include.privacy.ledger.verification import MOST_ATTEMPTS
from include.privacy.requests.following import family, family_ids
from tests.api.conftest import NOW, V1, Doors

STRANGER = "nobody.knows@stranger.example"
SESSION = {
    "method": "session",
    "strength": "mfa",
    "authenticated_at": (NOW - timedelta(minutes=5)).isoformat(),
}


def test_a_signed_in_person_is_verified_at_once_and_the_intake_is_woken(
    doors: Doors, sqs_client: Any
) -> None:
    request_id, answer = doors.open(
        "access", account_id=doors.account(1), verification=SESSION, channel="app"
    )
    assert answer.status_code == 202
    row = doors.row(request_id)
    assert (row.right, row.subject_key, row.state, row.channel) == (
        "access",
        doors.account(1),
        "received",
        "app",
    )
    assert row.verified_at == NOW and row.verification["method"] == "session"
    assert answer.json() == {
        "request_id": request_id,
        "due_at": row.due_at.isoformat().replace("+00:00", "Z"),
        "status_url": f"{V1}/requests/{request_id}",
    }
    assert answer.headers["location"] == answer.json()["status_url"]
    (bell,) = sqs_client.receive_message(QueueUrl=doors.queue_url)["Messages"]
    assert json.loads(bell["Body"]) == {"request_id": request_id}
    (received,) = doors.ledger.evidence(request_id=row.id, kind="request_received")
    assert received.body["by"] == "api"


def test_an_address_leads_to_its_account_however_it_is_written(doors: Doors) -> None:
    request_id, _ = doors.open("erasure", email=doors.address(2).upper(), channel="email")
    row = doors.row(request_id)
    assert (row.subject_key, row.verified_at) == (doors.account(2), None)


def test_an_old_or_weak_session_is_taken_but_verifies_nobody(doors: Doors) -> None:
    old = SESSION | {"authenticated_at": (NOW - timedelta(hours=5)).isoformat()}
    for statement in (old, SESSION | {"strength": "remembered"}):
        request_id, answer = doors.open(
            "access", account_id=doors.account(len(statement["strength"])), verification=statement
        )
        assert answer.status_code == 202
        assert doors.row(request_id).verified_at is None


def test_the_clocks_run_from_the_day_the_person_asked(doors: Doors) -> None:
    asked = NOW - timedelta(days=6)
    request_id, _ = doors.open(
        "access", account_id=doors.account(1), received_at=asked.isoformat(), channel="letter"
    )
    row = doors.row(request_id)
    assert row.received_at == asked
    assert row.due["received_at"].startswith(asked.date().isoformat())


def test_an_agent_is_kept_apart_from_the_person(doors: Doors) -> None:
    agent = {"name": "Consumer Aid", "mandate": "power_of_attorney", "evidence": "scan 17/2026"}
    request_id, answer = doors.open("access", email=doors.address(3), agent=agent)
    assert answer.status_code == 202
    assert doors.row(request_id).agent == agent
    assert "Consumer Aid" not in doors.dump()


def test_sent_again_nothing_new_opens(doors: Doors) -> None:
    before = len(doors.ledger.requests(["received"]))
    message = {"request_id": str(uuid4()), "right": "erasure", "email": doors.address(20)}
    first, second = (doors.post("/requests", message) for _ in range(2))
    assert first.json() == second.json() and second.status_code == 202
    unknown = {"request_id": str(uuid4()), "right": "erasure", "email": STRANGER}
    first, second = (doors.post("/requests", unknown) for _ in range(2))
    assert first.json() == second.json() and second.status_code == 202
    assert len(doors.ledger.requests(["received"])) == before + 2


def test_sent_many_times_at_once_one_request_opens(doors: Doors) -> None:
    before = len(doors.ledger.requests(["received"]))
    for who in (doors.address(21), STRANGER):
        message = {"request_id": str(uuid4()), "right": "erasure", "email": who}
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda m: doors.post("/requests", m), [message] * 6))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
    assert len(doors.ledger.requests(["received"])) == before + 2


@pytest.mark.parametrize("change", [{"right": "access"}, {"email": None, "account_id": "9"}])
def test_an_id_is_not_used_for_another_person_or_right(doors: Doors, change: dict[str, str | None]) -> None:
    message: dict[str, Any] = {"request_id": str(uuid4()), "right": "erasure", "email": doors.address(4)}
    assert doors.post("/requests", message).status_code == 202
    other = {k: v for k, v in (message | change).items() if v is not None}
    answer = doors.post("/requests", other)
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("request_id:")


def test_a_person_with_two_accounts_gets_two_requests_under_one_id(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The platform allows an address once; other platforms' accounts may share one.
    monkeypatch.setattr(type(doors.runtime.root()), "keys_of_address", lambda *_: ["7", "12"])
    request_id = str(uuid4())
    message = {"request_id": request_id, "right": "access", "email": "both@example.org"}
    assert doors.post("/requests", message).status_code == 202
    _, second, third, *_ = family_ids(request_id)
    assert [doors.row(i).subject_key for i in (request_id, second)] == ["7", "12"]
    assert doors.get(f"/requests/{request_id}").json()["further"] == [], "nobody is verified"

    monkeypatch.setattr(type(doors.runtime.root()), "keys_of_address", lambda *_: ["5", "7", "12"])
    assert doors.post("/requests", message).status_code == 202
    assert [doors.row(i).subject_key for i in (request_id, second, third)] == ["7", "12", "5"]

    stated = {"account_id": "7", "verification": {"method": "one_time_token"}}
    assert doors.post(f"/requests/{request_id}/verify", stated).json() == {"verified": True}
    status = doors.get(f"/requests/{request_id}").json()
    assert (status["verified"], status["further"]) == (True, [second, third])
    assert doors.row(second).verified_at is None, "each account is verified for itself"
    assert doors.get(f"/requests/{second}").json()["request_id"] == second

    doors.post(f"/requests/{request_id}/withdraw", {})
    assert {doors.row(i).state for i in (request_id, second, third)} == {"withdrawn"}


def test_a_call_that_broke_off_is_completed_by_the_next(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.requests import remote

    monkeypatch.setattr(type(doors.runtime.root()), "keys_of_address", lambda *_: ["3007", "3012"])
    opened: list[str] = []
    open_request = remote.open_request

    def breaks_off(opening: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(opening.external_id)
        if len(opened) == 2:
            raise MemoryError
        return open_request(opening, *args, **kwargs)

    monkeypatch.setattr(remote, "open_request", breaks_off)
    message = {"request_id": str(uuid4()), "right": "access", "email": "both@example.org"}
    assert doors.post("/requests", message).status_code == 500
    assert doors.post("/requests", message).status_code == 202
    assert [row.subject_key for row in family(message["request_id"])] == ["3007", "3012"]


def test_known_and_unknown_people_take_the_same_statements_and_get_the_same_answer(doors: Doors) -> None:
    """At the level of statements, since clocks prove nothing on a busy machine."""
    import psycopg

    taken: dict[str, list[str]] = {}
    shapes: dict[str, Any] = {}
    doors.open("access", email=doors.address(60))  # what is built at first use
    for name, who in {
        "known": {"email": doors.address(5)},
        "unknown": {"email": STRANGER},
        "asked before": {"email": doors.address(60)},
        "account": {"account_id": doors.account(6)},
        "no account": {"account_id": "99999999"},
    }.items():
        statements = taken.setdefault(name, [])

        def note(*call: Any, into: list[str] = statements) -> None:
            into.append(str(call[2]))

        execute = psycopg.Connection.execute

        def noted(
            self: Any, query: Any, *args: Any, into: list[str] = statements, really: Any = execute, **kw: Any
        ) -> Any:
            into.append(query if isinstance(query, str) else query.as_string(self))
            return really(self, query, *args, **kw)

        engine = doors.runtime.ledger().engine
        event.listen(engine, "before_cursor_execute", note)
        psycopg.Connection.execute = noted  # type: ignore[method-assign, assignment]
        try:
            request_id, answer = doors.open("access", **who)
        finally:
            psycopg.Connection.execute = execute  # type: ignore[method-assign]
            event.remove(engine, "before_cursor_execute", note)
        body = answer.json()
        shapes[name] = (
            answer.status_code,
            sorted(answer.headers),
            {**body, "request_id": "-", "status_url": body["status_url"].replace(request_id, "-")},
        )
        shown = doors.get(f"/requests/{request_id}").json()
        shapes[name] += (
            {**shown, "request_id": "-", "state": "-" if shown["state"] == "verifying" else shown["state"]},
        )
    assert taken["known"] == taken["unknown"] == taken["asked before"] != []
    assert taken["account"] == taken["no account"] != []
    assert shapes["known"] == shapes["unknown"] == shapes["account"] == shapes["no account"]
    assert shapes["asked before"][:3] == shapes["known"][:3]


def test_somebody_unknown_is_never_named_in_the_ledger(doors: Doors) -> None:
    request_id, _ = doors.open("access", email=STRANGER)
    assert doors.row(request_id).subject_key == f"?{request_id}"
    assert "stranger" not in doors.dump()


def test_the_token_of_the_letter_verifies_once(doors: Doors, sqs_client: Any) -> None:
    request_id, _ = doors.open("access", email=doors.address(8))
    row = doors.row(request_id)
    doors.ledger.acknowledge_request(row.id)
    token = doors.ledger.issue_token(row.id, NOW, timedelta(hours=72))
    path = f"/requests/{request_id}/verify"
    assert doors.post(path, {"token": "wrong"}).json() == {"verified": False}
    assert doors.post(path, {"token": token}).json() == {"verified": True}
    assert doors.row(request_id).state == "assessing"
    (verified,) = doors.ledger.evidence(request_id=row.id, kind="request_verified")
    assert verified.body["by"] == "api"
    assert doors.post(path, {"token": token}).json() == {"verified": False}


def test_wrong_tokens_look_alike_whether_the_request_exists_or_not(doors: Doors) -> None:
    known, _ = doors.open("access", email=doors.address(8))
    answers = []
    for request_id in (known, str(uuid4())):
        for _ in range(MOST_ATTEMPTS + 1):
            answer = doors.post(f"/requests/{request_id}/verify", {"token": "guess"})
            answers.append((answer.status_code, answer.text, sorted(answer.headers)))
    assert len(set(map(str, answers))) == 1
    assert answers[0][:2] == (200, '{"verified":false}')


def test_the_platform_states_what_it_has_verified_itself(doors: Doors) -> None:
    request_id, _ = doors.open("access", account_id=doors.account(11), verification={"pending": "platform"})
    path = f"/requests/{request_id}/verify"
    assert doors.row(request_id).verification == {"pending": "platform"}
    for account, statement in (
        (doors.account(12), {"method": "one_time_token"}),
        (doors.account(11), {}),
        (doors.account(11), SESSION | {"strength": "remembered"}),
    ):
        answer = doors.post(path, {"account_id": account, "verification": statement})
        assert answer.json() == {"verified": False}
    answer = doors.post(path, {"account_id": doors.account(11), "verification": {"method": "one_time_token"}})
    assert answer.json() == {"verified": True}
    assert doors.row(request_id).verification == {"method": "one_time_token"}


def test_a_request_is_withdrawn_until_it_is_carried_out(doors: Doors) -> None:
    request_id, _ = doors.open("erasure", account_id=doors.account(13), verification=SESSION)
    for _ in range(2):
        answer = doors.post(f"/requests/{request_id}/withdraw", {})
        assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")
    (closed,) = doors.ledger.evidence(request_id=doors.row(request_id).id, kind="request_closed")
    assert closed.body["by"] == "api"
    assert doors.row(request_id).details is None

    other, _ = doors.open("erasure", account_id=doors.account(14), verification=SESSION)
    row = doors.row(other)
    doors.ledger.acknowledge_request(row.id)
    doors.ledger.transition(row.id, "executing", None)
    assert doors.post(f"/requests/{other}/withdraw", {}).json()["state"] == "executing"
    assert doors.post(f"/requests/{uuid4()}/withdraw", {}).status_code == 404


def test_the_status_shows_dates_and_no_person(doors: Doors) -> None:
    address = doors.address(15)
    request_id, _ = doors.open(
        "rectification", email=address, details={"corrections": {"full_name": "Ada New"}}
    )
    answer = doors.get(f"/requests/{request_id}")
    row = doors.row(request_id)
    status = answer.json()
    assert status["state"] == "received" and status["right"] == "rectification"
    assert status["due_at"] == row.due_at.isoformat().replace("+00:00", "Z")
    assert status["promise_at"] is not None and status["law_at"] is not None and status["extended"] is False
    assert address not in answer.text and "Ada" not in answer.text and doors.account(15) not in answer.text
    assert doors.get(f"/requests/{uuid4()}").status_code == 404


def test_a_reason_is_shown_only_when_a_request_is_closed(doors: Doors) -> None:
    request_id, _ = doors.open("erasure", account_id=doors.account(16), verification=SESSION)
    row = doors.row(request_id)
    doors.ledger.acknowledge_request(row.id)
    doors.ledger.transition(row.id, "on_hold", "a legal hold covers the person")
    assert doors.get(f"/requests/{request_id}").json()["reason"] is None
    doors.ledger.close_request(row.id, "refused", None, {}, NOW, reason="no_such_account")
    status = doors.get(f"/requests/{request_id}").json()
    assert (status["state"], status["reason"]) == ("refused", "no_such_account")


def test_whoever_joins_an_earlier_request_unverified_does_not_learn_of_it(doors: Doors) -> None:
    first, _ = doors.open("access", account_id=doors.account(17), verification=SESSION)
    doors.ledger.acknowledge_request(doors.row(first).id)
    second, _ = doors.open("access", email=doors.address(17))
    assert doors.row(second).state == "joined"
    assert doors.get(f"/requests/{second}").json()["state"] == "verifying"
    third, _ = doors.open("access", account_id=doors.account(17), verification=SESSION)
    assert doors.get(f"/requests/{third}").json()["state"] == "assessing"


def test_a_bell_that_cannot_ring_hinders_nobody(doors: Doors, caplog: pytest.LogCaptureFixture) -> None:
    del doors.connections["request_queue"]
    request_id, answer = doors.open("access", account_id=doors.account(18))
    assert answer.status_code == 202
    assert UUID(request_id) and doors.row(request_id).state == "received"
    assert "the sweep will find the request" in caplog.text
