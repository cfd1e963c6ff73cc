"""Controllers are told of every change: signed, in order, at least once, and only where it was agreed."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from psycopg.conninfo import conninfo_to_dict

from include.privacy.requests.opendsr import callbacks
from include.privacy.requests.opendsr.callbacks import (
    GIVE_UP,
    CallbacksGivenUpError,
    deliver_callbacks,
    queue_status_callbacks,
)
from include.privacy.requests.opendsr.processor import CONNECTION, UnusableProcessorError
from tests.api.conftest import NOW, OPENDSR, Doors
from tests.api.signing import CERTIFICATE, DOMAIN, make_certificate, make_key, pem

MINUTE = timedelta(minutes=1)


class Controller:
    """A controller's endpoint on this machine; answers as it is told and keeps what it is sent."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.heard: list[dict[str, Any]] = []
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        controller = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                controller.heard.append({"path": self.path, "headers": self.headers, "body": body})
                answer = controller.answers.pop(0) if controller.answers else status(202)
                answer(self)

            def do_GET(self) -> None:
                controller.heard.append({"path": self.path, "followed": True})
                status(200)(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def statuses(self, path: str) -> list[str]:
        return [json.loads(h["body"])["request_status"] for h in self.heard if h["path"] == path]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def drip(handler: BaseHTTPRequestHandler) -> None:
    """One byte at a time, each before the time-out of a single read."""
    for _ in range(60):
        try:
            handler.wfile.write(b"H")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.1)


@pytest.fixture
def ledger_name(ledger_template: str, fresh_database: Callable[..., str]) -> str:
    """A ledger for each test: what one leaves undelivered is no other's."""
    return str(conninfo_to_dict(fresh_database("ledger_owner", ledger_template))["dbname"])


@pytest.fixture
def controller() -> Iterator[Controller]:
    running = Controller()
    yield running
    running.close()


@pytest.fixture
def ask(doors: Doors, controller: Controller) -> Callable[..., tuple[str, str]]:
    """Send a request whose status goes to the controller; returns its id and the callback's path."""
    doors.allow_callbacks(f"127.0.0.1:{controller.port}")

    def send(place: int, *, verified: bool = True) -> tuple[str, str]:
        request_id, path = str(uuid4()), f"/{uuid4()}"
        message = {
            "regulation": "gdpr",
            "subject_request_id": request_id,
            "subject_request_type": "erasure",
            "submitted_time": NOW.isoformat(),
            "subject_identities": [
                {"identity_type": "email", "identity_format": "raw", "identity_value": doors.address(place)}
            ],
            "status_callback_urls": [f"http://127.0.0.1:{controller.port}{path}"],
        }
        if verified:
            message["extensions"] = {DOMAIN: {"verification": {"method": "one_time_token"}}}
        answer = doors.client.post(f"{OPENDSR}/v2/requests", json=message, headers=doors.user)
        assert answer.status_code == 201, answer.text
        return request_id, path

    return send


def test_every_change_is_told_once_in_order_and_signed(
    doors: Doors, controller: Controller, ask: Callable[..., tuple[str, str]]
) -> None:
    request_id, path = ask(31)
    assert deliver_callbacks(NOW) == {"delivered": 1}
    row = doors.row(request_id)
    doors.ledger.acknowledge_request(row.id)
    for _ in range(2):
        queue_status_callbacks(NOW + MINUTE)
    deliver_callbacks(NOW + MINUTE)
    assert controller.statuses(path) == ["pending", "in_progress"]
    doors.ledger.close_request(row.id, "refused", None, {}, NOW, reason="no_such_account")
    assert doors.row(request_id).details is None, "the key of the request is gone"
    for _ in range(2):
        queue_status_callbacks(NOW + 2 * MINUTE)
        deliver_callbacks(NOW + 2 * MINUTE)
    assert controller.statuses(path) == ["pending", "in_progress", "completed"]

    key = x509.load_pem_x509_certificate(CERTIFICATE.encode()).public_key()
    for heard in (h for h in controller.heard if h["path"] == path):
        for names in ("OpenDSR", "OpenGDPR"):
            assert heard["headers"][f"X-{names}-Processor-Domain"] == DOMAIN
            signature = base64.b64decode(heard["headers"][f"X-{names}-Signature"])
            key.verify(signature, heard["body"], PKCS1v15(), SHA256())  # type: ignore[union-attr, call-arg, arg-type]
    assert json.loads(controller.heard[-1]["body"]) == {
        "controller_id": "practice-engine",
        "expected_completion_time": f"{row.due_at:%Y-%m-%dT%H:%M:%SZ}",
        "subject_request_id": request_id,
        "request_status": "completed",
        "api_version": "2.0",
        "results_url": None,
        "results_count": None,
        "extensions": {DOMAIN: {"outcomes": [{"outcome": "refused", "reason": "no_such_account"}]}},
        "status_callback_url": f"http://127.0.0.1:{controller.port}{path}",
    }
    outcomes = [e.body["outcome"] for e in doors.ledger.evidence(request_id=row.id, kind="callback")]
    assert outcomes == ["delivered"] * 3


def test_statuses_that_were_passed_between_two_runs_are_not_made_up(
    doors: Doors, controller: Controller, ask: Callable[..., tuple[str, str]]
) -> None:
    request_id, path = ask(32, verified=False)
    doors.client.delete(f"{OPENDSR}/v2/requests/{request_id}", headers=doors.user)
    # A run that was started before the request came must not put its word before the first one.
    queue_status_callbacks(NOW - MINUTE)
    deliver_callbacks(NOW + MINUTE)
    assert controller.statuses(path) == ["pending", "cancelled"]
    assert queue_status_callbacks(NOW + MINUTE) == 0


