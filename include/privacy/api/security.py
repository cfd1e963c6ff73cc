"""Who may come in: whoever Airflow's API lets trigger the intake, or read its runs.

Airflow leaves what a plugin mounts open to everybody; every route here asks its auth manager.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Request

INTAKE = "intake_subject_requests"
"""The DAG whose permissions decide: to trigger it is to open requests, to read its runs to follow them."""


@dataclass(frozen=True)
class Access:
    """Two FastAPI dependencies that let a caller pass or raise 401 or 403."""

    read: Callable[..., Any]
    write: Callable[..., Any]


def airflow_access() -> Access:
    """Airflow's own check: a bearer token or the cookie of its pages, and the auth manager's word."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag

    return Access(
        read=requires_access_dag("GET", DagAccessEntity.RUN, INTAKE),
        write=requires_access_dag("POST", DagAccessEntity.RUN, INTAKE),
    )


def refuse_forged(request: Request) -> None:
    """Stop what another site makes a signed-in browser send: 403.

    A bearer token is never sent by itself. With the cookie a header is asked for that a browser sends to
    another site only after asking that site, which Airflow does not answer.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return
    own_site = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if not (own_site and request.headers.get("x-requested-with")):
        raise HTTPException(
            403, "Signed in by cookie, a change needs the header X-Requested-With and a page of this site"
        )
