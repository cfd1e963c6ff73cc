"""OpenDSR 2.0 as a controller sees it: signed, in the standard's words, with nothing of the person."""

from __future__ import annotations

import base64
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from include.privacy.requests.following import family
from include.privacy.requests.opendsr.processor import CONNECTION
from tests.api.conftest import NOW, OPENDSR, Doors
from tests.api.signing import CERTIFICATE, DOMAIN

if TYPE_CHECKING:
    from httpx import Response

STRANGER = "nobody.knows@stranger.example"
REQUESTS = f"{OPENDSR}/v2/requests"
VERIFIED = {"extensions": {DOMAIN: {"verification": {"method": "one_time_token"}}}}


def _message(**change: Any) -> dict[str, Any]:
    message = {
        "regulation": "gdpr",
        "subject_request_id": str(uuid4()),
        "subject_request_type": "erasure",
        "submitted_time": (NOW - timedelta(days=1)).isoformat(),
        "subject_identities": [
            {"identity_type": "email", "identity_value": STRANGER, "identity_format": "raw"}
        ],
    } | change
    return {name: value for name, value in message.items() if value is not None}


def _identity(kind: str, value: str, form: str = "raw") -> dict[str, str]:
    return {"identity_type": kind, "identity_value": value, "identity_format": form}


def _send(doors: Doors, message: dict[str, Any], path: str = REQUESTS) -> Response:
    return doors.client.post(path, json=message, headers=doors.user)


def _get(doors: Doors, path: str) -> Response:
    return doors.client.get(f"{OPENDSR}{path}", headers=doors.user)


def verified_body(answer: Response, names: str = "OpenDSR") -> dict[str, Any]:
    """The body, once its signature over the raw bytes is checked with the published certificate."""
    certificate = x509.load_pem_x509_certificate(CERTIFICATE.encode())
    assert answer.headers[f"X-{names}-Processor-Domain"] == DOMAIN
    signature = base64.b64decode(answer.headers[f"X-{names}-Signature"], validate=True)
    certificate.public_key().verify(signature, answer.content, PKCS1v15(), SHA256())  # type: ignore[union-attr, call-arg, arg-type]
    return dict(answer.json())


def test_discovery_says_what_is_supported_and_where_the_certificate_is(doors: Doors) -> None:
    found = verified_body(_get(doors, "/v2/discovery"))
    assert found == {
        "api_version": "2.0",
        "supported_identities": [
            {"identity_type": "controller_customer_id", "identity_format": "raw"},
            {"identity_type": "email", "identity_format": "raw"},
        ],
        "supported_subject_request_types": ["access", "portability", "erasure"],
        "processor_certificate": f"https://{DOMAIN}{OPENDSR}/v2/certificate.pem",
    }
    published = doors.client.get(f"{OPENDSR}/v2/certificate.pem")
    assert (published.status_code, published.text) == (200, CERTIFICATE)