@pytest.mark.parametrize(
    "failure",
    [
        status(500),
        status(404),
        status(403),
        status(302, Location="/elsewhere"),
        status(307, Location="/elsewhere"),
    ],
    ids=["500", "404", "403", "302", "307"],
)
def test_what_is_no_delivery_is_repeated_with_growing_pauses(
    doors: Doors,
    controller: Controller,
    ask: Callable[..., tuple[str, str]],
    failure: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    _, path = ask(33)
    controller.answers = [failure] * 3
    assert deliver_callbacks(NOW) == {"to_be_repeated": 1}
    at = NOW
    for pause in (5, 10):
        assert deliver_callbacks(at + pause * MINUTE - timedelta(seconds=1)) == {}
        at += pause * MINUTE
        assert deliver_callbacks(at) == {"to_be_repeated": 1}
    assert deliver_callbacks(at + 20 * MINUTE) == {"delivered": 1}
    assert controller.statuses(path) == ["pending"] * 4
    assert not any(h.get("followed") or h["path"] == "/elsewhere" for h in controller.heard)


@pytest.mark.parametrize("way", ["hangs", "drips", "is gone"])
def test_a_controller_that_does_not_answer_holds_nobody_up(
    doors: Doors,
    controller: Controller,
    ask: Callable[..., tuple[str, str]],
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = callbacks.WITHIN_SECONDS
    monkeypatch.setattr(callbacks, "WITHIN_SECONDS", 0.5)
    released = threading.Event()
    _, path = ask(34)
    if way == "is gone":
        controller.close()
    else:
        controller.answers = [drip if way == "drips" else lambda _: released.wait(20) and None]
    try:
        assert deliver_callbacks(NOW) == {"to_be_repeated": 1}
    finally:
        released.set()
        monkeypatch.setattr(callbacks, "WITHIN_SECONDS", patience)
    assert path not in caplog.text
    if way != "is gone":
        assert deliver_callbacks(NOW + 5 * MINUTE) == {"delivered": 1}
    else:
        with pytest.raises(CallbacksGivenUpError):
            deliver_callbacks(NOW + GIVE_UP)


def test_after_a_week_it_is_given_up_aloud_and_the_next_status_goes_on(
    doors: Doors, controller: Controller, ask: Callable[..., tuple[str, str]]
) -> None:
    request_id, path = ask(35)
    doors.ledger.acknowledge_request(doors.row(request_id).id)
    queue_status_callbacks(NOW + MINUTE)
    controller.answers = [status(500)]
    with pytest.raises(CallbacksGivenUpError, match="1 status callbacks"):
        deliver_callbacks(NOW + GIVE_UP)
    assert controller.statuses(path) == ["pending", "in_progress"]
    assert deliver_callbacks(NOW + 2 * GIVE_UP) == {}


def test_a_host_that_is_no_longer_agreed_on_is_told_nothing(
    doors: Doors, controller: Controller, ask: Callable[..., tuple[str, str]]
) -> None:
    _, path = ask(36)
    doors.allow_callbacks()
    with pytest.raises(CallbacksGivenUpError, match="callback_hosts"):
        deliver_callbacks(NOW)
    assert controller.statuses(path) == []


def test_nobody_can_sign_is_said_every_time_and_loses_nothing(
    doors: Doors, controller: Controller, ask: Callable[..., tuple[str, str]]
) -> None:
    _, path = ask(37)
    processor = doors.connections.pop(CONNECTION)
    doors.runtime._made.pop(("connection", CONNECTION))
    for _ in range(2):
        with pytest.raises(UnusableProcessorError, match=CONNECTION):
            deliver_callbacks(NOW)
    doors.connections[CONNECTION] = processor
    assert deliver_callbacks(NOW) == {"delivered": 1}
    assert controller.statuses(path) == ["pending"]


def test_many_are_told_in_one_run_though_one_of_them_hangs(
    doors: Doors,
    controller: Controller,
    ask: Callable[..., tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callbacks, "WITHIN_SECONDS", 60)
    everybody, told_meanwhile = threading.Event(), []
    for n in range(12):
        ask(40 + n)

    def hang(_: BaseHTTPRequestHandler) -> None:
        told_meanwhile.append(everybody.wait(30))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        status(202)(handler)
        if len(controller.heard) == 12:
            everybody.set()

    controller.answers = [hang, *[answer] * 11]
    assert deliver_callbacks(NOW) == {"delivered": 11, "to_be_repeated": 1}
    assert told_meanwhile == [True], "the others were told while one did not answer"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_https_is_checked_and_no_older_than_tls_1_3(
    doors: Doors, version: ssl.TLSVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key()
    until = datetime.now(UTC) + timedelta(days=30)
    authority = make_certificate(key, "localhost", signs=None, until=until)
    (tmp_path / "both.pem").write_text(pem(key) + authority)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(tmp_path / "both.pem")
    server_side.minimum_version = server_side.maximum_version = version
    running = Controller(server_side)
    try:
        doors.allow_callbacks(f"localhost:{running.port}")
        request_id, _ = doors.open("access", email=doors.address(38))
        row = doors.row(request_id)
        url = f"https://localhost:{running.port}/status"
        doors.ledger.queue_callback(row.id, url, "pending", NOW)
        assert deliver_callbacks(NOW) == {"to_be_repeated": 1}, "nobody vouches for this certificate"

        def trusting() -> ssl.SSLContext:
            context = tls()
            context.load_verify_locations(cadata=authority)
            return context

        tls = callbacks._tls
        monkeypatch.setattr(callbacks, "_tls", trusting)
        told = deliver_callbacks(NOW + 5 * MINUTE)
    finally:
        running.close()
    assert told == ({"delivered": 1} if version is ssl.TLSVersion.TLSv1_3 else {"to_be_repeated": 1})
