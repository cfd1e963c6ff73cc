"""What one would write by hand: for each person find and delete, as many at once as our adapters.

What has to be gone is gone in the end. Nobody is asked after again, nothing is put on record, no dispute or
young payment stops anything, no opt-out at Postmark is kept, nothing is repeated when it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from include.privacy.processors.protocol import Person
from include.sandbox.processors import PAYPAL_CLIENT
from include.sandbox.processors.postmark import account_token

PREVIEW = "2026-09-30.preview"
PER_ERASE_JOB = 5_000
_JOBS = "/v1/privacy/redaction_jobs"


def stripe(endpoint: str, key: str, people: Sequence[Person], at_once: int) -> None:
    """Customers by address, and a redaction job that repairs by itself what stands in its way."""
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": PREVIEW}
    with httpx.Client(base_url=endpoint, headers=headers) as client:

        def one(person: Person) -> None:
            found = _json(client.get("/v1/customers", params={"email": person.emails[0], "limit": 100}))
            if not found["data"]:
                return
            wanted = {f"objects[customers][{n}]": c["id"] for n, c in enumerate(found["data"])}
            form = {**wanted, "validation_behavior": "fix"}
            path = f"/v1/privacy/redaction_jobs/{_json(client.post(_JOBS, data=form))['id']}"
            _poll(client, path, "ready")
            _json(client.post(f"{path}/run"))
            _poll(client, path, "succeeded")

        _each(people, one, at_once)


def paypal(endpoint: str, key: str, people: Sequence[Person], at_once: int) -> None:
    """By the ids that we have, and invoices by address. Whoever paid without an id on file is not found."""
    form = {"grant_type": "client_credentials"}
    token = _json(httpx.post(f"{endpoint}/v1/oauth2/token", data=form, auth=(PAYPAL_CLIENT, key)))
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    with httpx.Client(base_url=endpoint, headers=headers) as client:

        def one(person: Person) -> None:
            for payer in person.ids.get("paypal_payer_id", ()):
                vault = "/v3/vault/payment-tokens"
                while held := _json(client.get(vault, params={"customer_id": payer}))["payment_tokens"]:
                    for each in held:
                        client.delete(f"{vault}/{each['id']}").raise_for_status()
                for each in person.ids.get("gateway_subscription_id", ()):
                    # 422: it has ended already.
                    client.post(f"/v1/billing/subscriptions/{each}/cancel", json={"reason": "Ended"})
            query = {"page_size": 100}
            wanted = {"recipient_email": person.emails[0]}
            for invoice in _json(client.post("/v2/invoicing/search-invoices", params=query, json=wanted))[
                "items"
            ]:
                if invoice["primary_recipients"][0]["billing_info"]["email_address"] != person.emails[0]:
                    continue  # it searches for parts of an address
                path = f"/v2/invoicing/invoices/{invoice['id']}"
                if invoice["status"] == "DRAFT":
                    client.delete(path).raise_for_status()
                elif invoice["status"] == "SENT":
                    client.post(f"{path}/cancel", json={"send_to_recipient": False}).raise_for_status()

        _each(people, one, at_once)


def sendgrid(endpoint: str, key: str, people: Sequence[Person], at_once: int) -> None:
    """Person by person, but for the erase job: with 100 of them a minute nobody makes one for each."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=endpoint, headers=headers) as client:

        def one(person: Person) -> None:
            email = person.emails[0]
            answer = client.post("/v3/marketing/contacts/search/emails", json={"emails": [email]})
            if answer.status_code != 404:
                contact = _json(answer)["result"][email]["contact"]
                client.delete("/v3/marketing/contacts", params={"ids": contact["id"]}).raise_for_status()
            for name in ("bounces", "blocks", "invalid_emails", "spam_reports"):
                client.delete(f"/v3/suppression/{name}/{email}")  # 404: not on the list

        _each(people, one, at_once)
        for start in range(0, len(people), PER_ERASE_JOB):
            addresses = [p.emails[0] for p in people[start : start + PER_ERASE_JOB]]
            _json(client.post("/v3/recipients/erasejob", json={"email_addresses": addresses}))


def postmark(endpoint: str, key: str, people: Sequence[Person], at_once: int) -> None:
    """A look at the lists of both streams, a removal, and no question whether it was carried out."""
    headers = {"X-Postmark-Server-Token": key, "X-Postmark-Account-Token": account_token(key)}
    with httpx.Client(base_url=endpoint, headers=headers) as client:

        def one(person: Person) -> None:
            email = person.emails[0]
            for stream in ("outbound", "broadcast"):
                path = f"/message-streams/{stream}/suppressions"
                if _json(client.get(f"{path}/dump", params={"EmailAddress": email}))["Suppressions"]:
                    _json(client.post(f"{path}/delete", json={"Suppressions": [{"EmailAddress": email}]}))
            body = {"RequestedBy": "bench@bench.example", "RequestedFor": email, "NotifyWhenCompleted": False}
            _json(client.post("/data-removals", json=body))

        _each(people, one, at_once)


def _each(people: Sequence[Person], one: Callable[[Person], None], at_once: int) -> None:
    with ThreadPoolExecutor(at_once) as threads:
        for _ in threads.map(one, people):
            pass


def _json(answer: httpx.Response) -> dict[str, Any]:
    return dict(answer.raise_for_status().json())


def _poll(client: httpx.Client, path: str, status: str) -> None:
    while _json(client.get(path))["status"] != status:
        pass


BY_HAND: Mapping[str, Callable[[str, str, Sequence[Person], int], None]] = {
    "stripe": stripe,
    "paypal": paypal,
    "sendgrid": sendgrid,
    "postmark": postmark,
}
