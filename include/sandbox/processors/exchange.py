"""One HTTP request to a stand-in and its answer, apart from the server that carries them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """Header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
        """Make a request from the target of a request line."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return cls(method, parts.path, query, {k.lower(): v for k, v in headers.items()}, body)

    def json(self) -> Any:
        """The body as JSON; ``ValueError`` when it is none."""
        return json.loads(self.body)


@dataclass
class Response:
    """Status, headers and body, and what happens to them on the way.

    ``delay``: seconds before it leaves. ``lost``: it never does; ``reset`` says whether the connection
    is reset at once or, after the delay, closed.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    lost: bool = False
    reset: bool = False

    @classmethod
    def of_json(cls, value: Any, status: int = 200) -> Response:
        """A JSON document."""
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    @classmethod
    def of_html(cls, page: str) -> Response:
        """A page for people."""
        return cls(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
