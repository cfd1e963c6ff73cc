"""The connection of the processor is checked before anything is signed with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from include.privacy.connections import ConnectionInfo
from include.privacy.requests.opendsr.processor import CONNECTION, UnusableProcessorError, processor
from include.privacy.requests.opendsr.statuses import FINAL, STATUSES, status_of
from include.privacy.requests.opendsr.subject_request import callback_allowed
from include.privacy.runtime import Runtime, use_runtime
from tests.api.signing import CERTIFICATE, DOMAIN, KEY, PRIVATE_KEY, UNTIL, make_certificate, make_key, pem

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)
GOOD: dict[str, Any] = {"host": DOMAIN, "password": PRIVATE_KEY}
EXTRA = {"certificate": CERTIFICATE, "controller_id": "practice-engine"}


def _with(**change: Any) -> Runtime:
    extra = EXTRA | change.pop("extra", {})
    fields = GOOD | change
    return Runtime(lambda conn_id: ConnectionInfo(conn_id, "generic", extra=extra, **fields))


def test_a_good_connection_makes_a_processor() -> None:
    with use_runtime(_with(extra={"certificate_url": "https://elsewhere.example/c.pem"})):
        found = processor(AS_OF)
    assert (found.domain, found.controller_id) == (DOMAIN, "practice-engine")
    assert found.certificate_url == "https://elsewhere.example/c.pem"
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": None}, "needs a host, a private key"),
        ({"host": None}, "needs a host"),
        ({"extra": {"controller_id": ""}}, "controller_id"),
        ({"password": "hunter2"}, "no private key in PEM"),
        ({"password": pem(ec.generate_private_key(ec.SECP256R1()))}, "needs an RSA key of at least 2048"),
        ({"password": pem(make_key(1024))}, "needs an RSA key of at least 2048"),
        ({"password": pem(make_key())}, "belongs to another key"),
        ({"extra": {"certificate": "hunter2"}}, "no certificate in PEM"),
        ({"host": "other.example"}, "does not name the host"),
        ({"extra": {"certificate": make_certificate(KEY)}}, "does not name the host"),
        ({"extra": {"certificate": make_certificate(KEY, DOMAIN, signs=False)}}, "key usage"),
        (
            {"extra": {"certificate": make_certificate(KEY, DOMAIN, until=AS_OF)}},
            "until 2026-11-20T00:00:00Z",
        ),
    ],
)
def test_an_unusable_one_says_what_is_wrong_and_nothing_secret(change: dict[str, Any], said: str) -> None:
    with use_runtime(_with(**change)), pytest.raises(UnusableProcessorError, match=CONNECTION) as refused:
        processor(AS_OF + timedelta(seconds=1))
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value) and "BEGIN" not in str(refused.value)


def test_a_certificate_without_key_usage_may_sign_and_one_that_has_ended_may_not() -> None:
    certificate = make_certificate(KEY, DOMAIN, signs=None)
    with use_runtime(_with(extra={"certificate": certificate})):
        assert processor(UNTIL).certificate == certificate
        with pytest.raises(UnusableProcessorError, match="not valid now"):
            processor(UNTIL + timedelta(seconds=1))


HOSTS = ("dsr.partner.example", "other.example:8443", "127.0.0.1:5000")


@pytest.mark.parametrize(
    "url",
    [
        "https://dsr.partner.example/status",
        "https://DSR.partner.example:443/a?b=c",
        "https://other.example:8443/",
        "http://127.0.0.1:5000/",
        "https://127.0.0.1:5000/",
    ],
)
def test_a_callback_goes_to_hosts_that_were_agreed_on(url: str) -> None:
    assert callback_allowed(url, HOSTS)
    assert not callback_allowed(url, ())


@pytest.mark.parametrize(
    "url",
    [
        "http://dsr.partner.example/",
        "ftp://dsr.partner.example/",
        "//dsr.partner.example/",
        "https:dsr.partner.example",
        "https://evil.example/",
        "https://dsr.partner.example.evil.example/",
        "https://evil.example/dsr.partner.example",
        "https://dsr.partner.example:8443/",
        "https://other.example/",
        "https://user@dsr.partner.example/",
        "https://dsr.partner.example@evil.example/",
        "https://evil.example\\@dsr.partner.example/",
        "https://dsr.partner.example\\.evil.example/",
        "https://dsr.partner.example/#jane",
        "https://dsr.partner.example/jane@private.example",
        "https://dsr.partner.example/ x",
        "https://dsr.partner.example/\r\nHost: evil.example",
        "https://dsr.partner.exampl\u0435/",
        "https://dsr.partner.example:99999/",
        "https://[::1/",
        "https://dsr.partner.example/" + "a" * 500,
        "http://127.0.0.1:5001/",
        "http://localhost:5000/",
        "",
    ],
)
def test_and_to_no_others(url: str) -> None:
    assert not callback_allowed(url, HOSTS)


def test_every_state_has_a_word_and_every_end_a_final_one() -> None:
    from include.privacy.ledger.states import CLOSED, REQUEST, UNVERIFIED

    for state in (s for s in REQUEST if s):
        assert status_of(state) in STATUSES
        assert (status_of(state) in FINAL) is False, state
        assert (status_of(state) == "pending") is (state in UNVERIFIED)
    assert {status_of(state) for state in CLOSED} == set(FINAL)
    assert status_of("withdrawn") == "cancelled"
