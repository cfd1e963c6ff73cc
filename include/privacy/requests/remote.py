"""Requests that come over HTTP: whom they concern, how they are opened, verified and withdrawn.

Whoever asks in somebody's name learns nothing about them: a person whom no store knows is asked, confirmed
and refused like anybody else. Known and unknown take the same statements and get the same answer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.connections import UnusableConnectionError
from include.privacy.requests.following import MOST_ACCOUNTS, family, family_ids
from include.privacy.requests.opening import (
    UNKNOWN,
    MalformedRequestError,
    Opening,
    fault_of,
    open_request,
)
from include.privacy.requests.verification import codes_of, established
from include.privacy.runtime import runtime
from include.privacy.steps.runs import ParameterError

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)

LONGEST_AGO = timedelta(days=366)
"""A receipt that lies further back is taken for a slip of the pen."""


class RequestIdTakenError(ParameterError):
    """The id was used for another person or right; the message says what to do."""


@dataclass(frozen=True)
class Identity:
    """Who is meant: account numbers and addresses. Several lead to as many accounts."""

    account_ids: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)


def open_remote(opening: Opening, identity: Identity, as_of: datetime, *, by: str) -> RequestRow:
    """Take the request in, once per ``external_id``; ``opening.subject_key`` is found here. Returns it.

    Where an identity leads to several accounts, each gets a request of its own: the first under the
    external id, the others under ids made from it (:func:`following.family`). Somebody unknown gets one
    too, which cannot be verified and is refused at the due date. Raises :class:`MalformedRequestError`,
    :class:`RequestIdTakenError`.
    """
    nobody = UNKNOWN + opening.external_id
    fault = fault_of(replace(opening, subject_key=nobody), as_of)
    if fault is None and as_of - opening.received_at > LONGEST_AGO:
        fault = "received_at lies more than a year back; give the day on which the request arrived"
    if fault is not None:
        raise MalformedRequestError(fault)
    keys = _subject_keys(identity) or [nobody]
    taken = family(opening.external_id)
    for external_id, key in _places(opening, keys, taken, nobody).items():
        _open(replace(opening, external_id=external_id, subject_key=key), as_of, by)
    return family(opening.external_id)[0]


def verify_with_token(external_id: str, token: str, as_of: datetime, *, by: str) -> bool:
    """Whether the one-time token proves who asks. Unknown, wrong, used and expired look alike."""
    return runtime().ledger().redeem_token(external_id, token, as_of, by)


def verify_by_statement(
    external_id: str, account_id: str, statement: Mapping[str, Any], as_of: datetime, *, by: str
) -> bool:
    """Whether what the platform says of the identity suffices, now, for the request of that account."""
    ledger = runtime().ledger()
    rules = runtime().config().policy.verification
    request = ledger.find_request(external_id)
    if request is None or request.subject_key != account_id:
        return False
    if not established(statement, as_of, rules):
        return False
    ledger.verify_request(external_id, as_of, codes_of(statement), by)
    return True


def withdraw(external_id: str, as_of: datetime, *, by: str) -> list[RequestRow]:
    """The person takes the request back, for all its accounts; returns what became of it.

    Empty when there is no such request. What is being carried out, or closed, stays as it is.
    """
    ledger = runtime().ledger()
    for row in family(external_id):
        state = ledger.withdraw_request(row.external_id, as_of, by=by)
        log.info("withdrawal of request %s: it is %s", row.id, state)
    return family(external_id)


def ring(external_id: str) -> None:
    """Wake the intake. A bell that does not ring costs minutes: the sweep finds the request."""
    try:
        runtime().doorbell().ring(UUID(external_id))
    except UnusableConnectionError as error:
        log.warning("the doorbell did not ring: %s; the sweep will find the request", error)
    except Exception as error:  # noqa: BLE001 - the request is in the ledger, whatever the queue says
        log.warning("the doorbell did not ring (%s); the sweep will find the request", type(error).__name__)


def _subject_keys(identity: Identity) -> list[str]:
    root = runtime().root()
    keys = sorted(root.existing_keys(identity.account_ids)) if identity.account_ids else []
    for address in identity.emails:
        keys += [key for key in root.keys_of_address(address) if key not in keys]
    if len(keys) > MOST_ACCOUNTS:
        raise MalformedRequestError(
            f"the identity leads to more than {MOST_ACCOUNTS} accounts; open a request for each account"
        )
    return keys


def _places(opening: Opening, keys: list[str], taken: list[RequestRow], nobody: str) -> dict[str, str]:
    """Which id each account gets. Asked again, every account keeps the id that it has.

    A call that broke off is completed by the next; one that comes after the answer changes nothing.
    """
    if not taken:
        return dict(zip(family_ids(opening.external_id), keys, strict=False))
    mine = {row.subject_key: row.external_id for row in taken if row.subject_key is not None}
    if any(row.right != opening.right for row in taken) or (mine and not {*keys, nobody} & set(mine)):
        raise RequestIdTakenError(
            "request_id: it was used for another person or right; make a new one for each request"
        )
    places = {external_id: key for key, external_id in mine.items() if key in keys}
    if nobody in mine or len(mine) < len(taken):
        return places
    free = (i for i in family_ids(opening.external_id) if i not in {row.external_id for row in taken})
    return places | dict(zip(free, [key for key in keys if key not in mine], strict=False))


def _open(opening: Opening, as_of: datetime, by: str) -> None:
    from include.privacy.ledger.errors import LedgerError

    try:
        open_request(opening, as_of, by=by)
    except LedgerError:
        raise RequestIdTakenError(
            "request_id: it was used for another person or right; make a new one for each request"
        ) from None
