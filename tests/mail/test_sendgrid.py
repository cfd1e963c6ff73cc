"""The mail port against SendGrid's stand-in: what is sent, and what is known after every kind of failure."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from include.privacy.letters.letter import Letter
from include.privacy.mail import (
    MailBusyError,
    MailError,
    MailPort,
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
    Receipt,
    SendState,
)
from include.privacy.mail.sendgrid import SendGridMail
from include.privacy.mail.sendgrid_calls import LOGGED, QUIET
from include.privacy.mail.transport import safe_client
from tests.mail.conftest import KEY, SENDER, Post

ADDRESS = "anna.muster+letters@practice.example"
LETTER = Letter(
    "refused", "en", "We cannot fulfil your request", "Dear Anna Muster,\nno.\n", "<p>Dear Anna Muster</p>\n"
)
Make = Callable[..., SendGridMail]


def reference() -> str:
    return secrets.token_urlsafe(16)


def test_a_letter_arrives_as_it_was_written_and_the_receipt_names_it(post: Post, mail: Make) -> None:
    token = reference()
    port: MailPort = mail(reply_to="dpo@practice-engine.example")
    receipt = port.send(ADDRESS, LETTER, reference=token)
    (arrived,) = post.mails()
    assert isinstance(receipt, Receipt)
    assert receipt.provider_id
    assert arrived.message_id == receipt.provider_id
    assert (arrived.to, arrived.sender, arrived.reply_to) == (
        ADDRESS,
        SENDER.address,
        "dpo@practice-engine.example",
    )
    assert (arrived.subject, arrived.text, arrived.html) == (LETTER.subject, LETTER.text, LETTER.html)
    assert (arrived.reference, arrived.categories) == (token, (token,))


def test_nothing_is_tracked_and_nothing_personal_is_where_the_provider_keeps_it(
    post: Post, mail: Make
) -> None:
    token = reference()
    mail().send(ADDRESS, LETTER, reference=token)
    body = post.said[0].request.json()
    assert [part["enable"] for part in body["tracking_settings"].values()] == [False] * 4
    assert body["tracking_settings"]["click_tracking"]["enable_text"] is False
    (envelope,) = body["personalizations"]
    assert envelope == {"to": [{"email": ADDRESS}], "custom_args": {"reference": token}}
    assert body["categories"] == [token]
    assert body["mail_settings"] == {"bypass_unsubscribe_management": {"enable": True}}


@pytest.mark.parametrize(
    "address",
    ["", "anna", "anna@", "a@b.example, c@d.example", "a@b.example\nBcc: c@d.example", "änna@b.example",
     "Anna <a@b.example>", "a@münchen.example", "a" * 250 + "@b.example"],
)  # fmt: skip
def test_without_one_usable_address_nothing_is_sent_and_the_address_is_not_repeated(
    post: Post, mail: Make, address: str
) -> None:
    with pytest.raises(MailRejectedError, match="no usable e-mail address") as refused:
        mail().send(address, LETTER, reference=reference())
    assert not address or address not in str(refused.value)
    assert post.said == []


@pytest.mark.parametrize(
    "token", ["", "short", "anna@example.org", "a b c d e f g", "x') OR categories IN ('y", "a" * 65]
)
def test_a_reference_that_is_no_opaque_token_is_refused(mail: Make, token: str) -> None:
    with pytest.raises(ValueError, match="mean nothing"):
        mail().send(ADDRESS, LETTER, reference=token)
    with pytest.raises(ValueError, match="mean nothing"):
        mail().find(token, datetime.now(UTC), as_of=datetime.now(UTC))


@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_letter_is_certainly_not_sent(post: Post, mail: Make, status: int) -> None:
    post.control.fail(status=status)
    with pytest.raises(MailRejectedError, match=f"refused it with {status}"):
        mail().send(ADDRESS, LETTER, reference=reference())
    assert post.mails() == []


def test_what_sendgrid_itself_refuses_is_told_by_the_name_of_the_field(post: Post, mail: Make) -> None:
    wrong = SENDER.model_copy(update={"address": "nowhere"})
    port = SendGridMail(KEY, wrong, endpoint_url=post.endpoint)
    with pytest.raises(MailRejectedError, match=r"400 \(fields: from\.email\)"):
        port.send(ADDRESS, LETTER, reference=reference())


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_what_concerns_the_account_stops_all_letters_and_rejects_none(
    post: Post, mail: Make, status: int
) -> None:
    post.control.fail(status=status)
    with pytest.raises(MailUnavailableError, match=str(status)):
        mail().send(ADDRESS, LETTER, reference=reference())
    assert post.mails() == []


def test_a_wrong_key_is_told_without_repeating_it(post: Post, mail: Make) -> None:
    with pytest.raises(MailUnavailableError, match="refuses our key") as refused:
        mail(key="SG.some-other-key").send(ADDRESS, LETTER, reference=reference())
    assert "some-other-key" not in str(refused.value)


def test_too_many_calls_are_told_with_the_time_to_come_back(post: Post, mail: Make) -> None:
    post.control.configure(limit=1, per_seconds=600)
    before = datetime.now(UTC)
    mail().send(ADDRESS, LETTER, reference=reference())
    with pytest.raises(MailBusyError) as busy:
        mail().send(ADDRESS, LETTER, reference=reference())
    assert busy.value.retry_at is not None
    assert before + timedelta(seconds=590) < busy.value.retry_at < before + timedelta(seconds=620)
    assert len(post.mails()) == 1


def test_a_connection_that_never_came_about_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = SendGridMail(KEY, SENDER, endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(MailUnavailableError, match="ConnectionRefusedError"):
            port.send(ADDRESS, LETTER, reference=reference())


UNCERTAIN = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "timeout", "seconds": 3.0},
    {"kind": "reset"},
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", UNCERTAIN, ids=lambda f: f"{f['kind']}-{f.get('status', '')}")
def test_a_lost_answer_is_uncertain_is_not_repeated_and_is_settled_by_the_log(
    post: Post, mail: Make, fault: dict[str, object], when: str
) -> None:
    post.control.fail(when=when, **fault)
    token, claimed = reference(), datetime.now(UTC)
    with pytest.raises(MailUncertainError, match="may have been sent"):
        mail(timeout=0.3).send(ADDRESS, LETTER, reference=token)
    post.wait_for_mails(int(when == "after"))
    port = mail()
    soon = port.find(token, claimed, as_of=claimed + QUIET - timedelta(seconds=1))
    later = port.find(token, claimed, as_of=claimed + QUIET)
    assert soon is (SendState.sent if when == "after" else SendState.unknown)
    assert later is (SendState.sent if when == "after" else SendState.not_sent)


def test_an_answer_later_than_our_patience_is_uncertain_and_an_earlier_one_is_not(
    post: Post, mail: Make
) -> None:
    post.control.fail(kind="slow", seconds=0.2)
    assert mail(timeout=10).send(ADDRESS, LETTER, reference=reference())
    post.control.fail(kind="slow", seconds=3.0)
    with pytest.raises(MailUncertainError):
        mail(timeout=0.3).send(ADDRESS, LETTER, reference=reference())
    post.wait_for_mails(2)


def test_a_garbled_acceptance_is_still_one(post: Post, mail: Make) -> None:
    post.control.fail(kind="malformed")
    assert mail().send(ADDRESS, LETTER, reference=reference()).provider_id
    assert len(post.mails()) == 1


def test_a_log_that_lags_behind_proves_nothing_before_the_quiet_time_is_over(post: Post, mail: Make) -> None:
    token, claimed = reference(), datetime.now(UTC)
    mail().send(ADDRESS, LETTER, reference=token)
    post.control.configure(log_lag_seconds=3600)
    assert mail().find(token, claimed, as_of=claimed + timedelta(minutes=59)) is SendState.unknown
    post.control.configure(log_lag_seconds=0)
    assert mail().find(token, claimed, as_of=claimed + timedelta(minutes=59)) is SendState.sent


def test_absence_from_a_log_that_has_forgotten_proves_nothing(mail: Make) -> None:
    now = datetime.now(UTC)
    assert mail().find(reference(), now - LOGGED, as_of=now) is SendState.not_sent
    assert mail().find(reference(), now - LOGGED - timedelta(seconds=1), as_of=now) is SendState.unknown


def test_one_letter_is_not_mistaken_for_another(post: Post, mail: Make) -> None:
    token, claimed = reference(), datetime.now(UTC)
    mail().send(ADDRESS, LETTER, reference=reference())
    assert mail().find(token, claimed, as_of=claimed + QUIET) is SendState.not_sent


@pytest.mark.parametrize(
    "fault",
    [*UNCERTAIN, {"kind": "malformed"}, {"kind": "status", "status": 429}],
    ids=lambda f: f"{f['kind']}-{f.get('status', '')}",
)
def test_a_log_that_cannot_be_read_leaves_the_letter_in_doubt(
    post: Post, mail: Make, fault: dict[str, object]
) -> None:
    token, claimed = reference(), datetime.now(UTC)
    post.control.fail(path="/v3/logs", **fault)
    assert mail(timeout=0.3).find(token, claimed, as_of=claimed + QUIET) is SendState.unknown
    assert mail().find(token, claimed, as_of=claimed + QUIET) is SendState.not_sent


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"messages": null}', b"\xff", b'{"messages": {"a": 1}}'])
def test_a_log_of_another_shape_leaves_the_letter_in_doubt(
    post: Post, mail: Make, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.sandbox.processors.exchange import Response

    monkeypatch.setattr(post.stand_in, "answer", lambda request: Response(200, answer))
    claimed = datetime.now(UTC)
    assert mail().find(reference(), claimed, as_of=claimed + QUIET) is SendState.unknown


def test_a_key_that_may_not_read_the_log_is_an_alarm_and_no_doubt(post: Post, mail: Make) -> None:
    post.control.fail(path="/v3/logs", status=403)
    with pytest.raises(MailUnavailableError, match=r"scopes.*OPERATIONS"):
        mail().find(reference(), datetime.now(UTC), as_of=datetime.now(UTC))


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed_with_our_key(
    post: Post, mail: Make, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.sandbox.processors.exchange import Request, Response

    asked: list[str] = []

    def redirect(request: Request) -> Response:
        asked.append(request.path)
        return Response(status, headers={"Location": f"{post.endpoint}/elsewhere"})

    monkeypatch.setattr(post.stand_in, "answer", redirect)
    with pytest.raises(MailUnavailableError, match=str(status)):
        mail().send(ADDRESS, LETTER, reference=reference())
    assert asked == ["/v3/mail/send"]


def test_nothing_personal_and_no_key_is_in_logs_or_errors_whatever_happens(
    post: Post, mail: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("python_http_client.client", "python_http_client", "sendgrid"):
        caplog.set_level(logging.DEBUG, logger=name)
    told: list[str] = []
    faults: list[dict[str, object] | None] = [
        None, *UNCERTAIN, *({"status": s} for s in (400, 401, 403, 404, 413, 429)), {"kind": "malformed"},
    ]  # fmt: skip
    for fault in faults:
        token = reference()
        for path in ("/v3/mail/send", "/v3/logs"):
            if fault:
                post.control.fail(path=path, **fault)
        try:
            mail(timeout=0.3).send(ADDRESS, LETTER, reference=token)
        except MailError as error:
            told += [str(error), repr(error), repr(error.__cause__), str(error.__suppress_context__)]
        try:
            mail(timeout=0.3).find(token, datetime.now(UTC), as_of=datetime.now(UTC))
        except MailError as error:
            told.append(str(error))
    everything = " ".join([caplog.text, *told])
    assert len(told) > 20
    assert "accepted by SendGrid" in everything
    for secret in ("anna", "muster", "cannot fulfil", KEY, "Bearer"):
        assert secret.casefold() not in everything.casefold()


@pytest.mark.parametrize(
    "endpoint", ["http://api.example.org", "http://10.0.0.1", "ftp://127.0.0.1", "api.sendgrid.com", "//x"]
)
def test_an_endpoint_without_tls_is_refused_unless_on_this_machine(endpoint: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        SendGridMail(KEY, SENDER, endpoint_url=endpoint)


@pytest.mark.parametrize("key", ["", "SG.a b", "SG.a\nX-Evil: 1", "SG.ä"])
def test_a_key_that_cannot_be_one_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as refused:
        SendGridMail(key, SENDER)
    assert "SG." not in str(refused.value)


@pytest.fixture
def old_tls(tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """A server on this machine that speaks TLS 1.2 at most, and what it got to read."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "cert").write_bytes(certificate.public_bytes(encoding))
    (tmp_path / "key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    read: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(connection, server_side=True) as tls:
                        read.append(tls.recv(100).decode())
                except OSError as error:
                    read.append(type(error).__name__)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1], read


def test_an_endpoint_that_speaks_no_tls_1_3_gets_nothing_to_read(old_tls: tuple[int, list[str]]) -> None:
    port, read = old_tls
    with pytest.raises(MailUnavailableError, match=r"SSLError|ConnectionResetError"):
        SendGridMail(KEY, SENDER, endpoint_url=f"https://127.0.0.1:{port}").send(
            ADDRESS, LETTER, reference=reference()
        )
    assert all("POST" not in text for text in read)


def test_the_vendors_own_address_is_the_default() -> None:
    assert safe_client(KEY, None).mail.send._build_url(None) == "https://api.sendgrid.com/v3/mail/send"


def test_two_letters_at_once_through_one_port_do_not_mix(post: Post, mail: Make) -> None:
    port, tokens = mail(), [reference() for _ in range(12)]
    threads = [
        threading.Thread(
            target=port.send, args=(f"p{n}@practice.example", LETTER), kwargs={"reference": token}
        )
        for n, token in enumerate(tokens)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {m.to: m.reference for m in post.mails()} == {
        f"p{n}@practice.example": token for n, token in enumerate(tokens)
    }
    assert json.loads(post.said[0].request.body)["from"]["email"] == SENDER.address
