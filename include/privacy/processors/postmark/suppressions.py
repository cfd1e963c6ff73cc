"""Suppressions by stream: 50 addresses a call, and a status for each of them inside a 200."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from include.privacy.processors.answers import objects
from include.privacy.processors.postmark.calls import PostmarkCalls, code, expect
from include.privacy.processors.postmark.settings import SUPPRESSIONS
from include.privacy.processors.protocol import ProcessorRefusedError

PER_CALL = 50
FEW = 3
DONE = frozenset({"Suppressed", "Deleted"})


@dataclass(frozen=True)
class Row:
    """One address on one stream's list."""

    stream: str
    address: str = field(repr=False)
    told: Mapping[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """By Postmark's reason; what it does not name is somebody's wish."""
        return SUPPRESSIONS.get(str(self.told.get("SuppressionReason")), "opt_out")

    @property
    def created(self) -> datetime:
        """Since when."""
        return datetime.fromisoformat(str(self.told["CreatedAt"]))


class Suppressions:
    """``addresses`` are in lower case throughout."""

    def __init__(self, calls: PostmarkCalls) -> None:
        self._calls = calls

    def streams(self) -> list[str]:
        """The streams that send."""
        answer = self._calls.get("/message-streams")
        told = objects(expect(answer), "MessageStreams", "ID", "MessageStreamType")
        return [each["ID"] for each in told if each["MessageStreamType"] != "Inbound"]

    def find(self, addresses: Sequence[str]) -> dict[str, list[Row]]:
        """For a few addresses each is asked for; for many, every stream's list is read at once."""
        found: dict[str, list[Row]] = defaultdict(list)
        if not addresses:
            return found
        wanted = set(addresses)
        asked: Iterable[dict[str, str]] = [{"EmailAddress": a} for a in addresses]
        for stream in self.streams():
            for params in asked if len(addresses) <= FEW else [{}]:
                answer = self._calls.get(_path(stream, "/dump"), **params)
                if answer.status == 422 and params:
                    continue  # no address in Postmark's eyes
                for told in objects(expect(answer), "Suppressions", "EmailAddress", "CreatedAt"):
                    address = str(told["EmailAddress"]).lower()
                    if address in wanted:
                        found[address].append(Row(stream, address, told))
        return found

    def suppress(self, stream: str, addresses: Sequence[str]) -> frozenset[str]:
        """Send them nothing on the stream any more; returns those for whom Postmark says so.

        Raises :class:`ProcessorRefusedError` for a stream that does not exist.
        """
        return self._each(stream, "", addresses)

    def delete(self, rows: Sequence[Row]) -> frozenset[tuple[str, str]]:
        """Delete these; returns stream and address of those that are gone."""
        by_stream: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_stream[row.stream].append(row.address)
        return frozenset(
            (stream, address)
            for stream, addresses in by_stream.items()
            for address in self._each(stream, "/delete", addresses)
        )

    def _each(self, stream: str, what: str, addresses: Sequence[str]) -> frozenset[str]:
        done: set[str] = set()
        for start in range(0, len(addresses), PER_CALL):
            batch = addresses[start : start + PER_CALL]
            answer = self._calls.post(
                _path(stream, what), {"Suppressions": [{"EmailAddress": each} for each in batch]}
            )
            if answer.status in (404, 422):
                raise ProcessorRefusedError(
                    f"Postmark refuses suppressions on stream {stream} ({answer.status}, ErrorCode "
                    f"{code(answer)}); check objection in config/processors/postmark.yaml"
                )
            told = objects(expect(answer), "Suppressions", "EmailAddress", "Status")
            done |= {str(each["EmailAddress"]).lower() for each in told if each["Status"] in DONE}
        return frozenset(done)


def _path(stream: str, what: str) -> str:
    return f"/message-streams/{quote(stream, safe='')}/suppressions{what}"