def test_a_request_is_received_with_a_signed_receipt(doors: Doors, sqs_client: Any) -> None:
    message = _message(subject_identities=[_identity("email", doors.address(1))])
    answer = _send(doors, message)
    assert answer.status_code == 201
    receipt = verified_body(answer)
    row = doors.row(message["subject_request_id"])
    assert (row.subject_key, row.right, row.channel) == (doors.account(1), "erasure", "api")
    assert row.received_at.isoformat() == message["submitted_time"]
    assert row.verified_at is None, "a link goes to the address on file"
    assert base64.b64decode(receipt["encoded_request"]) == answer.request.content
    assert receipt["subject_request_id"] == message["subject_request_id"]
    assert receipt["controller_id"] == "practice-engine"
    assert receipt["expected_completion_time"] == f"{row.due_at:%Y-%m-%dT%H:%M:%SZ}"
    assert receipt["received_time"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    (evidence,) = doors.ledger.evidence(request_id=row.id, kind="request_received")
    assert evidence.body["by"] == "opendsr"
    (bell,) = sqs_client.receive_message(QueueUrl=doors.queue_url)["Messages"]
    assert json.loads(bell["Body"]) == {"request_id": message["subject_request_id"]}


def test_the_signature_inside_the_body_signs_the_body_without_it(doors: Doors) -> None:
    receipt = verified_body(_send(doors, _message()))
    signature = base64.b64decode(receipt.pop("processor_signature"))
    key = x509.load_pem_x509_certificate(CERTIFICATE.encode()).public_key()
    raw = json.dumps(receipt, separators=(",", ":")).encode()
    key.verify(signature, raw, PKCS1v15(), SHA256())  # type: ignore[union-attr, call-arg, arg-type]
    with pytest.raises(InvalidSignature):
        key.verify(signature, raw + b" ", PKCS1v15(), SHA256())  # type: ignore[union-attr, call-arg, arg-type]


def test_the_controller_says_how_it_verified_the_person_in_our_extension(doors: Doors) -> None:
    message = _message(
        subject_identities=[_identity("controller_customer_id", doors.account(2))],
        extensions=VERIFIED["extensions"] | {"other.example": {"anything": [1]}},
    )
    assert _send(doors, message).status_code == 201
    row = doors.row(message["subject_request_id"])
    assert (row.verified_at, row.verification) == (NOW, {"method": "one_time_token"})


def test_several_identities_of_one_person_lead_to_one_request_each_account(doors: Doors) -> None:
    message = _message(
        subject_identities=[
            _identity("controller_customer_id", doors.account(3)),
            _identity("email", doors.address(3)),
            _identity("email", doors.address(4)),
            _identity("email", STRANGER),
        ]
    )
    assert _send(doors, message).status_code == 201
    keys = {row.subject_key for row in family(message["subject_request_id"])}
    assert keys == {doors.account(3), doors.account(4)}


def test_known_and_unknown_people_get_the_same_receipt_and_status(doors: Doors) -> None:
    seen = []
    for value in (doors.address(5), STRANGER):
        message = _message(subject_identities=[_identity("email", value)])
        receipt = verified_body(_send(doors, message))
        status = verified_body(_get(doors, f"/v2/requests/{message['subject_request_id']}"))
        for body in (receipt, status):
            for own in ("subject_request_id", "encoded_request", "processor_signature"):
                body.pop(own, None)
        seen.append((receipt, status))
    assert seen[0] == seen[1]


def test_sent_again_it_is_the_same_request(doors: Doors) -> None:
    message = _message()
    first, second = (_send(doors, message) for _ in range(2))
    assert (second.status_code, second.json()) == (201, first.json())
    other = _send(doors, message | {"subject_request_type": "access"})
    assert other.status_code == 400
    assert "subject_request_id" in verified_body(other)["error"]["message"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"regulation": None}, "regulation must be one of gdpr, ccpa"),
        ({"regulation": "lgpd"}, "regulation must be one of"),
        ({"subject_request_id": None}, "subject_request_id must be a UUID"),
        ({"subject_request_id": "7F9B1C1E-6C7E-4B52-9D53-0C3F5C9A2B11"}, "in lower case"),
        ({"subject_request_id": "7f9b1c1e-6c7e-1b52-9d53-0c3f5c9a2b11"}, "of version 4"),
        ({"subject_request_type": "rectification"}, "subject_request_type must be one of"),
        ({"submitted_time": "yesterday, says jane"}, "submitted_time must be"),
        ({"submitted_time": "2027-01-01T00:00:00Z"}, "submitted_time lies in the future"),
        ({"submitted_time": "2020-01-01T00:00:00Z"}, "submitted_time lies more than a year back"),
        ({"subject_identities": None}, "subject_identities must be a list"),
        ({"subject_identities": []}, "subject_identities must be a list"),
        ({"subject_identities": ["jane"]}, "subject_identities[0] must be an object"),
        (
            {"subject_identities": [_identity("email", "5e" * 32, "sha256")]},
            "subject_identities[0]: this identity_type in this identity_format is not supported",
        ),
        ({"subject_identities": [_identity("ios_vendor_id", "jane")]}, "is not supported"),
        ({"subject_identities": [_identity("email", "jane\x00")]}, "identity_value must be"),
        ({"status_callback_urls": "https://dsr.example/"}, "status_callback_urls must be a list"),
        ({"status_callback_urls": ["https://jane.example/"]}, "status_callback_urls[0] must be https"),
        ({"extensions": [1]}, "extensions must be an object"),
        ({"extensions": {DOMAIN: {"verification": {"method": "trust me"}}}}, "verification.method"),
        ({"extensions": {DOMAIN: {"verification": {"method": "session"}}}}, "verification.method"),
    ],
)
def test_a_fault_is_told_by_its_field_and_signed(
    doors: Doors, change: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(doors.ledger.requests(["received"]))
    answer = _send(doors, _message(**change) if None not in change.values() else _without(change))
    assert answer.status_code == 400
    error = verified_body(answer)["error"]
    assert error["code"] == 400 and said in error["message"]
    assert "jane" not in answer.text + caplog.text
    assert len(doors.ledger.requests(["received"])) == before


def _without(change: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _message().items() if name not in change}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"[" * 60_000, b"\xff\xfe"])
def test_what_is_no_request_is_refused(doors: Doors, raw: bytes) -> None:
    answer = doors.client.post(REQUESTS, content=raw, headers=doors.user)
    assert answer.status_code == 400
    assert verified_body(answer)["error"]["message"].startswith("the body")


