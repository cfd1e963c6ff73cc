"""The application that Airflow's API server mounts at ``/privacy``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError

from include.privacy.api import faults, opendsr, sendgrid_events, v1
from include.privacy.api.messages import Agent, OpenRequest, Statement, VerifyRequest
from include.privacy.api.security import Access, airflow_access
from include.privacy.api.shield import Shield
from include.privacy.notices.events import record
from include.privacy.requests.opening import MalformedRequestError
from include.privacy.requests.remote import RequestIdTakenError

MOUNTED_AT = "/privacy"


def create_app(access: Access | None = None) -> FastAPI:
    """Both doors. ``access``: who may use them; by default whoever Airflow's auth manager lets."""
    access = access or airflow_access()
    # No pages of FastAPI's own: they are open to everybody and load scripts from elsewhere.
    app = FastAPI(title="Privacy", docs_url=None, redoc_url=None, openapi_url=None)
    own = v1.router(access)
    app.include_router(own)
    app.include_router(opendsr.router(access))
    app.include_router(_description(own, access))
    names = faults.names_of(OpenRequest, Statement, Agent, VerifyRequest) | {"request_id"}
    app.add_exception_handler(RequestValidationError, faults.unusable(names))
    app.add_exception_handler(MalformedRequestError, faults.malformed)  # type: ignore[arg-type]  # Starlette types handlers by Exception
    app.add_exception_handler(RequestIdTakenError, faults.taken)  # type: ignore[arg-type]  # the same
    sendgrid_events.add_sendgrid_events(app, record)
    app.add_middleware(Shield)
    return app


def _description(routes: APIRouter, access: Access) -> APIRouter:
    described = APIRouter(prefix=v1.PREFIX, include_in_schema=False)

    @described.get("/openapi.json", dependencies=[Depends(access.read)])
    def openapi(request: Request) -> dict[str, Any]:
        return v1.describe(routes, str(request.scope.get("root_path", "")))

    return described
