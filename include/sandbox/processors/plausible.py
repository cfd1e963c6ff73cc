"""Plausible's stand-in: Stats API v2 queries and the list of custom properties, over recorded page views.

Modelled on Plausible's documentation and its schema of a query (2026-07). It knows nobody: people's visits
are counted by page, and no view can be told from another. Settings: ``inject`` (views to record: page,
name of the event, referrer, properties), ``limit`` and ``per_seconds``, ``off`` (``stats_api`` or
``sites_api``).
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.limits import RateLimit

SITE = "practice-engine.example"
_DECLARED = ["plan", "logged_in", "skill"]
_ORDINARY = (
    ("/", {}),
    ("/pricing", {"logged_in": "false"}),
    ("/blog/2026/ten-ways-to-practise", {"logged_in": "false"}),
    ("/practice/skills/sight-reading", {"skill": "sight-reading", "logged_in": "true"}),
    ("/practice/skills/public-speaking/level-3", {"skill": "public-speaking", "logged_in": "true"}),
    ("/settings/billing", {"plan": "solo", "logged_in": "true"}),
    ("/help/articles/1042-change-my-password", {"logged_in": "true"}),
)
_FIELDS = {
    "event:page": "page",
    "event:name": "name",
    "visit:referrer": "referrer",
    "visit:utm_campaign": "utm_campaign",
    "visit:utm_content": "utm_content",
    "visit:utm_term": "utm_term",
}
_METRICS = frozenset({"visitors", "visits", "pageviews", "events"})
_KNOWN = frozenset(
    {"site_id", "metrics", "date_range", "dimensions", "filters", "order_by", "include", "pagination"}
)


@dataclass(frozen=True)
class View:
    """One page view or event."""

    page: str = "/"
    name: str = "pageview"
    referrer: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_term: str = ""
    props: dict[str, str] = field(default_factory=dict)
    at: str = ""


class Plausible:
    """One account with one site."""

    def __init__(self, folder: Path, api_key: str) -> None:
        self._key = api_key
        self._lock = threading.Lock()
        self._views: list[View] = []
        self._declared = list(_DECLARED)
        self._seeded: set[int] = set()
        self._off: set[str] = set()
        self._limit = RateLimit(600, 3_600.0)

    def configure(self, settings: dict[str, Any]) -> None:
        """``inject``, ``limit`` with ``per_seconds``, ``off``."""
        known = {"inject", "limit", "per_seconds", "off"}
        if unknown := settings.keys() - known:
            raise ValueError(
                f"unknown settings {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        with self._lock:
            for each in settings.get("inject", ()):
                view = View(**{"at": datetime.now(UTC).isoformat(), **each})
                self._views.append(view)
                self._declared += [name for name in view.props if name not in self._declared]
            if "limit" in settings:
                self._limit.change(settings["limit"], settings.get("per_seconds", 3_600.0))
            self._off = set(settings.get("off", self._off))

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Ordinary views, as many as people; nothing of theirs is in them."""
        with self._lock:
            for person in people:
                number = int(person["account_id"])
                if number not in self._seeded:
                    self._seeded.add(number)
                    page, props = _ORDINARY[number % len(_ORDINARY)]
                    self._views.append(View(page, props=dict(props), at=str(person["created_at"])))

    def describe(self) -> dict[str, Any]:
        """All views."""
        with self._lock:
            return {
                "views": [asdict(view) for view in self._views],
                "custom_properties": list(self._declared),
            }

    def refusal(self, status: int) -> Response:
        """Plausible's error document."""
        return _error(status, "Internal server error" if status >= 500 else f"Refused with {status}")

    def answer(self, request: Request) -> Response:
        """Check key, rate and feature, then do what is asked."""
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
            return _error(401, "Invalid API key or site ID.")
        if not self._limit.take()[0]:
            return _error(429, "Too many API requests. Your API key is limited to 600 requests per hour.")
        try:
            if (request.method, request.path) == ("POST", "/api/v2/query"):
                return self._missing("stats_api") or self._query(request.json())
            if (request.method, request.path) == ("GET", "/api/v1/sites/custom-props"):
                return self._missing("sites_api") or self._properties(request)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _error(400, f"Invalid query: {error}")
        return _error(404, "Not found")

    def _missing(self, feature: str) -> Response | None:
        return _error(401, "Your API key lacks the scope.") if feature in self._off else None

    def _properties(self, request: Request) -> Response:
        if request.query.keys() - {"site_id", "limit", "after", "before"}:
            raise ValueError("unknown parameter")
        if request.query.get("site_id") != SITE:
            return _error(404, "Site could not be found")
        limit, start = int(request.query.get("limit", 100)), int(request.query.get("after", 0))
        with self._lock:
            shown = [{"property": name} for name in self._declared[start : start + limit]]
            more = str(start + limit) if start + limit < len(self._declared) else None
        meta = {"after": more, "before": None, "limit": limit}
        return Response.of_json({"custom_properties": shown, "meta": meta})

    def _query(self, body: dict[str, Any]) -> Response:
        if unknown := body.keys() - _KNOWN:
            raise ValueError(f"#/{min(unknown)}: Schema does not allow additional properties.")
        if body["site_id"] != SITE:
            return _error(401, "Invalid API key or site ID.")
        metrics, dimensions = body["metrics"], body.get("dimensions", [])
        pagination = {"limit": 10_000, "offset": 0} | body.get("pagination", {})
        if not metrics or set(metrics) - _METRICS or not 1 <= pagination["limit"] <= 10_000:
            raise ValueError("metrics or pagination")
        first, last = _range(body["date_range"])
        with self._lock:
            counted = Counter(
                tuple(_value(view, d) for d in dimensions)
                for view in self._views
                if first <= datetime.fromisoformat(view.at).date() <= last
            )
        offset, limit = pagination["offset"], pagination["limit"]
        rows = sorted(counted.items())[offset : offset + limit]
        results = [{"dimensions": list(key), "metrics": [count] * len(metrics)} for key, count in rows]
        return Response.of_json({"results": results, "meta": {}, "query": body})


def _value(view: View, dimension: str) -> str:
    """What is not set is ``(none)``."""
    if dimension.startswith("event:props:"):
        return view.props.get(dimension.removeprefix("event:props:"), "(none)")
    if dimension not in _FIELDS:
        raise ValueError(f"Invalid dimension {dimension}")
    return str(getattr(view, _FIELDS[dimension])) or "(none)"


def _range(given: Any) -> tuple[date, date]:
    if given == "all":
        return date.min, date.max
    first, last = given
    return date.fromisoformat(first), date.fromisoformat(last)


def _error(status: int, words: str) -> Response:
    return Response.of_json({"error": words}, status)
