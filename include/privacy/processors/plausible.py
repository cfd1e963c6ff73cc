"""Plausible (P5.7): holds nothing per person, and the proof of it.

Plausible counts visits under a hash whose salt it throws away every day; nothing there leads to a
person, so there is nothing to find, hand out or erase (Art. 11 GDPR; plausible.io/data-policy). The one way
in is ours: a page address or a property that has something personal in it. :meth:`Plausible.scan` looks
for that; a hit is a defect of the platform, for Plausible cannot delete single rows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.http import TIMEOUT, Answer, Api
from include.privacy.processors.pacing import Pace
from include.privacy.processors.personal_patterns import patterns
from include.privacy.processors.protocol import (
    Exported,
    Found,
    ObjectOutcome,
    Person,
    Preflight,
    ProcessorRefusedError,
    ProcessorUnavailableError,
    Report,
    State,
)

HOST = "https://plausible.io"
QUERY, PROPERTIES = "/api/v2/query", "/api/v1/sites/custom-props"
PAGE = 10_000
"""Rows of a query, the most that Plausible gives."""
CALLS, BURST = 540, 60
"""Plausible allows 600 calls an hour; a burst and an hour's share stay below."""
VISIT = "visit"
PAGES = "event:page"
TYPED = ("url", "path", "search_query")
"""Properties that Plausible's own script fills (links, files, missing pages, searches)."""
NOBODY = "nobody_identifiable"


