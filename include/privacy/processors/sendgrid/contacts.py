"""Marketing contacts: found by address, changed and deleted by jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.privacy.processors.answers import objects, value
from include.privacy.processors.sendgrid.calls import SendGridCalls, expect, narrowed

PER_SEARCH = 100
PER_DELETE = 100
"""Ids travel in the query: 100 are 3.7 KB, well below the 8 KB at which servers and proxies end a URL."""
PER_UPSERT = 1_000
"""SendGrid takes 30,000 or 6 MB; a thousand full contacts stay below that."""
IDENTIFIERS = ("phone_number_id", "external_id", "anonymous_id")
"""Each belongs to one contact only, as does the address."""
_FIELDS = (
    "first_name", "last_name", "address_line_1", "address_line_2", "city", "state_province_region", "country",
    "postal_code",
)  # fmt: skip
Contact = Mapping[str, Any]


@dataclass(frozen=True)
class Search:
    """``contacts`` by the address that led to them; ``refused``: no addresses in SendGrid's eyes."""

    contacts: Mapping[str, Contact] = field(repr=False)
    refused: frozenset[str] = field(repr=False)

    def of(self, addresses: Iterable[str]) -> list[Contact]:
        """The contacts of whoever has these addresses, each once."""
        found = {c["id"]: c for a in addresses if (c := self.contacts.get(a)) is not None}
        return list(found.values())


class Contacts:
    """``addresses`` are in lower case throughout, as SendGrid keeps them."""

    def __init__(self, calls: SendGridCalls) -> None:
        self._calls = calls

    def search(self, addresses: Sequence[str]) -> Search:
        """A hundred a call; 404 means that none of them is known."""
        contacts: dict[str, Contact] = {}
        refused: set[str] = set()
        for batch, answer in narrowed(
            addresses,
            PER_SEARCH,
            lambda b: self._calls.call(
                "POST", "marketing", "contacts", "search", "emails", body={"emails": list(b)}
            ),
        ):
            if answer.status in (400, 413):
                refused.update(batch)
            elif answer.status != 404:
                for address, told in value(expect(answer, 200), "result", dict).items():
                    if isinstance(told, dict) and "contact" in told:
                        contact = value(told, "contact", dict)
                        value(contact, "id", str)
                        contacts[str(address).lower()] = contact
        return Search(contacts, frozenset(refused))

    def delete(self, ids: Sequence[str]) -> dict[str, str]:
        """Ask for the deletion of these contacts; the job by the id of each.

        Ids that are refused, or unknown by now, are not in the answer: whether they are gone is found out
        by looking.
        """
        jobs: dict[str, str] = {}
        for batch, answer in narrowed(
            ids,
            PER_DELETE,
            lambda b: self._calls.call("DELETE", "marketing", "contacts", query={"ids": ",".join(b)}),
        ):
            if answer.status not in (400, 404, 413):
                jobs |= dict.fromkeys(batch, value(expect(answer, 202), "job_id", str))
        return jobs

    def upsert(self, contacts: Sequence[Contact], list_ids: Sequence[str]) -> dict[str, str]:
        """Ask for changes; the job by address. Whoever is refused is not in the answer."""
        jobs: dict[str, str] = {}

        def put(batch: Sequence[Contact]) -> Any:
            lists = {"list_ids": list(list_ids)} if list_ids else {}
            return self._calls.call("PUT", "marketing", "contacts", body={"contacts": list(batch), **lists})

        for batch, answer in narrowed(contacts, PER_UPSERT, put):
            if answer.status not in (400, 413):
                job = value(expect(answer, 202), "job_id", str)
                jobs |= dict.fromkeys((str(c["email"]) for c in batch), job)
        return jobs

    def job(self, job_id: str) -> str:
        """``pending``, ``done`` or ``failed``. What a job did is found out by looking, so that a job with
        errors in it, and one that SendGrid has forgotten, are done.
        """
        answer = self._calls.call("GET", "marketing", "contacts", "imports", job_id)
        if answer.status in (400, 404):
            return "done"
        status = value(expect(answer, 200), "status", str)
        return {"completed": "done", "errored": "done", "failed": "failed"}.get(status, "pending")

    def copied(self, contact: Contact) -> dict[str, Any]:
        """What an upsert says to make a contact like this one, but for its identifiers."""
        fields: dict[str, Any] = {name: contact[name] for name in _FIELDS if contact.get(name)}
        if contact.get("custom_fields"):
            # Told by name, asked for by id.
            told = expect(self._calls.call("GET", "marketing", "field_definitions"), 200)
            known = objects(told, "custom_fields", "id", "name")
            ids = {each["name"]: each["id"] for each in known}
            fields["custom_fields"] = {ids[n]: v for n, v in contact["custom_fields"].items() if n in ids}
        return fields


def identifiers(contact: Contact) -> dict[str, str]:
    """Those besides the address, which an update has to name."""
    return {name: str(contact[name]) for name in IDENTIFIERS if contact.get(name)}