def test_a_pending_request_can_be_cancelled_and_no_other(doors: Doors) -> None:
    def cancel(request_id: str) -> Response:
        return doors.client.delete(f"{REQUESTS}/{request_id}", headers=doors.user)

    message = _message()
    _send(doors, message)
    for _ in range(2):
        answer = cancel(message["subject_request_id"])
        assert answer.status_code == 202
        assert verified_body(answer)["subject_request_id"] == message["subject_request_id"]
    status = verified_body(_get(doors, f"/v2/requests/{message['subject_request_id']}"))
    assert status["request_status"] == "cancelled"
    (closed,) = doors.ledger.evidence(
        request_id=doors.row(message["subject_request_id"]).id, kind="request_closed"
    )
    assert closed.body["by"] == "opendsr"

    going_on = _message(subject_identities=[_identity("email", doors.address(6))], **VERIFIED)
    _send(doors, going_on)
    doors.ledger.acknowledge_request(doors.row(going_on["subject_request_id"]).id)
    answer = cancel(going_on["subject_request_id"])
    assert (answer.status_code, verified_body(answer)["error"]["code"]) == (409, 409)
    assert doors.row(going_on["subject_request_id"]).state == "assessing"
    assert cancel(str(uuid4())).status_code == 404
    assert cancel("jane").status_code == 400


def test_the_status_follows_the_request_to_its_end(doors: Doors) -> None:
    message = _message(subject_identities=[_identity("email", doors.address(7))], **VERIFIED)
    _send(doors, message)
    row = doors.row(message["subject_request_id"])

    def shown() -> dict[str, Any]:
        paths = [f"/v2/requests/{message['subject_request_id']}{end}" for end in ("", "/status")]
        one, alias = (verified_body(_get(doors, path)) for path in paths)
        assert one == alias
        return one

    assert shown() == {
        "controller_id": "practice-engine",
        "expected_completion_time": f"{row.due_at:%Y-%m-%dT%H:%M:%SZ}",
        "subject_request_id": message["subject_request_id"],
        "request_status": "pending",
        "api_version": "2.0",
        "results_url": None,
        "results_count": None,
    }
    doors.ledger.acknowledge_request(row.id)
    assert shown()["request_status"] == "in_progress"
    doors.ledger.close_request(row.id, "refused", None, {}, NOW, reason="no_such_account")
    end = shown()
    assert end["request_status"] == "completed"
    assert end["extensions"] == {DOMAIN: {"outcomes": [{"outcome": "refused", "reason": "no_such_account"}]}}
    assert _get(doors, f"/v2/requests/{uuid4()}").status_code == 404


@pytest.mark.parametrize("path", ["/opengdpr_requests", "/v1/opengdpr_requests"])
def test_the_names_of_opengdpr_are_honoured(doors: Doors, path: str) -> None:
    message = _without({"regulation": None})
    answer = _send(doors, message, OPENDSR + path)
    assert answer.status_code == 201
    assert verified_body(answer, "OpenGDPR") == verified_body(answer)
    one = f"{path}/{message['subject_request_id']}"
    assert verified_body(_get(doors, one), "OpenGDPR")["request_status"] == "pending"
    assert doors.client.delete(OPENDSR + one, headers=doors.user).status_code == 202
    assert _get(doors, "/discovery").status_code == 200
    assert _send(doors, message | {"regulation": "lgpd"}, OPENDSR + path).status_code == 400


def test_what_a_controller_sends_is_neither_logged_nor_kept_in_plain(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    address = doors.address(8)
    with caplog.at_level(logging.DEBUG):
        message = _message(subject_identities=[_identity("email", address), _identity("email", STRANGER)])
        encoded = _send(doors, message).json()["encoded_request"]
    kept = caplog.text + doors.dump()
    assert address not in kept and STRANGER not in kept and encoded not in kept


def test_without_a_processor_every_route_says_what_to_do(doors: Doors) -> None:
    doors.runtime._made.clear()
    del doors.connections[CONNECTION]
    answers = [
        _get(doors, "/v2/discovery"),
        _send(doors, _message()),
        _get(doors, f"/v2/requests/{uuid4()}"),
        doors.client.delete(f"{REQUESTS}/{uuid4()}", headers=doors.user),
        doors.client.get(f"{OPENDSR}/v2/certificate.pem"),
    ]
    assert {answer.status_code for answer in answers} == {503}
    assert all(CONNECTION in answer.json()["detail"] for answer in answers)
    assert doors.open("access", email=STRANGER)[1].status_code == 202, "our own API needs none"
