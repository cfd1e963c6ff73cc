"""Who may come in, what is too much, and that nothing of anybody leaves through an error."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from include.privacy.api.messages import storable
from include.privacy.api.shield import LONGEST_BODY
from include.privacy.requests.opening import CHANNELS, MANDATES, RIGHTS
from include.privacy.requests.verification import METHODS
from tests.api.conftest import OPENDSR, V1, Doors

SECRET = "jane.roe@private.example"
ID = "7f9b1c1e-6c7e-4b52-9d53-0c3f5c9a2b11"
WRITES = [
    ("POST", f"{V1}/requests"),
    ("POST", f"{V1}/requests/{ID}/verify"),
    ("POST", f"{V1}/requests/{ID}/withdraw"),
    ("POST", f"{OPENDSR}/v2/requests"),
    ("POST", f"{OPENDSR}/opengdpr_requests"),
    ("DELETE", f"{OPENDSR}/v2/requests/{ID}"),
    ("DELETE", f"{OPENDSR}/opengdpr_requests/{ID}"),
]
READS = [
    ("GET", f"{V1}/requests/{ID}"),
    ("GET", f"{V1}/openapi.json"),
    ("GET", f"{OPENDSR}/v2/discovery"),
    ("GET", f"{OPENDSR}/discovery"),
    ("GET", f"{OPENDSR}/v2/requests/{ID}"),
    ("GET", f"{OPENDSR}/v2/requests/{ID}/status"),
    ("GET", f"{OPENDSR}/opengdpr_requests/{ID}"),
]


@pytest.mark.parametrize(("method", "path"), WRITES + READS)
def test_nobody_comes_in_without_airflows_word(doors: Doors, method: str, path: str) -> None:
    assert doors.client.request(method, path, json={}).status_code == 401
    stranger = {"Authorization": "Bearer stranger"}
    assert doors.client.request(method, path, json={}, headers=stranger).status_code == 403


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_whoever_may_only_read_changes_nothing(doors: Doors, method: str, path: str) -> None:
    reader = {"Authorization": "Bearer reader"}
    assert doors.client.request(method, path, json={}, headers=reader).status_code == 403


@pytest.mark.parametrize(("method", "path"), READS)
def test_whoever_may_read_reads(doors: Doors, method: str, path: str) -> None:
    answer = doors.client.request(method, path, headers={"Authorization": "Bearer reader"})
    assert answer.status_code in (200, 404)


def test_every_route_is_in_the_two_lists_but_the_certificate(doors: Doors) -> None:
    from starlette.routing import Mount

    (mount,) = doors.client.app.routes  # type: ignore[attr-defined]
    assert isinstance(mount, Mount)
    tried = {(m, p.replace(ID, "*")) for m, p in WRITES + READS}
    shapes = set()
    for route in mount.routes:
        path = mount.path + route.path.replace("{request_id}", "*").replace("{subject_request_id}", "*")  # type: ignore[attr-defined]
        shapes |= {(method, path) for method in route.methods}  # type: ignore[attr-defined]
    older = {
        s for s in shapes if "/v1/opengdpr" in s[1] or "/opendsr/v1/" in s[1] or s[1].endswith("*/status")
    }
    assert shapes - tried - older == {("GET", f"{OPENDSR}/v2/certificate.pem")}


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_cookie_alone_changes_nothing_from_another_site(doors: Doors, method: str, path: str) -> None:
    cookie = {"Cookie": "_token=writer"}
    forged = (
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-Requested-With": "fetch", "Sec-Fetch-Site": "cross-site"},
        {"Authorization": "Bearer ", "Sec-Fetch-Site": "cross-site"},
        {"Authorization": "Basic eDp5"},
    )
    for headers in forged:
        answer = doors.client.request(method, path, json={}, headers=cookie | headers)
        assert answer.status_code == 403, headers
    own = cookie | {"X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}
    assert doors.client.request(method, path, json={}, headers=own).status_code in (200, 400, 404, 422)


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"request_id": SECRET}, "request_id", "must be a UUID"),
        ({"right": SECRET}, "right", "must be 'access'"),
        ({"right": None}, "right", "must be 'access'"),
        ({"channel": 7}, "channel", "must be 'app'"),
        ({"received_at": SECRET}, "received_at", "must be an instant"),
        ({"received_at": "2026-11-20T09:00:00"}, "received_at", "must be an instant"),
        ({"email": "Jane Roe"}, "email", "form"),
        ({"email": f"{SECRET}\x00"}, "email", "form"),
        ({"account_id": f"1 {SECRET}"}, "account_id", "form"),
        ({"account_id": "1"}, "the body", "account_id or email"),
        ({"email": None}, "the body", "account_id or email"),
        ({SECRET: 1}, "the body", "not known"),
        ({"verification": {SECRET: 1}}, "verification", "not known"),
        ({"verification": {"method": SECRET}}, "verification.method", "must be 'session'"),
        ({"verification": {"token": SECRET}}, "verification.token", "does not belong here"),
        ({"verification": {"method": "session"}}, "the body", "session"),
        ({"verification": SECRET}, "verification", "must be an object"),
        ({"agent": {"name": SECRET}}, "agent.mandate", "is missing"),
        ({"details": SECRET}, "details", "must be an object"),
        ({"details": {"note": "\x00" + SECRET}}, "the body", "U+0000"),
        ({"details": {"\ud800": SECRET}}, "the body", "U+0000"),
    ],
)
def test_a_fault_names_its_field_and_never_what_it_held(
    doors: Doors, change: dict[str, Any], field: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = {"request_id": str(uuid4()), "right": "access", "email": SECRET}
    with caplog.at_level(logging.DEBUG):
        answer = doors.client.post(
            f"{V1}/requests",
            content=json.dumps(good | change),
            headers=doors.user | {"Content-Type": "application/json"},
        )
    assert answer.status_code == 422
    errors = {e["field"]: e["problem"] for e in answer.json()["errors"]}
    assert problem in errors[field]
    assert "jane" not in answer.text.lower() and "jane" not in caplog.text.lower()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"right": "objection", "details": {"purposes": [SECRET]}}, "details.purposes"),
        (
            {"right": "rectification", "details": {"corrections": {"email": 7, "x": SECRET}}},
            "details.corrections",
        ),
        ({"right": "access", "received_at": "2027-05-01T00:00:00Z"}, "received_at lies in the future"),
        (
            {"right": "access", "received_at": "0001-01-01T00:00:00Z"},
            "received_at lies more than a year back",
        ),
    ],
)
def test_what_the_right_needs_is_checked_before_anybody_is_looked_for(
    doors: Doors, message: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(*_: object) -> list[str]:
        raise AssertionError("somebody was looked for")

    monkeypatch.setattr(type(doors.runtime.root()), "keys_of_address", looked)
    _, answer = doors.open(email=SECRET, **message)
    assert answer.status_code == 422
    assert said in answer.json()["detail"] and "jane" not in answer.text


@pytest.mark.parametrize("body", ["", "{", "[" * 60_000, '"text"', "null", "{}", "\xff"])
def test_what_is_no_message_is_refused_calmly(doors: Doors, body: str) -> None:
    for path in (f"{V1}/requests", f"{V1}/requests/{ID}/verify"):
        answer = doors.client.post(
            path, content=body.encode("latin-1"), headers=doors.user | {"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422)
        assert "detail" in answer.json()


def test_a_body_has_a_limit_whether_it_says_its_length_or_not(doors: Doors) -> None:
    long = b" " * (LONGEST_BODY + 1)
    assert doors.client.post(f"{V1}/requests", content=long, headers=doors.user).status_code == 413
    chunks = iter([long[:40_000], long[40_000:]])
    assert doors.client.post(f"{OPENDSR}/v2/requests", content=chunks, headers=doors.user).status_code == 413


def test_an_exception_with_data_in_it_is_neither_shown_nor_logged(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object) -> list[str]:
        raise psycopg.errors.InvalidTextRepresentation(f"invalid input syntax: {SECRET}")

    monkeypatch.setattr(type(doors.runtime.root()), "keys_of_address", breaks)
    with caplog.at_level(logging.DEBUG):
        _, answer = doors.open(email=SECRET)
    assert answer.status_code == 500
    assert "jane" not in answer.text + caplog.text
    assert "POST /api/v1/requests: InvalidTextRepresentation at remote.py:" in caplog.text


def test_a_database_that_is_down_is_told_from_a_fault(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> list[str]:
        raise psycopg.OperationalError(f"connection failed while asking for {SECRET}")

    monkeypatch.setattr(type(doors.runtime.root()), "keys_of_address", down)
    _, answer = doors.open(email=SECRET)
    assert answer.status_code == 503
    assert "send the same again" in answer.json()["detail"] and "jane" not in answer.text


def test_a_missing_connection_is_named(doors: Doors) -> None:
    doors.runtime._made.clear()
    del doors.connections["accounts_db"]
    _, answer = doors.open(email=SECRET)
    assert answer.status_code == 503
    assert "accounts_db" in answer.json()["detail"]


def test_no_answer_is_kept_by_a_cache(doors: Doors) -> None:
    assert doors.get(f"/requests/{ID}").headers["cache-control"] == "no-store"
    assert doors.client.get(f"{OPENDSR}/v2/discovery").headers["cache-control"] == "no-store"


def test_the_description_is_valid_openapi_and_tells_where_it_is_mounted(doors: Doors) -> None:
    document = doors.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["servers"] == [{"url": "/privacy"}]
    assert set(document["paths"]) == {
        "/api/v1/requests",
        "/api/v1/requests/{request_id}",
        "/api/v1/requests/{request_id}/verify",
        "/api/v1/requests/{request_id}/withdraw",
    }
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["security"] == [{"token": []}, {"cookie": []}]
            assert {"401", "403", "422"} <= set(operation["responses"])


def test_the_description_speaks_of_the_same_rights_channels_and_methods_as_the_intake(doors: Doors) -> None:
    schemas = doors.get("/openapi.json").json()["components"]["schemas"]
    assert set(schemas["OpenRequest"]["properties"]["right"]["enum"]) == set(RIGHTS)
    assert set(schemas["OpenRequest"]["properties"]["channel"]["enum"]) == set(CHANNELS)
    assert set(schemas["Agent"]["properties"]["mandate"]["enum"]) == set(MANDATES)
    (method, _) = schemas["Statement"]["properties"]["method"]["anyOf"]
    assert set(method["enum"]) == set(METHODS)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_what_is_called_storable_is_what_utf_8_and_postgresql_take(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        assert not storable(value)
    else:
        plain = "\x00" in _texts(value)
        assert storable(value) is not plain


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_texts(k) + _texts(v) for k, v in value.items())
    return "".join(map(_texts, value)) if isinstance(value, list) else value if isinstance(value, str) else ""
