"""Controllers' requests: taken in, followed, taken back while they are pending."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.requests.following import family
from include.privacy.requests.opendsr.processor import Processor
from include.privacy.requests.opendsr.statuses import API_VERSION, instant, overall, status_body
from include.privacy.requests.opendsr.subject_request import OpenDsrError, read_id, read_request
from include.privacy.requests.opening import MalformedRequestError, Opening
from include.privacy.requests.remote import RequestIdTakenError, open_remote, withdraw
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

BY = "opendsr"


def receive(raw: bytes, processor: Processor, as_of: datetime, *, legacy: bool = False) -> dict[str, Any]:
    """Take a request in and return the receipt, without ``encoded_request``: that is for the wire only.

    ``legacy``: it came as OpenGDPR 1.0, which knew one regulation and so did not name it.

    The clocks run from ``submitted_time``, when the person asked the controller. A statement of the
    controller on the identity stands in our extension; without one the person gets a one-time link.
    Raises :class:`OpenDsrError`.
    """
    hosts = runtime().config().policy.opendsr.callback_hosts
    asked = read_request(raw, processor.domain, hosts, legacy=legacy)
    opening = Opening(
        external_id=asked.external_id,
        right=asked.right,
        subject_key="",
        channel="api",
        received_at=asked.submitted_at,
        verification=asked.verification,
        verified_at=as_of if asked.verification else None,
    )
    try:
        opened = open_remote(opening, asked.identity, as_of, by=BY)
    except MalformedRequestError as error:
        raise OpenDsrError(str(error).replace("received_at", "submitted_time")) from None
    except RequestIdTakenError:
        raise OpenDsrError("subject_request_id was used for another person or right") from None
    for url in asked.callback_urls:
        runtime().ledger().queue_callback(opened.id, url, "pending", as_of)
    return {
        "controller_id": processor.controller_id,
        "expected_completion_time": instant(opened.due_at),
        "received_time": instant(as_of),
        "subject_request_id": opened.external_id,
        "api_version": API_VERSION,
    }


def follow(subject_request_id: str, processor: Processor) -> dict[str, Any]:
    """The status of a request. Raises :class:`OpenDsrError`, 404 for one that never came."""
    rows = _known(subject_request_id)
    return status_body(rows, controller_id=processor.controller_id, domain=processor.domain)


def cancel(subject_request_id: str, processor: Processor, as_of: datetime) -> dict[str, Any]:
    """Take the request back while it is pending. Cancelled already, it is confirmed again.

    Raises :class:`OpenDsrError`: 404 for one that never came, 409 once it is in progress or over.
    """
    rows = _known(subject_request_id)
    if overall(rows)[0] not in ("pending", "cancelled"):
        raise OpenDsrError("the request is no longer pending, so it cannot be cancelled", 409)
    if overall(withdraw(rows[0].external_id, as_of, by=BY))[0] != "cancelled":
        raise OpenDsrError("the request has just gone on, so it cannot be cancelled", 409)
    return {
        "controller_id": processor.controller_id,
        "received_time": instant(as_of),
        "subject_request_id": rows[0].external_id,
        "api_version": API_VERSION,
    }


def _known(subject_request_id: str) -> list[RequestRow]:
    rows = family(read_id(subject_request_id))
    if not rows:
        raise OpenDsrError("no request with this subject_request_id", 404)
    return rows
