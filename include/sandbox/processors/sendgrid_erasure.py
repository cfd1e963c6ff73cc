"""The erase job of SendGrid's stand-in: 202 means queued, and no call tells when it is done.

It takes messages of the addresses out of the log. Contacts and suppressions stay: the description does not
say that they go, so nobody may rely on it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from include.sandbox.processors.exchange import Response
from include.sandbox.processors.sendgrid_account import Account, Job, errors
from include.sandbox.processors.sendgrid_contacts import ADDRESS

MOST = 5_000
LARGEST = 256 * 1024


def erase_job(
    account: Account, body: bytes, json: Any, forget: Callable[[set[str], datetime], int]
) -> Response:
    """Check and queue. ``forget`` removes what was sent to the addresses until then; returns how much."""
    wanted = json.get("email_addresses") if isinstance(json, dict) else None
    if not isinstance(wanted, list) or json.keys() != {"email_addresses"}:
        return errors(400, "email_addresses is required", "email_addresses")
    if not 1 <= len(wanted) <= MOST or len(body) > LARGEST:
        return errors(400, "at most 5000 addresses and 256 KB", "email_addresses")
    wrong = [each for each in wanted if not isinstance(each, str) or not ADDRESS.fullmatch(each)]
    if wrong:
        told = [
            {"message": f"Email_address {each} is not valid", "field": "email_addresses"} for each in wrong
        ]
        return Response.of_json({"errors": told}, 400)
    people, asked = {each.lower() for each in wanted}, account.now()

    def effect(job: Job) -> None:
        job.results = {"addresses": len(people), "messages": forget(people, asked)}

    return Response.of_json({"job_id": account.queue("erase", effect).id}, 202)
