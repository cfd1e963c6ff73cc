"""Our own API: a request is opened, verified, withdrawn and followed. Described by its OpenAPI document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Request, Response
from fastapi.openapi.utils import get_openapi

from include.privacy.api.faults import Faults
from include.privacy.api.messages import (
    Accepted,
    OpenRequest,
    RequestStatus,
    Verified,
    VerifyRequest,
)
from include.privacy.api.security import Access, refuse_forged
from include.privacy.requests.following import family, progress_of
from include.privacy.requests.opening import Opening
from include.privacy.requests.remote import (
    Identity,
    open_remote,
    ring,
    verify_by_statement,
    verify_with_token,
    withdraw,
)
from include.privacy.steps import runs

PREFIX = "/api/v1"
BY = "api"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Faults, "description": "Not signed in to Airflow"},
    403: {"model": Faults, "description": "Not allowed to trigger, or to read, the intake"},
    413: {"model": Faults, "description": "The body is too long"},
    422: {"model": Faults, "description": "A field is missing or unusable"},
    503: {"model": Faults, "description": "A database cannot be reached; send the same again later"},
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Faults, "description": "No such request"}}
_TAKEN: dict[int | str, dict[str, Any]] = {409: {"model": Faults, "description": "The id is taken"}}


def router(access: Access) -> APIRouter:
    """The routes, with who may use them."""
    routes = APIRouter(prefix=PREFIX, responses=_REFUSALS, tags=["subject requests"])
    may_write = [Depends(access.write), Depends(refuse_forged)]
    may_read = [Depends(access.read)]
    add = routes.add_api_route
    add(
        "/requests",
        open_,
        methods=["POST"],
        status_code=202,
        responses=_TAKEN,
        dependencies=may_write,
        operation_id="open_request",
    )
    add(
        "/requests/{request_id}/verify",
        verify,
        methods=["POST"],
        dependencies=may_write,
        operation_id="verify_request",
    )
    add(
        "/requests/{request_id}/withdraw",
        take_back,
        methods=["POST"],
        responses=_UNKNOWN,
        dependencies=may_write,
        operation_id="withdraw_request",
    )
    add(
        "/requests/{request_id}",
        follow,
        methods=["GET"],
        responses=_UNKNOWN,
        dependencies=may_read,
        operation_id="follow_request",
    )
    return routes


def describe(routes: APIRouter, root_path: str) -> dict[str, Any]:
    """The OpenAPI document of the routes as they are mounted below ``root_path``."""
    document = get_openapi(
        title="Subject requests",
        version="1",
        description="Open, verify, withdraw and follow requests of data subjects. See docs/INTEGRATION.md.",
        routes=routes.routes,
        servers=[{"url": root_path or "/"}],
    )
    document.setdefault("components", {})["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of Airflow's POST /auth/token"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "_token", "description": "Airflow's own pages"},
    }
    for item in document["paths"].values():
        for operation in item.values():
            operation["security"] = [{"token": []}, {"cookie": []}]
    return document


def open_(message: OpenRequest, request: Request, response: Response, after: BackgroundTasks) -> Accepted:
    """Open a request. The answer is the same whether or not the person is known."""
    as_of = runs.current_instant()
    opening = Opening(
        external_id=str(message.request_id),
        right=message.right,
        subject_key="",
        channel=message.channel,
        received_at=message.received_at or as_of,
        verification=message.verification.as_codes(),
        verified_at=as_of if message.verification.method else None,
        details=message.details,
        agent=message.agent.model_dump() if message.agent else None,
    )
    identity = Identity(
        account_ids=(message.account_id,) if message.account_id else (),
        emails=(message.email,) if message.email else (),
    )
    opened = open_remote(opening, identity, as_of, by=BY)
    after.add_task(ring, opening.external_id)
    url = f"{request.scope.get('root_path', '')}{PREFIX}/requests/{message.request_id}"
    response.headers["location"] = url
    return Accepted(request_id=message.request_id, due_at=opened.due_at, status_url=url)


def verify(request_id: UUID, message: VerifyRequest, after: BackgroundTasks) -> Verified:
    """Establish who asks. Unknown requests and wrong, used or expired tokens get the same answer."""
    as_of, external_id = runs.current_instant(), str(request_id)
    if message.token is not None:
        verified = verify_with_token(external_id, message.token, as_of, by=BY)
    else:
        assert message.account_id is not None and message.verification is not None
        statement = message.verification.as_codes()
        verified = verify_by_statement(external_id, message.account_id, statement, as_of, by=BY)
    if verified:
        after.add_task(ring, external_id)
    return Verified(verified=verified)


def take_back(request_id: UUID, after: BackgroundTasks) -> RequestStatus:
    """Take a request back. What is being carried out, or closed, stays as it is: see `state`."""
    rows = withdraw(str(request_id), runs.current_instant(), by=BY)
    after.add_task(ring, str(request_id))
    return _status(rows)


def follow(request_id: UUID) -> RequestStatus:
    """Where the request stands and when it is due."""
    return _status(family(str(request_id)))


def _status(rows: list[Any]) -> RequestStatus:
    if not rows:
        raise HTTPException(404, "No such request")
    head, *further = rows
    told = [UUID(row.external_id) for row in further] if head.verified_at is not None else []
    return RequestStatus(**asdict(progress_of(head)), further=told)
