"""OpenDSR 2.0 as a processor offers it: discovery, requests, status, cancellation; every answer is signed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from include.privacy.api.security import Access, refuse_forged
from include.privacy.requests.opendsr import receiving
from include.privacy.requests.opendsr.processor import Processor, UnusableProcessorError, processor
from include.privacy.requests.opendsr.statuses import API_VERSION
from include.privacy.requests.opendsr.subject_request import IDENTITIES, REQUEST_TYPES, OpenDsrError
from include.privacy.requests.remote import ring
from include.privacy.steps import runs

PREFIX = "/opendsr"
VERSION = "/v2"
CERTIFICATE = f"{VERSION}/certificate.pem"
REQUESTS = (f"{VERSION}/requests", "/opengdpr_requests", "/v1/opengdpr_requests")
"""The present path, and those of OpenGDPR, which everybody must go on honouring (section 10.1)."""
DISCOVERIES = (f"{VERSION}/discovery", "/discovery", "/v1/discovery")


def _processor() -> Processor:
    try:
        return processor(runs.current_instant())
    except UnusableProcessorError as error:
        raise HTTPException(503, str(error)) from None


Signer = Annotated[Processor, Depends(_processor)]


def router(access: Access) -> APIRouter:
    """The routes. Only the certificate is open to everybody: it is there to be read."""
    routes = APIRouter(prefix=PREFIX, include_in_schema=False)
    may_write = [Depends(access.write), Depends(refuse_forged)]
    may_read = [Depends(access.read)]
    for path in DISCOVERIES:
        routes.add_api_route(path, discovery, methods=["GET"], dependencies=may_read)
    for path in REQUESTS:
        one = path + "/{subject_request_id}"
        routes.add_api_route(path, receive, methods=["POST"], dependencies=may_write)
        # The standard names the status under both paths (3.1 and 8.2).
        routes.add_api_route(one, follow, methods=["GET"], dependencies=may_read)
        routes.add_api_route(f"{one}/status", follow, methods=["GET"], dependencies=may_read)
        routes.add_api_route(one, cancel, methods=["DELETE"], dependencies=may_write)
    routes.add_api_route(CERTIFICATE, certificate, methods=["GET"])
    return routes


def discovery(request: Request, signer: Signer) -> Response:
    """What is supported, and where the certificate is (section 6)."""
    own = f"https://{signer.domain}{request.scope.get('root_path', '')}{PREFIX}{CERTIFICATE}"
    return _signed(
        {
            "api_version": API_VERSION,
            "supported_identities": [{"identity_type": k, "identity_format": f} for k, f in IDENTITIES],
            "supported_subject_request_types": list(REQUEST_TYPES),
            "processor_certificate": signer.certificate_url or own,
        },
        signer,
    )


def certificate(signer: Signer) -> Response:
    """The certificate that our signatures are checked with."""
    return Response(signer.certificate, media_type="application/x-pem-file")


async def receive(request: Request, signer: Signer, after: BackgroundTasks) -> Response:
    """Take a request in: 201 with a signed receipt (section 7)."""
    raw = await request.body()
    legacy = "opengdpr" in request.url.path

    def taken() -> dict[str, Any]:
        receipt = receiving.receive(raw, signer, runs.current_instant(), legacy=legacy)
        after.add_task(ring, receipt["subject_request_id"])
        # What came in goes back as it came; nobody may log or store it (section 7.3), nor do we.
        return _with_signature({**receipt, "encoded_request": base64.b64encode(raw).decode()}, signer)

    return await run_in_threadpool(_answer, taken, signer, 201)


def follow(subject_request_id: str, signer: Signer) -> Response:
    """The status (section 8)."""
    return _answer(lambda: receiving.follow(subject_request_id, signer), signer)


def cancel(subject_request_id: str, signer: Signer, after: BackgroundTasks) -> Response:
    """Take a request back while it is pending: 202 (section 9)."""

    def cancelled() -> dict[str, Any]:
        receipt = receiving.cancel(subject_request_id, signer, runs.current_instant())
        after.add_task(ring, receipt["subject_request_id"])
        return _with_signature(receipt, signer)

    return _answer(cancelled, signer, 202)


def _answer(make: Callable[[], Mapping[str, Any]], signer: Processor, status: int = 200) -> Response:
    try:
        return _signed(make(), signer, status)
    except OpenDsrError as error:
        detail = {"domain": "Validation", "reason": "unusable_request", "message": str(error)}
        body = {"error": {"code": error.status, "message": str(error), "errors": [detail]}}
        return _signed(body, signer, error.status)


def _with_signature(body: Mapping[str, Any], signer: Processor) -> dict[str, Any]:
    """The body with ``processor_signature``, which the standard wants inside what it signs.

    That cannot be: it signs the body without itself, written as it is here. The header signs the whole.
    """
    return {**body, "processor_signature": signer.signature(_bytes(body))}


def _signed(body: Mapping[str, Any], signer: Processor, status: int = 200) -> Response:
    raw = _bytes(body)
    return Response(raw, status, signer.headers(raw), media_type="application/json")


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
