"""SendGrid's stand-in by itself: what it refuses, what it logs, how it limits, fails and shows mail."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.limits import RateLimit
from tests.mail.conftest import KEY, Post, post

__all__ = ["post"]  # a fixture


def mail(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "from": {"email": "privacy@practice-engine.example"},
        "personalizations": [{"to": [{"email": "p@practice.example"}]}],
        "subject": "Hello",
        "content": [{"type": "text/plain", "value": "Hello"}],
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def ask(post: Post, path: str, body: Any, *, key: str = KEY, method: str = "POST") -> tuple[Response, Any]:
    """One call over HTTP; the answer and its JSON."""
    connection = http.client.HTTPConnection(post.endpoint.removeprefix("http://"), timeout=10)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, {"Authorization": f"Bearer {key}"})
        got = connection.getresponse()
        response = Response(got.status, got.read(), dict(got.headers))
    finally:
        connection.close()
    return response, json.loads(response.body) if response.body.startswith(b"{") else None


def test_accepted_is_202_with_an_id_and_no_body(post: Post) -> None:
    response, _ = ask(post, "/v3/mail/send", mail())
    assert (response.status, response.body) == (202, b"")
    assert response.headers["X-Message-Id"] == post.mails()[0].message_id


def test_the_same_call_twice_is_two_mails(post: Post) -> None:
    for _ in range(2):
        ask(post, "/v3/mail/send", mail())
    assert len(post.mails()) == 2


def test_in_sandbox_mode_nothing_is_sent_and_the_answer_is_200(post: Post) -> None:
    response, _ = ask(post, "/v3/mail/send", mail(mail_settings={"sandbox_mode": {"enable": True}}))
    assert (response.status, post.mails()) == (200, [])


FIELDS = [
    "from", "personalizations", "to", "cc", "email", "name", "subject", "content", "type", "value",
    "categories", "custom_args", "send_at", "reply_to", "tracking_settings", "click_tracking",
    "mail_settings", "sandbox_mode", "enable", "template_id",
]  # fmt: skip


def person(n: int) -> dict[str, Any]:
    return {"to": [{"email": f"p{n}@practice.example"}]}


WRONG = [
    (mail(**{"from": None}), "from"),
    (mail(**{"from": {"email": "nowhere"}}), "from.email"),
    (mail(**{"from": {"email": "ü@practice.example"}}), "from.email"),
    (mail(**{"from": {"email": "a@b.example", "name": "A; B"}}), "from.name"),
    (mail(personalizations=[]), "personalizations"),
    (mail(personalizations=[person(n) for n in range(1001)]), "personalizations"),
    (
        mail(personalizations=[{"to": [{"email": f"p{n}@b.example"} for n in range(1001)]}]),
        "personalizations",
    ),
    (mail(personalizations=[{"to": []}]), "personalizations.0.to"),
    (mail(personalizations=[{"to": [{"email": "x"}]}]), "personalizations.0.to.0.email"),
    (
        mail(personalizations=[{"to": [{"email": "a@b.example"}, {"email": "A@b.example"}]}]),
        "personalizations.0",
    ),
    (
        mail(personalizations=[person(1) | {"custom_args": {"a": "x" * 10_000}}]),
        "personalizations.0.custom_args",
    ),
    (mail(subject=None), "subject"),
    (mail(subject=""), "subject"),
    (mail(subject="Hello\nBcc: x@b.example"), "subject"),
    (mail(content=None), "content"),
    (mail(content=[{"type": "text/plain", "value": ""}]), "content.0.value"),
    (mail(content=[{"type": t, "value": "x"} for t in ("text/html", "text/plain")]), "content"),
    (mail(content=[{"type": "text/plain", "value": "x"}] * 2), "content"),
    (mail(categories=["c"] * 2), "categories"),
    (mail(categories=[str(n) for n in range(11)]), "categories"),
    (mail(categories=["c" * 256]), "categories"),
    (mail(send_at=4_000_000_000), "send_at"),
    (mail(subjekt="x"), "subjekt"),
    (mail(tracking_settings={"tracking": {"enable": False}}), "tracking_settings.tracking"),
    (
        mail(mail_settings={f"bypass_{n}_management": {"enable": True} for n in ("list", "spam")}),
        "mail_settings",
    ),
]


@pytest.mark.parametrize(("body", "field"), WRONG, ids=[f"{n}-{f}" for n, (_, f) in enumerate(WRONG)])
def test_a_wrong_mail_is_a_400_that_names_the_field_and_sends_nothing(
    post: Post, body: dict[str, Any], field: str
) -> None:
    response, told = ask(post, "/v3/mail/send", body)
    assert response.status == 400
    assert told["errors"][0]["field"] == field
    assert post.mails() == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from(FIELDS), value=json_values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_stands_in_a_field_is_accepted_or_refused_and_breaks_nothing(
    post: Post, field: str, value: Any
) -> None:
    for path, body in (
        ("/v3/mail/send", mail() | {field: value}),
        ("/v3/logs", {"query": value, "limit": value}),
    ):
        request = Request.of("POST", path, {"Authorization": f"Bearer {KEY}"}, json.dumps(body).encode())
        assert post.stand_in.answer(request).status in (200, 202, 400)
    assert all(m.subject and m.text for m in post.mails())


def test_a_wrong_key_path_method_or_size_and_broken_json_are_refused(post: Post) -> None:
    assert ask(post, "/v3/mail/send", mail(), key="SG.other")[0].status == 401
    assert ask(post, "/v3/mail/sent", mail())[0].status == 404
    assert ask(post, "/v3/mail/send", b"", method="GET")[0].status == 405
    assert ask(post, "/v3/mail/send", b"{")[0].status == 400
    assert ask(post, "/v3/mail/send", b" " * (30 * 1024 * 1024 + 1))[0].status == 413
    assert post.mails() == []


def test_each_person_of_a_call_gets_a_mail_of_their_own(post: Post) -> None:
    ask(post, "/v3/mail/send", mail(personalizations=[person(n) for n in range(3)]))
    assert [m.to for m in post.mails()] == [f"p{n}@practice.example" for n in range(3)]
    assert len({m.headers["Message-ID"] for m in post.mails()}) == 3


@pytest.fixture
def logged(post: Post) -> Post:
    """Mails of three people, of which the first two share a category."""
    for n, category in enumerate(["one", "one", "two"]):
        ask(post, "/v3/mail/send", mail(personalizations=[person(n)], categories=[category], subject=f"S{n}"))
    return post


LONG_AGO = 'TIMESTAMP "2020-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"S0", "S1", "S2"}),
        ("categories IN ('one')", {"S0", "S1"}),
        ("categories IN ('one', 'two')", {"S0", "S1", "S2"}),
        ('to_email = "p2@practice.example"', {"S2"}),
        ("categories IN ('one') AND subject = 'S1'", {"S1"}),
        ("status IN ('bounced')", set()),
        (f"sg_message_id_created_at >= {LONG_AGO}", {"S0", "S1", "S2"}),
        (f"sg_message_id_created_at < {LONG_AGO}", set()),
        ("categories IN ('three')", set()),
    ],
)  # fmt: skip
def test_the_log_is_searched_by_the_documented_conditions(logged: Post, query: str, found: set[str]) -> None:
    response, answer = ask(logged, "/v3/logs", {"query": query, "limit": 1000})
    assert response.status == 200
    assert {message["subject"] for message in answer["messages"]} == found


@pytest.mark.parametrize(
    "query",
    ["categories = 'one'", "subject IN ('S1')", "nonsense", "subject = 'a' OR subject = 'b'",
     "subject = 'a' AND", 'sg_message_id_created_at > TIMESTAMP "yesterday"',
     "to_email = p2@practice.example", 5],
)  # fmt: skip
def test_a_query_that_is_not_in_the_language_is_a_400(logged: Post, query: object) -> None:
    assert ask(logged, "/v3/logs", {"query": query})[0].status == 400


def test_the_log_shows_as_many_as_asked_and_ten_by_default(logged: Post) -> None:
    for n in range(10):
        ask(logged, "/v3/mail/send", mail(personalizations=[person(n)]))
    assert len(ask(logged, "/v3/logs", {})[1]["messages"]) == 10
    assert len(ask(logged, "/v3/logs", {"limit": 2})[1]["messages"]) == 2
    for limit in (0, 1001, "5", True):
        assert ask(logged, "/v3/logs", {"limit": limit})[0].status == 400


def test_every_answer_says_how_many_calls_are_left_and_then_there_are_none(post: Post) -> None:
    post.control.configure(limit=2, per_seconds=3600)
    left = [ask(post, "/v3/mail/send", mail())[0] for _ in range(3)]
    assert [r.headers["X-RateLimit-Remaining"] for r in left] == ["1", "0", "0"]
    assert [r.status for r in left] == [202, 202, 429]
    assert int(left[2].headers["X-RateLimit-Reset"]) > time.time() - 5
    assert ask(post, "/v3/logs", {})[0].status == 200, "each path has a window of its own"


def test_a_window_ends_when_its_headers_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.5
    monkeypatch.setattr("time.time", lambda: now)
    limit = RateLimit(1, 10)
    assert [limit.take()[0], limit.take()[0]] == [True, False]
    now = float(limit.take()[1]["X-RateLimit-Reset"])
    assert limit.take()[0]


def test_unknown_settings_and_faults_are_refused_with_the_known_ones(post: Post) -> None:
    with pytest.raises(ValueError, match=r"clock_offset_seconds.*limit, log_lag_seconds.*per_seconds"):
        post.control.configure(rate=5)
    with pytest.raises(ValueError, match="kind is one of status, timeout, reset, slow, malformed"):
        post.control.fail(kind="explosion")
    with pytest.raises(ValueError, match="unexpected keyword"):
        post.control.fail(howoften=3)
    assert post.control.faults() == []


def test_a_fault_hits_the_calls_it_is_meant_for_and_then_is_gone(post: Post) -> None:
    post.control.fail(status=500, path="/v3/mail", skip=1, count=2)
    assert ask(post, "/v3/logs", {})[0].status == 200
    assert [ask(post, "/v3/mail/send", mail())[0].status for _ in range(4)] == [202, 500, 500, 202]
    assert post.control.faults() == []
    post.control.fail(status=500)
    post.control.clear_faults()
    assert ask(post, "/v3/mail/send", mail())[0].status == 202


def test_people_can_read_the_mailbox_and_what_it_holds_runs_nothing(post: Post) -> None:
    hostile = "<script>alert(1)</script>"
    content = [{"type": "text/plain", "value": hostile}, {"type": "text/html", "value": hostile}]
    ask(post, "/v3/mail/send", mail(subject=hostile, content=content))
    listing = ask(post, "/", b"", method="GET")[0].body.decode()
    reading = ask(post, "/mail/000001", b"", method="GET")[0].body.decode()
    assert "p@practice.example" in listing
    assert "/mail/000001" in listing
    assert "<script>" not in listing + reading
    assert "<iframe sandbox " in reading
    for path in ("/mail/000002", "/mail/..%2f..%2fstate", "/mail/../../state.json", "/elsewhere"):
        assert ask(post, path, b"", method="GET")[0].status == 404


def test_a_stand_in_asked_in_process_needs_no_socket(post: Post) -> None:
    request = Request.of("GET", "/?a=1", {"Host": "x"})
    assert request.query == {"a": "1"}
    assert post.stand_in.answer(request).status == 200
