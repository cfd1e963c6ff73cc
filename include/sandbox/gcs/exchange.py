"""One HTTP request and its answer, apart from the server that carries them; batches are made of them too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from include.sandbox.gcs.errors import ApiError


@dataclass
class Request:
    """``path`` is still percent-encoded: an object's name may hold slashes. Header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    base_url: str = ""

    @classmethod
    def of(
        cls, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", base_url: str = ""
    ) -> Request:
        """Make a request from a request line's target, absolute or not."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        lowered = {name.lower(): value for name, value in headers.items()}
        return cls(method, parts.path, query, lowered, body, base_url)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty without a body."""
        if not self.body:
            return {}
        try:
            value = json.loads(self.body)
        except ValueError:
            raise ApiError(400, "Parse Error", reason="parseError") from None
        if not isinstance(value, dict):
            raise ApiError(400, "Parse Error", reason="parseError")
        return value

    def flag(self, name: str) -> bool:
        """A boolean parameter; absent means false."""
        value = self.query.get(name, "false").lower()
        if value not in ("true", "false"):
            raise ApiError(400, f"Invalid value for {name}: {value!r}", location=name)
        return value == "true"

    def integer(self, name: str) -> int | None:
        """A whole-number parameter, or None."""
        value = self.query.get(name)
        if value is None or value == "":
            return None
        try:
            return int(value)
        except ValueError:
            raise ApiError(400, f"Invalid value for {name}: {value!r}", location=name) from None


@dataclass
class Response:
    """Status, headers and body; ``dropped`` closes the connection without an answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    dropped: bool = False

    @classmethod
    def of_json(cls, value: Any, status: int = 200) -> Response:
        """A JSON document."""
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})

    @classmethod
    def of_error(cls, error: ApiError) -> Response:
        """The documented error document."""
        return cls(error.status, error.body(), {"Content-Type": "application/json; charset=UTF-8"})
