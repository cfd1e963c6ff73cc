"""The route for SendGrid's event webhook: what became of letters, told by SendGrid itself and signed by it.

An addition to reading its log, which needs no public endpoint: there is no route unless extra
``event_public_key`` of connection ``sendgrid`` holds the key that SendGrid shows for the webhook.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from include.privacy.api import v1
from include.privacy.connections import UnusableConnectionError
from include.privacy.runtime import SENDGRID, runtime
from include.privacy.steps import runs

if TYPE_CHECKING:
    from include.privacy.mail.bulk import Fated

log = logging.getLogger(__name__)

PATH = "/sendgrid-events"
Record = Callable[[Sequence["Fated"]], None]


def add_sendgrid_events(app: FastAPI, record: Record, *, key: str | None = None) -> bool:
    """Add the route when there is a key; returns whether there is.

    ``record`` gets the events of one call, possibly more than once and in any order, for SendGrid repeats a
    call for a day until it is answered with success. ``key``: base64 of a DER public key; default: the
    connection's. Raises :class:`UnusableConnectionError` for one that cannot be it.
    """
    from include.privacy.mail.sendgrid_events import ForgedEventsError, parse, public_key, verify

    text = configured_key() if key is None else key
    if not text:
        return False
    try:
        public = public_key(text)
    except ValueError as error:
        raise UnusableConnectionError(f"connection {SENDGRID!r}: {error}") from None

    async def receive(request: Request) -> Response:
        body = await request.body()
        try:
            verify(public, request.headers, body, as_of=runs.current_instant())
            events = parse(body)
        except ForgedEventsError as error:
            raise HTTPException(403, str(error)) from None
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        if events:
            await run_in_threadpool(record, events)
        log.info("%s events from SendGrid", len(events))
        return Response(status_code=204)

    routes = APIRouter(prefix=v1.PREFIX, include_in_schema=False)
    # Open to everybody but for the signature: SendGrid has no account in Airflow.
    routes.add_api_route(PATH, receive, methods=["POST"])
    app.include_router(routes)
    return True


def configured_key() -> str:
    """Extra ``event_public_key`` of the connection; empty when there is none."""
    try:
        return str(runtime().connection(SENDGRID).extra.get("event_public_key") or "")
    except UnusableConnectionError:
        return ""
