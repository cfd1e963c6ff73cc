"""Suppressions of SendGrid's stand-in: groups, the global list, bounces, blocks, bad addresses, complaints.

As documented, posting to a group that does not exist suppresses globally. An empty search is an empty
answer here, not a 404.
"""

from __future__ import annotations

import re
import sys
from typing import Any
from urllib.parse import unquote

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.sendgrid_account import Account, errors
from include.sandbox.processors.sendgrid_contacts import ADDRESS

LISTS = ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")
LARGEST_PAGE = 500
_GROUP = re.compile(r"/v3/asm/groups/(\d+)(/suppressions(?:/(?P<email>[^/]+))?)?")


class Suppressions:
    """``unsubscribes`` is the global list."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.lists: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in LISTS}
        self.groups: dict[int, dict[str, Any]] = {
            1001: {"id": 1001, "name": "Newsletter", "description": "News about practising"},
            1002: {"id": 1002, "name": "Tips", "description": "Tips for practising"},
        }
        self.members: dict[int, set[str]] = {number: set() for number in self.groups}

    def describe(self) -> dict[str, Any]:
        """Who is on which list."""
        groups = {str(number): sorted(members) for number, members in self.members.items()}
        return {"groups": groups, **{name: sorted(rows) for name, rows in self.lists.items()}}

    def put(self, name: str, email: str) -> None:
        """Put an address on a list, as an event would."""
        row: dict[str, Any] = {"created": int(self._account.now().timestamp()), "email": email.lower()}
        if name in ("bounces", "blocks", "invalid_emails"):
            row["reason"] = "550 5.1.1 no such mailbox"
        if name in ("bounces", "blocks"):
            row["status"] = "5.1.1"
        if name == "spam_reports":
            row["ip"] = "192.0.2.10"
        self.lists[name].setdefault(email.lower(), row)

    def answer(self, request: Request) -> Response | None:
        """The answer to a call of this part."""
        parts = request.path.split("/")[2:]
        match request.method, parts:
            case _, ["suppression", name, *rest] if name in LISTS:
                return self._list(request, name, unquote(rest[0]) if rest else None)
            case "POST", ["asm", "suppressions", "global"]:
                return self._add(request, None)
            case method, ["asm", "suppressions", "global", email]:
                return self._global(method, unquote(email).lower())
            case "GET", ["asm", "suppressions", email]:
                return self._groups_of(unquote(email).lower())
            case "GET", ["asm", "groups"]:
                return Response.of_json([self._group(number) for number in self.groups])
            case _, ["asm", "groups", *_]:
                return self._in_group(request)
        return None

    def _list(self, request: Request, name: str, email: str | None) -> Response | None:
        rows = self.lists[name]
        if request.method == "GET" and email is None:
            limit, offset = int(request.query.get("limit", "500")), int(request.query.get("offset", "0"))
            if not 1 <= limit <= LARGEST_PAGE:
                return errors(400, "limit must be between 1 and 500", "limit")
            first = int(request.query.get("start_time", "0"))
            last = int(request.query.get("end_time", sys.maxsize))
            told = [row for row in rows.values() if first <= row["created"] <= last]
            return Response.of_json(told[offset : offset + limit])
        if name == "unsubscribes":
            return None
        if request.method == "GET" and email is not None:
            return Response.of_json([rows[email.lower()]] if email.lower() in rows else [])
        if request.method != "DELETE":
            return None
        if email is not None:
            return Response(204) if rows.pop(email.lower(), None) else errors(404, "not found")
        body = request.json()
        if not isinstance(body, dict) or (body.get("delete_all") and body.get("emails")):
            return errors(400, "emails or delete_all", "emails")
        for each in list(rows) if body.get("delete_all") else body.get("emails", []):
            rows.pop(each.lower(), None)
        return Response(204)

    def _group(self, number: int) -> dict[str, Any]:
        return self.groups[number] | {"is_default": False, "unsubscribes": len(self.members[number])}

    def _groups_of(self, email: str) -> Response:
        told = [
            group | {"is_default": False, "suppressed": email in self.members[number]}
            for number, group in self.groups.items()
        ]
        return Response.of_json({"suppressions": told})

    def _global(self, method: str, email: str) -> Response | None:
        rows = self.lists["unsubscribes"]
        if method == "GET":
            return Response.of_json({"recipient_email": email} if email in rows else {})
        if method == "DELETE":
            return Response(204) if rows.pop(email, None) else errors(404, "not found")
        return None

    def _add(self, request: Request, group: int | None) -> Response:
        body = request.json()
        wanted = body.get("recipient_emails") if isinstance(body, dict) else None
        if not isinstance(wanted, list) or not wanted:
            return errors(400, "recipient_emails is required", "recipient_emails")
        if any(not isinstance(each, str) or not ADDRESS.fullmatch(each) for each in wanted):
            return errors(400, "one or more emails are invalid", "recipient_emails")
        for each in wanted:
            if group in self.groups:
                self.members[group].add(each.lower())  # type: ignore[index] # then it is one of them
            else:
                self.put("unsubscribes", each)
        return Response.of_json({"recipient_emails": wanted}, 201)

    def _in_group(self, request: Request) -> Response | None:
        found = _GROUP.fullmatch(request.path)
        if found is None:
            return None
        number, email = int(found[1]), found["email"]
        match request.method, found[2] is not None, email:
            case "GET", False, None:
                return (
                    Response.of_json(self._group(number))
                    if number in self.groups
                    else errors(404, "not found")
                )
            case "POST", True, None:
                return self._add(request, number)
            case "POST", True, "search":
                wanted = request.json()["recipient_emails"]
                members = self.members.get(number, set())
                return Response.of_json([each.lower() for each in wanted if each.lower() in members])
            case "DELETE", True, str():
                members = self.members.get(number, set())
                if unquote(email).lower() not in members:
                    return errors(404, "not found")
                members.discard(unquote(email).lower())
                return Response(204)
        return None
