"""Telling the roles of ``calendar.yaml`` about due dates: a log line, evidence, and an e-mail if set up.

Ids, rights, states and dates only; nothing about the people who asked.
"""

from __future__ import annotations

import hashlib
import html
import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from include.privacy.connections import UnusableConnectionError
from include.privacy.requests import telling
from include.privacy.requests.deadlines import days_left
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.letters.letter import Letter

log = logging.getLogger(__name__)

KIND = "escalation"
SHOWN = 20
"""Requests named in one log line; the mail and the ledger have all of them."""


class RolesNotToldError(RuntimeError):
    """Some roles could not be written to; the message names roles only."""


@dataclass(frozen=True)
class Due:
    """A request that somebody is reminded of."""

    request: RequestRow
    fraction: float
    days_left: int

    def line(self) -> str:
        """What a role is told of it."""
        r = self.request
        left = f"{self.days_left} days left" if self.days_left >= 0 else f"{-self.days_left} days overdue"
        return f"{r.id} {r.right} {r.state} due {telling.day(r.due_at).isoformat()} ({left})"


def escalate(ledger_run: str) -> dict[str, int]:
    """Tell each role about the reminders that this run has given; returns how many requests each was told of.

    The log line begins with ``privacy deadline:`` and is what an alert can match. A role without a
    connection gets no mail. Raises :class:`RolesNotToldError`; trying again writes only to the others.
    """
    ledger = runtime().ledger()
    run = read_run(ledger_run)
    by_role = _by_role(ledger_run)
    told = {row.body["role"] for row in ledger.evidence(run_id=UUID(ledger_run), kind=KIND)}
    failed = []
    for role, due in by_role.items():
        if role in told:
            continue
        log.warning("privacy deadline: %s: %s", role, _summary(due))
        mailed = _mail(ledger_run, role, due, run.started_at)
        if mailed is None:
            failed.append(role)
            continue
        body = {"role": role, "requests": [d.request.id for d in due], "mail": mailed}
        ledger.append_evidence(KIND, body, run_id=UUID(ledger_run))
    if failed:
        raise RolesNotToldError(f"no mail could be sent to: {', '.join(failed)}; the log above says why")
    return {role: len(due) for role, due in by_role.items()}


def _by_role(ledger_run: str) -> dict[str, list[Due]]:
    """Role → what it is told; of several reminders about a request the last one counts."""
    ledger = runtime().ledger()
    run = read_run(ledger_run)
    roles = {reminder.at: reminder.to for reminder in runtime().config().calendar.reminders}
    latest: dict[UUID, float] = {}
    for row in ledger.reminders(run.started_at):
        latest[row.request_id] = max(float(row.name), latest.get(row.request_id, 0.0))
    found: dict[str, list[Due]] = defaultdict(list)
    for request_id, fraction in latest.items():
        request = ledger.request(request_id)
        for role in roles.get(fraction, ()):
            found[role].append(Due(request, fraction, days_left(request, run.as_of)))
    for due in found.values():
        due.sort(key=lambda d: (d.request.due_at, d.request.id))
    return dict(found)


def _summary(due: list[Due]) -> str:
    more = f"; and {len(due) - SHOWN} more" if len(due) > SHOWN else ""
    return f"{len(due)} requests: " + "; ".join(d.line() for d in due[:SHOWN]) + more


def _mail(ledger_run: str, role: str, due: list[Due], since: datetime) -> str | None:
    """What became of the mail to the role: a word for the evidence, or ``None`` to try again."""
    from include.privacy.mail.port import MailError, MailRejectedError, MailUncertainError

    name = runtime().config().calendar.roles[role].connection
    if name is None:
        return "no_connection"
    try:
        address = runtime().connection(name).login
    except UnusableConnectionError as error:
        log.error("role %s: %s", role, error)
        return None
    if not address:
        log.error("role %s: connection %r has no login; put the role's e-mail address there", role, name)
        return None
    reference = hashlib.sha256(f"{ledger_run} {role}".encode()).hexdigest()[:40]
    try:
        runtime().mail().send(address, _letter(role, due), reference=reference)
    except MailRejectedError as error:
        log.error("role %s: the mail was rejected: %s", role, error)
        return "rejected"
    except MailUncertainError:
        # Said twice is better than not at all, but not within one run.
        return "uncertain"
    except MailError as error:
        log.error("role %s: %s", role, error)
        return None
    return "sent"


def _letter(role: str, due: list[Due]) -> Letter:
    from include.privacy.letters.letter import Letter

    overdue = sum(d.days_left < 0 for d in due)
    subject = f"Privacy requests: {len(due)} to look at, {overdue} overdue"
    lines = [d.line() for d in due]
    head = f"For {role.replace('_', ' ')}. These requests need an answer; the ledger knows them by these ids."
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return Letter(
        kind="deadline",
        language="en",
        subject=subject,
        text=head + "\n\n" + "\n".join(f"- {line}" for line in lines) + "\n",
        html=f'<!doctype html><html lang="en"><p>{html.escape(head)}</p><ul>{items}</ul></html>\n',
    )
