"""Opening a request, whatever door it came through: inbox, form or API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from include.privacy.clock import parse_instant
from include.privacy.requests.due import due_dates
from include.privacy.requests.verification import METHODS, codes_of, established
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import CLOCK_SKEW, ParameterError

RIGHTS = ("access", "portability", "rectification", "erasure", "objection")
CHANNELS = ("app", "email", "support", "phone", "letter", "api")
MANDATES = ("signed_permission", "power_of_attorney")
UNKNOWN = "?"
"""Begins the subject key of somebody whom no store knows: their request takes the same way as any other."""


class MalformedRequestError(ParameterError):
    """The request cannot be taken in; the message names the field and the fix, never a value."""


@dataclass(frozen=True)
class Opening:
    """A request as it came. ``agent``: who asks for the person, with the mandate; apart from them."""

    external_id: str
    right: str
    subject_key: str = field(repr=False)
    channel: str
    received_at: datetime
    verification: Mapping[str, Any] = field(default_factory=dict, repr=False)
    verified_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)
    agent: Mapping[str, Any] | None = field(default=None, repr=False)


def open_request(opening: Opening, as_of: datetime, *, by: str = "platform") -> UUID:
    """Take the request in, once per ``external_id``, with all its clocks; returns the ledger's id.

    What the platform says of the identity counts only as far as the policy allows; otherwise the request
    waits for verification. Raises :class:`MalformedRequestError`.
    """
    fault = fault_of(opening, as_of)
    if fault is not None:
        raise MalformedRequestError(fault)
    rules = runtime().config().policy.verification
    suffices = established(opening.verification, opening.received_at, rules)
    due = due_dates(opening.received_at)
    return (
        runtime()
        .ledger()
        .receive_request(
            opening.external_id,
            opening.right,
            opening.subject_key,
            opening.received_at,
            opening.verified_at if suffices else None,
            opening.channel,
            opening.details,
            due.due_at,
            due=due.model_dump(mode="json"),
            verification=codes_of(opening.verification),
            agent=opening.agent,
            by=by,
        )
    )


def fault_of(opening: Opening, as_of: datetime) -> str | None:
    """What makes the request unusable, or ``None``."""
    if opening.right not in RIGHTS:
        return f"right must be one of {', '.join(RIGHTS)}"
    if opening.channel not in CHANNELS:
        return f"channel must be one of {', '.join(CHANNELS)}"
    if not opening.subject_key:
        return "account_id is missing"
    for name in ("received_at", "verified_at"):
        value = getattr(opening, name)
        if value is not None and value > max(as_of, runs.current_instant()) + CLOCK_SKEW:
            return f"{name} lies in the future"
    if opening.agent is not None and (fault := _agent_fault(opening.agent)):
        return fault
    return _details_fault(opening.right, opening.details)


def open_by_form(*, params: Mapping[str, Any] | None = None, dag_run: Any = None) -> str:
    """Open a request for somebody who wrote, phoned or came; returns its id.

    The form carries an account's number and codes only: whatever the person wrote stays out of Airflow.
    A member of staff answers for the verification. Raises :class:`MalformedRequestError`.
    """
    form = dict(params or {})
    account = str(form.get("account_id") or "").strip()
    if not account or not runtime().root().existing_keys([account]):
        raise MalformedRequestError("account_id: there is no such account; check the number in the platform")
    try:
        received = parse_instant(str(form.get("received_at")))
    except ValueError:
        raise MalformedRequestError("received_at: write date, time and zone: 2026-03-01T09:30:00Z") from None
    if form.get("right") == "rectification":
        raise MalformedRequestError(
            "right: new values are personal data and must not pass through a form of Airflow; "
            "open a rectification through the platform or the API"
        )
    method = str(form.get("verified_by") or "")
    if method and method not in METHODS[1:]:
        raise MalformedRequestError(f"verified_by: choose one of {', '.join(METHODS[1:])}, or leave it empty")
    purpose = str(form.get("purpose") or "")
    opening = Opening(
        external_id=_form_id(dag_run),
        right=str(form.get("right")),
        subject_key=account,
        channel=str(form.get("channel")),
        received_at=received,
        verification={"method": method} if method else {},
        verified_at=runs.current_instant() if method else None,
        details={"purposes": [purpose]} if purpose else {},
    )
    return str(open_request(opening, runs.current_instant(), by="staff"))


def _form_id(dag_run: Any) -> str:
    # The same run opens the same request, however often its task is tried.
    return str(uuid5(NAMESPACE_URL, f"{dag_run.dag_id}/{dag_run.run_id}") if dag_run else uuid4())


def _agent_fault(agent: Mapping[str, Any]) -> str | None:
    if not agent.get("name"):
        return "agent.name is missing: say who asks for the person"
    if agent.get("mandate") not in MANDATES:
        return f"agent.mandate must be one of {', '.join(MANDATES)}: an agent shows what allows them to ask"
    if not agent.get("evidence"):
        return "agent.evidence is missing: name the document on file, such as its reference in your archive"
    return None


def _details_fault(right: str, details: Any) -> str | None:
    if not isinstance(details, Mapping):
        return "details must be an object"
    if right == "rectification":
        corrections = details.get("corrections")
        if not isinstance(corrections, Mapping) or not corrections:
            return 'details.corrections must be an object of field and new value: {"full_name": "…"}'
        if not all(isinstance(v, str) and v.strip() for v in corrections.values()):
            return "details.corrections: each new value must be a text that is not empty"
    if right == "portability" and (fault := _transmission_fault(details.get("transmit_to"))):
        return fault
    if right == "objection":
        purposes = details.get("purposes")
        known = runtime().config().policy.purposes
        if not isinstance(purposes, list | tuple) or not purposes:
            return 'details.purposes must be a list of purposes: ["personalize.content"]'
        if any(p not in known for p in purposes):
            return f"details.purposes: policy.yaml knows {', '.join(sorted(known))}"
    return None


def _transmission_fault(address: Any) -> str | None:
    if address is None:
        return None
    hosts = [h.host for h in runtime().config().policy.transmission_hosts]
    parts = urlsplit(str(address))
    if parts.scheme != "https" or parts.hostname not in hosts:
        known = ", ".join(hosts) or "no host yet; list it under transmission_hosts"
        return f"details.transmit_to must be an https address of a host that policy.yaml lists: {known}"
    return None
