"""Marketing contacts of SendGrid's stand-in: found by address, changed and deleted by jobs that take time.

A contact is known by its identifiers, each of which belongs to one contact only. An upsert that names an
identifier of one contact and not all of that contact's others is an error of the job: this is how the
documentation's "all of its existing identifiers must be present" is read here.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.sendgrid_account import Account, Job, errors

ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
MOST_SEARCHED = 100
MOST_UPSERTED = 30_000
IDENTIFIERS = ("email", "phone_number_id", "external_id", "anonymous_id")
_TEXTS = (
    "first_name", "last_name", "address_line_1", "address_line_2", "city", "state_province_region", "country",
    "postal_code",
)  # fmt: skip
_CONTACTS = "/v3/marketing/contacts"


class Contacts:
    """``custom_fields``: name by the id under which an upsert gives it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._contacts: dict[str, dict[str, Any]] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self.custom_fields = {"w1": "level"}

    def describe(self) -> list[dict[str, Any]]:
        """All of them."""
        return list(self._contacts.values())

    def has(self, email: str) -> bool:
        """Whether there is a contact with this address."""
        return self._owners.get(("email", email.lower())) in self._contacts

    def answer(self, request: Request) -> Response | None:
        """The answer to a call of this part."""
        match request.method, request.path:
            case "POST", "/v3/marketing/contacts/search/emails":
                return self._search(request.json())
            case "PUT", "/v3/marketing/contacts":
                return self._upsert(request.json())
            case "DELETE", "/v3/marketing/contacts":
                return self._delete(request)
            case "GET", "/v3/marketing/field_definitions":
                known = [{"id": k, "name": n, "field_type": "Text"} for k, n in self.custom_fields.items()]
                return Response.of_json({"custom_fields": known, "reserved_fields": [], "_metadata": {}})
            case "GET", path if path.startswith(f"{_CONTACTS}/imports/"):
                return self._job(path.rpartition("/")[2])
        return None

    def put(self, contact: dict[str, Any], list_ids: list[str]) -> str | None:
        """Create or update; ``None`` when the identifiers do not fit. What is left out stays as it was."""
        given = {k: contact[k].lower() if k == "email" else contact[k] for k in IDENTIFIERS if contact.get(k)}
        owners = {self._owners.get(each) for each in given.items()} & self._contacts.keys()
        same = [self._contacts[owner] for owner in owners if owner]
        if not given or len(same) > 1:
            return None
        now = self._account.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if same and any(same[0].get(k) and same[0].get(k) != given.get(k) for k in IDENTIFIERS):
            return None
        kept = same[0] if same else self._new(contact.get("email", "") or str(uuid.uuid4()), now)
        custom = {self.custom_fields[k]: v for k, v in contact.get("custom_fields", {}).items()}
        kept |= {k: v for k, v in contact.items() if k in _TEXTS or k == "alternate_emails"} | given
        kept["custom_fields"] |= custom
        kept["list_ids"] = list(dict.fromkeys([*kept["list_ids"], *list_ids]))
        kept["updated_at"] = now
        self._contacts[kept["id"]] = kept
        self._owners |= dict.fromkeys(given.items(), kept["id"])
        return "updated_count" if same else "created_count"

    def _new(self, name: str, now: str) -> dict[str, Any]:
        made = str(uuid.uuid5(uuid.NAMESPACE_URL, name + now))
        own = f"https://api.sendgrid.com{_CONTACTS}/{made}"
        return {"id": made, **dict.fromkeys(_TEXTS, ""), "alternate_emails": [], "list_ids": []} | {
            "segment_ids": [], "custom_fields": {}, "created_at": now, "_metadata": {"self": own}
        }  # fmt: skip

    def _search(self, body: Any) -> Response:
        if not isinstance(body, dict) or body.keys() != {"emails"} or not isinstance(body["emails"], list):
            return errors(400, "emails is required", "emails")
        wanted = body["emails"]
        if not 0 < len(wanted) <= MOST_SEARCHED:
            return errors(400, "between 1 and 100 emails", "emails")
        if any(not isinstance(each, str) or not ADDRESS.fullmatch(each) for each in wanted):
            return errors(400, "one or more emails are invalid", "emails")
        known = {a: c for c in self._contacts.values() for a in (c.get("email"), *c["alternate_emails"]) if a}
        result = {
            each.lower(): {"contact": known[each.lower()]}
            if each.lower() in known
            else {"error": "contact not found"}
            for each in wanted
        }
        if not any("contact" in each for each in result.values()):
            return errors(404, "not found")
        return Response.of_json({"result": result})

    def _upsert(self, body: Any) -> Response:
        if not isinstance(body, dict) or body.keys() - {"contacts", "list_ids"}:
            return errors(400, "unknown field")
        contacts, lists = body.get("contacts"), body.get("list_ids", [])
        if not isinstance(contacts, list) or not 0 < len(contacts) <= MOST_UPSERTED:
            return errors(400, "between 1 and 30000 contacts", "contacts")
        known = {*IDENTIFIERS, *_TEXTS, "alternate_emails", "custom_fields"}
        for number, contact in enumerate(contacts):
            where = f"contacts[{number}]"
            if not isinstance(contact, dict) or contact.keys() - known:
                return errors(400, "unknown field", where)
            if contact.get("email") and not ADDRESS.fullmatch(contact["email"]):
                return errors(400, "email is invalid", f"{where}.email")
            if contact.get("custom_fields", {}).keys() - self.custom_fields.keys():
                return errors(400, "unknown custom field", f"{where}.custom_fields")

        def effect(job: Job) -> None:
            done = [self.put(contact, lists) for contact in contacts]
            counts = {name: done.count(name) for name in ("created_count", "updated_count")}
            wrong = done.count(None)
            job.results = {"requested_count": len(contacts), **counts, "errored_count": wrong}

        return Response.of_json({"job_id": self._account.queue("upsert", effect).id}, 202)

    def _delete(self, request: Request) -> Response:
        if request.query.get("delete_all_contacts") == "true":

            def all_of_them(job: Job) -> None:
                job.results = {"deleted_count": len(self._contacts)}
                self._contacts.clear()

            return Response.of_json({"job_id": self._account.queue("delete", all_of_them).id}, 202)
        ids = [each for each in request.query.get("ids", "").split(",") if each]
        if not ids:
            return errors(400, "ids or delete_all_contacts is required", "ids")

        def effect(job: Job) -> None:
            gone = sum(self._contacts.pop(each, None) is not None for each in ids)
            job.results = {"requested_count": len(ids), "deleted_count": gone}

        return Response.of_json({"job_id": self._account.queue("delete", effect).id}, 202)

    def _job(self, job_id: str) -> Response:
        job = self._account.jobs.get(job_id)
        if job is None or job.kind == "erase":
            return errors(404, "not found")
        told = {"id": job.id, "status": job.status, "job_type": job.kind, "results": job.results}
        return Response.of_json(told | {"started_at": job.started.strftime("%Y-%m-%dT%H:%M:%SZ")})
