"""SendGrid's event webhook: what is signed, now, and a list of events is recorded; all else is refused."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from include.privacy.api.sendgrid_events import add_sendgrid_events
from include.privacy.api.shield import LONGER, Shield
from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.mail.bulk import Fate, Fated
from include.privacy.mail.sendgrid_events import REPLAY, SIGNATURE, TIMESTAMP, parse
from include.privacy.runtime import Runtime, use_runtime

KEY = ec.generate_private_key(ec.SECP256R1())
TOKEN = "a-token-of-this-notice"
PATH = "/api/v1/sendgrid-events"


def der(key: Any) -> str:
    return base64.b64encode(
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def event(name: str, **more: Any) -> dict[str, Any]:
    return {
        "event": name, "email": "Anna@Practice.example", "timestamp": 1_790_000_000, "reference": TOKEN,
        "sg_message_id": "m.filter-1", "sg_event_id": "e", "category": ["b"],
    } | more  # fmt: skip


class Webhook:
    """The route, what it recorded, and how it is called."""

    def __init__(self) -> None:
        self.recorded: list[Fated] = []
        app = FastAPI(openapi_url=None)
        assert add_sendgrid_events(app, self.recorded.extend, key=der(KEY))
        app.add_middleware(Shield)
        self.client = TestClient(app, raise_server_exceptions=False)

    def post(self, body: bytes, *, key: Any = KEY, at: float | str | None = None, **headers: str) -> Any:
        timestamp = str(int(time.time() if at is None else at)) if not isinstance(at, str) else at
        signature = base64.b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))).decode()
        told = {SIGNATURE: signature, TIMESTAMP: timestamp, **headers}
        return self.client.post(PATH, content=body, headers={k: v for k, v in told.items() if v})


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


def test_signed_events_are_recorded_with_what_they_mean(webhook: Webhook) -> None:
    said = [
        event("processed"),
        event("delivered", response="250 OK"),
        event("deferred", attempt="1"),
        event("bounce", type="bounce", reason="550 5.1.1 no such mailbox"),
        event("bounce", type="blocked", reason="550 5.7.1 policy"),
        event("dropped", reason="Bounced Address"),
        event("dropped", reason="Recipient List over Package Quota", email=""),
        event("open"), event("click"), event("unsubscribe"), event("spamreport"),
        event("delivered", reference="an address@practice.example"),
    ]  # fmt: skip
    assert webhook.post(json.dumps(said).encode()).status_code == 204
    assert [(f.fate, f.of_address, f.reason) for f in webhook.recorded] == [
        (Fate.accepted, False, ""),
        (Fate.delivered, False, ""),
        (Fate.deferred, False, ""),
        (Fate.bounced, True, "hard_bounce"),
        (Fate.bounced, False, "blocked"),
        (Fate.dropped, True, "suppressed_bounce"),
        (Fate.dropped, False, "dropped"),
        (Fate.delivered, False, ""),
    ]
    assert [f.address for f in webhook.recorded] == ["anna@practice.example"] * 6 + [
        None,
        "anna@practice.example",
    ]
    assert [f.reference for f in webhook.recorded] == [TOKEN] * 7 + [None]
    assert {f.at.timestamp() for f in webhook.recorded} == {1_790_000_000}


BODY = json.dumps([event("delivered")]).encode()


@pytest.mark.parametrize(
    "refused",
    [
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {SIGNATURE: "bm90IGEgc2lnbmF0dXJl"},
        {SIGNATURE: "not base64 at all"},
        {SIGNATURE: ""},
        {TIMESTAMP: ""},
        {TIMESTAMP: "1790000000"},
        {"at": "yesterday"},
        {"at": "9" * 30},
        {"at": time.time() - REPLAY.total_seconds() - 60},
        {"at": time.time() + 7 * 24 * 3600.0},
    ],
    ids=lambda value: " ".join(value),
)
def test_what_sendgrid_did_not_sign_just_now_is_refused(webhook: Webhook, refused: dict[str, Any]) -> None:
    answer = webhook.post(BODY, **refused)
    assert (answer.status_code, webhook.recorded) == (403, [])
    assert "practice" not in answer.text


def test_a_body_that_was_changed_on_the_way_is_refused(webhook: Webhook) -> None:
    timestamp = str(int(time.time()))
    signature = base64.b64encode(KEY.sign(timestamp.encode() + BODY, ec.ECDSA(SHA256()))).decode()
    changed = BODY.replace(b"delivered", b"processed")
    headers = {SIGNATURE: signature, TIMESTAMP: timestamp}
    assert webhook.client.post(PATH, content=changed, headers=headers).status_code == 403
    assert webhook.client.post(PATH, content=BODY, headers=headers).status_code == 204


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b"[{}]", b"\xff", b"null", b"[" * 100_000, b'[{"event": []}]']
    + [json.dumps([event("delivered", timestamp=wrong)]).encode() for wrong in (None, "soon", 1e300, "NaN")],
)
def test_a_malformed_body_is_refused_whole_and_not_repeated(webhook: Webhook, body: bytes) -> None:
    answer = webhook.post(body)
    assert answer.status_code == 400
    assert answer.json() == {"detail": "the body is not SendGrid's list of events"}
    assert webhook.recorded == []


def test_a_call_as_large_as_sendgrid_makes_is_taken_and_a_larger_one_is_not(webhook: Webhook) -> None:
    most = json.dumps([event("delivered", response="x" * 500)] * 1_000).encode()
    assert 64 * 1024 < len(most) <= 768 * 1024
    assert webhook.post(most).status_code == 204
    assert len(webhook.recorded) == 1_000
    assert webhook.post(b"[" + b" " * LONGER["/sendgrid-events"]).status_code == 413


def test_events_that_cannot_be_recorded_now_are_asked_for_again() -> None:
    def broken(events: Sequence[Fated]) -> None:
        raise RuntimeError(f"{events[0].address}")

    webhook = Webhook()
    app = FastAPI(openapi_url=None)
    add_sendgrid_events(app, broken, key=der(KEY))
    app.add_middleware(Shield)
    webhook.client = TestClient(app, raise_server_exceptions=False)
    answer = webhook.post(BODY)
    assert answer.status_code == 500
    assert "anna" not in answer.text


def test_nothing_of_the_events_is_logged(webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.post(BODY)
    webhook.post(b"[{}]")
    assert "1 events from SendGrid" in caplog.text
    for secret in ("anna", TOKEN):
        assert secret not in caplog.text.lower()


def test_without_a_key_there_is_no_route_and_with_the_connections_there_is() -> None:
    def connect(extra: dict[str, str]) -> bool:
        info = ConnectionInfo("sendgrid", "generic", extra=extra)
        with use_runtime(Runtime(lambda _: info)):
            return add_sendgrid_events(FastAPI(), lambda events: None)

    def unknown(conn_id: str) -> ConnectionInfo:
        raise UnusableConnectionError(f"connection {conn_id!r} is not known")

    assert connect({"event_public_key": der(KEY)})
    assert not connect({})
    with use_runtime(Runtime(unknown)):
        assert not add_sendgrid_events(FastAPI(), lambda events: None)
    app = FastAPI()
    assert not add_sendgrid_events(app, lambda events: None, key="")
    assert TestClient(app).post(PATH).status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "bm9wZQ==",
        der(ed25519.Ed25519PrivateKey.generate()),
        der(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["no base64", "no key", "another kind", "another curve"],
)
def test_a_key_that_cannot_be_sendgrids_is_told_by_the_name_of_the_connection(text: str) -> None:
    with pytest.raises(UnusableConnectionError, match=r"'sendgrid'.*event_public_key") as refused:
        add_sendgrid_events(FastAPI(), lambda events: None, key=text)
    assert text not in str(refused.value).split()


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from([*"event", "delivered"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["event", "email", "timestamp", "reference", "reason"]), inner)
    ),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=3))
def test_whatever_is_signed_is_a_list_of_fates_or_refused(value: list[Any]) -> None:
    found: list[Fated] = []
    with contextlib.suppress(ValueError):
        found = parse(json.dumps(value).encode())
    assert all(isinstance(each, Fated) for each in found)
