"""Whatever a controller sends is either read or refused, and a refusal repeats nothing of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from include.privacy.requests.opendsr.subject_request import OpenDsrError, read_request

DOMAIN, HOSTS = "privacy.example", ("dsr.partner.example",)
GOOD: dict[str, Any] = {
    "regulation": "ccpa",
    "subject_request_id": "7f9b1c1e-6c7e-4b52-9d53-0c3f5c9a2b11",
    "subject_request_type": "portability",
    "submitted_time": "2026-11-20T09:30:00+01:00",
    "subject_identities": [
        {"identity_type": "email", "identity_value": " Ada@Example.org ", "identity_format": "raw"},
        {"identity_type": "controller_customer_id", "identity_value": "17", "identity_format": "raw"},
    ],
    "status_callback_urls": ["https://dsr.partner.example/a", "https://dsr.partner.example/a"],
    "extensions": {DOMAIN: {"verification": {"method": "mandate"}}, "other.example": 7},
    "a field of a later version": 1,
}
NEEDLE = "jane-roe-1977"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(NEEDLE) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.just(NEEDLE) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_a_good_request_is_read_whole() -> None:
    found = read_request(json.dumps(GOOD).encode(), DOMAIN, HOSTS)
    assert (found.external_id, found.right) == (GOOD["subject_request_id"], "portability")
    assert found.submitted_at.isoformat() == "2026-11-20T08:30:00+00:00"
    assert (found.identity.emails, found.identity.account_ids) == (("Ada@Example.org",), ("17",))
    assert found.callback_urls == ("https://dsr.partner.example/a",), "each address is told once"
    assert found.verification == {"method": "mandate"}
    assert "Ada" not in repr(found) and "partner" not in repr(found)


@given(st.sampled_from(sorted(GOOD)), ANYTHING)
@settings(max_examples=300, deadline=None)
def test_any_field_may_hold_anything(name: str, value: Any) -> None:
    _read_or_refuse(json.dumps(GOOD | {name: value}).encode())


@given(st.sampled_from(["identity_type", "identity_format", "identity_value"]), ANYTHING)
@settings(max_examples=200, deadline=None)
def test_and_so_may_an_identity(name: str, value: Any) -> None:
    identity = GOOD["subject_identities"][0] | {name: value}
    _read_or_refuse(json.dumps(GOOD | {"subject_identities": [identity]}).encode())


@given(st.binary(max_size=200))
def test_and_the_body_itself(raw: bytes) -> None:
    _read_or_refuse(raw)


def _read_or_refuse(raw: bytes) -> None:
    said = ""
    try:
        read_request(raw, DOMAIN, HOSTS)
    except OpenDsrError as error:
        said = str(error)
    assert NEEDLE not in said and len(said) < 250
