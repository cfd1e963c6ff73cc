"""Suppressions: whom SendGrid sends nothing, or nothing of a group, and why.

For a few addresses SendGrid is asked for each; for many the lists are read, while that takes fewer calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.privacy.processors.answers import items, objects, value
from include.privacy.processors.pacing import spread
from include.privacy.processors.protocol import ProcessorRefusedError
from include.privacy.processors.sendgrid.calls import SendGridCalls, expect, narrowed
from include.privacy.processors.sendgrid.settings import GLOBAL

LISTS = {
    "bounce": "bounces",
    "block": "blocks",
    "invalid_email": "invalid_emails",
    "spam_report": "spam_reports",
}
GLOBAL_KIND = "global_suppression"
GROUP_KIND = "group_suppression"
FEW = 3
PAGE = 500
PER_CALL = 1_000
"""No limit is documented; a thousand addresses are some 30 KB."""


@dataclass(frozen=True)
class Row:
    """One suppression of one address; ``group``: of a group's."""

    kind: str
    address: str = field(repr=False)
    told: Mapping[str, Any] = field(repr=False)
    group: int | None = None

    @property
    def created(self) -> datetime | None:
        """Since when, if SendGrid says so."""
        at = self.told.get("created")
        return datetime.fromtimestamp(float(at), UTC) if isinstance(at, int | float) else None


class Suppressions:
    """``addresses`` are in lower case throughout."""

    def __init__(self, calls: SendGridCalls, at_once: int) -> None:
        self._calls, self._at_once = calls, at_once

    def find(self, addresses: Sequence[str], kinds: Sequence[str] | None = None) -> dict[str, list[Row]]:
        """The suppressions of each address, of these kinds (default: all)."""
        found: dict[str, list[Row]] = defaultdict(list)
        if not addresses:
            return found
        for kind in kinds or (*LISTS, GLOBAL_KIND, GROUP_KIND):
            for row in self._groups(addresses) if kind == GROUP_KIND else self._rows(kind, addresses):
                found[row.address].append(row)
        return found

    def _rows(self, kind: str, addresses: Sequence[str]) -> list[Row]:
        rows = self._listed(kind, set(addresses), len(addresses)) if len(addresses) > FEW else None
        if rows is None:
            each = spread(addresses, lambda a: self._of(kind, a), at_once=self._at_once)
            rows = [row for found in each for row in found]
        return rows

    def _listed(self, kind: str, addresses: set[str], most: int) -> list[Row] | None:
        """From the list; ``None`` when it is so long that asking for each is cheaper."""
        rows = []
        for page in range(most):
            query = {"limit": PAGE, "offset": page * PAGE}
            name = LISTS.get(kind, "unsubscribes")
            answer = self._calls.call("GET", "suppression", name, query=query)
            told = objects(expect(answer, 200), None, "email")
            rows += [Row(kind, a, each) for each in told if (a := each["email"].lower()) in addresses]
            if len(told) < PAGE:
                return rows
        return None

    def _of(self, kind: str, address: str) -> list[Row]:
        if kind == GLOBAL_KIND:
            answer = self._calls.call("GET", "asm", "suppressions", "global", address)
            told = expect(answer, 200) if answer.status != 404 else {}
            if not told:
                return []
            value(told, "recipient_email", str)
            return [Row(kind, address, told)]
        answer = self._calls.call("GET", "suppression", LISTS[kind], address)
        rows = objects(expect(answer, 200), None) if answer.status != 404 else []
        return [Row(kind, address, each) for each in rows]

    def _groups(self, addresses: Sequence[str]) -> list[Row]:
        if len(addresses) <= FEW:
            rows = []
            for address in addresses:
                answer = self._calls.call("GET", "asm", "suppressions", address)
                rows += [
                    Row(GROUP_KIND, address, group, value(group, "id", int))
                    for group in objects(expect(answer, 200), "suppressions", "name")
                    if value(group, "suppressed", bool)
                ]
            return rows
        rows = []
        for group in objects(expect(self._calls.call("GET", "asm", "groups"), 200), None, "name"):
            number = value(group, "id", int)
            told = {"id": number, "name": group["name"]}
            path = ("asm", "groups", str(number), "suppressions", "search")
            for start in range(0, len(addresses), PER_CALL):
                body = {"recipient_emails": list(addresses[start : start + PER_CALL])}
                found = items(expect(self._calls.call("POST", *path, body=body), 200), None, str)
                rows += [Row(GROUP_KIND, each.lower(), told, number) for each in found]
        return rows

    def delete(self, rows: Sequence[Row]) -> None:
        """Delete these, and nothing else: the call that empties a list is never made."""
        for kind, name in LISTS.items():
            addresses = sorted({row.address for row in rows if row.kind == kind})
            for start in range(0, len(addresses), PER_CALL):
                body = {"emails": addresses[start : start + PER_CALL]}
                expect(self._calls.call("DELETE", "suppression", name, body=body), 204, 404)
        single = [row for row in rows if row.kind in (GLOBAL_KIND, GROUP_KIND)]
        for _ in spread(single, self._delete_one, at_once=self._at_once):
            pass

    def _delete_one(self, row: Row) -> None:
        if row.kind == GLOBAL_KIND:
            path: tuple[str, ...] = ("asm", "suppressions", "global", row.address)
        else:
            path = ("asm", "groups", str(row.group), "suppressions", row.address)
        expect(self._calls.call("DELETE", *path), 204, 404)

    def require(self, target: str) -> None:
        """Make sure that a group exists: what is posted to one that does not suppresses everything.

        Raises :class:`ProcessorRefusedError`.
        """
        if target != GLOBAL and self._calls.call("GET", "asm", "groups", target).status != 200:
            raise ProcessorRefusedError(
                f"SendGrid has no suppression group {target}; correct objection in "
                "config/processors/sendgrid.yaml"
            )

    def suppress(self, target: str, addresses: Sequence[str]) -> frozenset[str]:
        """Send them nothing of the group any more (or nothing at all); returns those that are confirmed."""
        path = ("global",) if target == GLOBAL else (target, "suppressions")
        below = ("asm", "suppressions") if target == GLOBAL else ("asm", "groups")
        confirmed: set[str] = set()
        for _, answer in narrowed(
            addresses,
            PER_CALL,
            lambda b: self._calls.call("POST", *below, *path, body={"recipient_emails": list(b)}),
        ):
            if answer.status not in (400, 413):
                confirmed.update(each.lower() for each in items(expect(answer, 201), "recipient_emails", str))
        return frozenset(confirmed)