class Settings(BaseModel):
    """``sites``: their names at Plausible. ``dimensions``: what is scanned besides all properties."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: Annotated[tuple[str, ...], Field(min_length=1)]
    dimensions: tuple[str, ...] = (
        PAGES,
        "event:name",
        "visit:referrer",
        "visit:utm_campaign",
        "visit:utm_content",
        "visit:utm_term",
    )


@dataclass(frozen=True)
class Finding:
    """Something that looks personal: where, what kind, in how many different values. Never the value."""

    site: str
    dimension: str
    pattern: str
    count: int


class Plausible:
    """The sites of our account. Only :meth:`preflight`, :meth:`verify` and :meth:`scan` make calls."""

    name = "plausible"

    def __init__(self, settings: Settings, api: Api) -> None:
        self._settings, self._api = settings, api

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def preflight(self, *, as_of: datetime) -> Preflight:
        """Whether the key may query the sites and list their properties."""
        features = {"stats_api": True, "sites_api": True}
        for site in self._settings.sites:
            day = as_of.date()
            query = _query(site, PAGES, 1, 0, since=day, until=day)
            features["stats_api"] &= self._allowed("POST", QUERY, json=query)
            features["sites_api"] &= self._allowed("GET", PROPERTIES, params={"site_id": site, "limit": 1})
        missing = {
            "stats_api": "Plausible does not answer queries for our sites; check settings.sites and the plan",
            "sites_api": "Plausible does not list our properties: give the key the sites scope",
        }
        return Preflight(features, tuple(words for name, words in missing.items() if not features[name]))

    def find(self, people: Sequence[Person]) -> Iterator[Found]:
        """Nothing, of anybody."""
        yield from (Found(p.reference, {}) for p in people)

    def export(self, people: Sequence[Person]) -> Iterator[Exported]:
        """Nothing, of anybody."""
        yield from (Exported(p.reference, {}) for p in people)

    def rectify(
        self, people: Sequence[Person], corrections: Mapping[str, Mapping[str, str]], *, as_of: datetime
    ) -> Iterator[Report]:
        """Nothing is held."""
        return self._nothing(people)

    def object_to(self, people: Sequence[Person], purpose: str, *, as_of: datetime) -> Iterator[Report]:
        """Nothing is held. Whoever wants not to be counted tells their browser (localStorage)."""
        return self._nothing(people)

    def restrict(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Nothing is held."""
        return self._nothing(people)

    def erase(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Nothing is held."""
        return self._nothing(people)

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Nothing is held."""
        return self._nothing(people)

    def verify(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Found]:
        """Read all values once and look for these people's own addresses and ids in them.

        The values come to us: to ask Plausible for an address would tell it the address.
        """
        if not people:
            return
        marks: dict[str, set[str]] = {}
        for person in people:
            for mark in (*person.emails, *(i for ids in person.ids.values() for i in ids)):
                # Anything shorter would be found in every page.
                if len(mark) >= 6:
                    marks.setdefault(mark.casefold(), set()).add(person.reference)
        counts: dict[str, Counter[str]] = {p.reference: Counter() for p in people}
        for _, dimension, value in self._values(None, as_of):
            text = f"{value}\n{unquote_plus(value)}".casefold()
            for reference in {r for mark, rs in marks.items() if mark in text for r in rs}:
                counts[reference][dimension] += 1
        yield from (Found(reference, dict(found)) for reference, found in counts.items())

    def scan(self, as_of: datetime, *, since: datetime | None = None) -> tuple[Finding, ...]:
        """Everything recorded from ``since`` (default: ever) to ``as_of`` that looks personal.

        Raises :class:`ProcessorRefusedError` when the key or a site is refused, and
        :class:`ProcessorUnavailableError`; a scan is whole or none.
        """
        found: Counter[tuple[str, str, str]] = Counter()
        for site, dimension, value in self._values(since, as_of):
            key = dimension.removeprefix("event:props:")
            for pattern in patterns(value, key=key if key != dimension else None):
                found[site, dimension, pattern.value] += 1
        return tuple(Finding(*where, count) for where, count in sorted(found.items()))

    def _values(self, since: datetime | None, as_of: datetime) -> Iterator[tuple[str, str, str]]:
        """Site, dimension and value of every value there is."""
        first = since.date() if since else None
        for site in self._settings.sites:
            named = [f"event:props:{name}" for name in dict.fromkeys((*TYPED, *self._properties(site)))]
            for dimension in (*self._settings.dimensions, *named):
                offset = 0
                while True:
                    query = _query(site, dimension, PAGE, offset, since=first, until=as_of.date())
                    rows = self._rows(self._api.call("POST", QUERY, json=query, repeatable=True), "results")
                    for row in rows:
                        value = row["dimensions"][0]
                        if isinstance(value, str) and value not in ("", "(none)"):
                            yield site, dimension, value
                    offset += len(rows)
                    if len(rows) < PAGE:
                        break

    def _properties(self, site: str) -> list[str]:
        found: list[str] = []
        after: str | None = None
        while True:
            params = {"site_id": site, "limit": 100} | ({"after": after} if after else {})
            answer = self._api.call("GET", PROPERTIES, params=params)
            found += [str(each["property"]) for each in self._rows(answer, "custom_properties")]
            after = (answer.body.get("meta") or {}).get("after")
            if not after:
                return found

    def _rows(self, answer: Answer, name: str) -> list[Any]:
        if not answer.ok:
            raise ProcessorRefusedError(
                f"Plausible refuses a query ({answer.status}); check settings.sites and dimensions in "
                "config/processors/plausible.yaml"
            )
        rows = answer.body.get(name) if isinstance(answer.body, dict) else None
        if not isinstance(rows, list):
            raise ProcessorUnavailableError(f"Plausible answered without {name}; the next run asks again")
        return rows

    def _allowed(self, method: str, path: str, **call: Any) -> bool:
        try:
            return self._api.call(method, path, repeatable=True, **call).ok
        except ProcessorRefusedError:
            return False

    def _nothing(self, people: Sequence[Person]) -> Iterator[Report]:
        outcome = ObjectOutcome(VISIT, State.not_held, code=NOBODY)
        yield from (Report(p.reference, (outcome,)) for p in people)


def connect(
    mapped: ProcessorMap,
    info: ConnectionInfo,
    endpoint_url: str | None,
    *,
    timeout: timedelta = TIMEOUT,
    sleep: Callable[[float], None] = time.sleep,
) -> Plausible:
    """The adapter. ``ValueError`` says what to put into the connection, or which setting is wrong."""
    try:
        settings = Settings.model_validate(mapped.settings)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"settings.{field} of processor {mapped.processor!r}: {first['msg']}") from None
    key = info.password
    if not key:
        raise ValueError("needs an API key as password (Plausible: account settings, API keys)")
    pace = Pace(CALLS, 3_600.0, burst=BURST, sleep=sleep)
    headers = {"Authorization": f"Bearer {key}"}
    url = endpoint_url or HOST
    return Plausible(
        settings, Api("Plausible", url, pace, headers=lambda: headers, timeout=timeout, sleep=sleep)
    )


def _query(
    site: str, dimension: str, limit: int, offset: int, *, since: date | None, until: date
) -> dict[str, Any]:
    return {
        "site_id": site,
        "metrics": ["visitors"],
        "date_range": [since.isoformat(), until.isoformat()] if since else "all",
        "dimensions": [dimension],
        # By value, so that pages of rows do not overlap while visits come in.
        "order_by": [[dimension, "asc"]],
        "pagination": {"limit": limit, "offset": offset},
    }
