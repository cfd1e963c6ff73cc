"""Calls to Stripe through its own client: paced, TLS 1.3, repeated only under one idempotency key.

Answers stay plain JSON: an archive hands them out as they came. Why every call is raw, and repeated here
and not by the library alone: docs/DECISIONS.md. Idempotency: https://docs.stripe.com/api/idempotent_requests
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import requests
import stripe
from requests.adapters import HTTPAdapter

from include.privacy.processors.http import tls_context
from include.privacy.processors.pacing import LONGEST_WAIT, Pace
from include.privacy.processors.protocol import (
    Person,
    ProcessorRefusedError,
    ProcessorUnavailableError,
)
from include.privacy.wire import silence

ENDPOINT = "https://api.stripe.com"
TRIES = 4
PAGE = 100
"""Objects in one page of a list; Stripe allows no more."""
_BUSY = 429


class CallRefusedError(Exception):
    """Stripe refuses one call: it concerns one person. ``code``: Stripe's own word, or ``http_<status>``."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"stripe refused a call ({status}, {code})")
        self.status, self.code = status, code

    @property
    def missing(self) -> bool:
        """Whether there is no such object (any more)."""
        return self.status == 404


class Calls:
    """Stripe's interface at ``base_url``, with one key.

    Every method raises :class:`CallRefusedError` for what concerns one person,
    :class:`ProcessorUnavailableError` and :class:`ProcessorRefusedError` for what concerns everybody.
    """

    def __init__(self, key: str, base_url: str, pace: Pace, *, timeout: timedelta, at_once: int) -> None:
        if os.environ.get("STRIPE_LOG"):
            # The library writes to stderr then, past every logger: addresses in query strings among it.
            raise ValueError("STRIPE_LOG is set, which prints addresses; unset it for every component")
        stripe.enable_telemetry = False
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": base_url},
            # None by default, whatever the module says; 409, 5xx and lost connections are repeated.
            max_network_retries=TRIES - 1,
            http_client=_PacedClient(base_url, pace, timeout=timeout, at_once=at_once),
        )
        silence("stripe", "urllib3", "requests")

    def get(self, path: str, *, version: str | None = None, **params: Any) -> dict[str, Any]:
        """One object, or one page."""
        return self._call("get", path, params, version=version)

    def pages(self, path: str, *, version: str | None = None, **params: Any) -> Iterator[dict[str, Any]]:
        """Every object of a list, page by page, the newest first."""
        after: dict[str, str] = {}
        while True:
            page = self._call("get", path, {**params, "limit": PAGE, **after}, version=version)
            found: list[dict[str, Any]] = page["data"]
            yield from found
            if not page.get("has_more") or not found:
                return
            after = {"starting_after": found[-1]["id"]}

    def post(
        self, path: str, person: Person, step: str, *, version: str | None = None, **params: Any
    ) -> dict[str, Any]:
        """Change something for a person. The same step with the same values has one effect in 24 hours.

        Raises :class:`CallRefusedError` with ``http_5xx`` when Stripe answered that it broke: that answer
        is replayed for as long, so the next try needs another key (``attempt`` of the person's memo).
        """
        return self._call(
            "post", path, params, version=version, key=idempotency_key(person, step, path, params)
        )

    def delete(self, path: str) -> dict[str, Any] | None:
        """Delete an object, or cancel a subscription; none when it was gone. Stripe takes no key here."""
        try:
            return self._call("delete", path, {})
        except CallRefusedError as error:
            if error.missing:
                return None
            raise

    def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        version: str | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if version:
            options["stripe_version"] = version
        if key:
            options["idempotency_key"] = key
        for _ in range(TRIES):
            try:
                answer = self._client.raw_request(method, path, **params, **options)
            except stripe.StripeError as error:
                if _unreadable(error):
                    continue
                raise _told(method, error) from None
            data: dict[str, Any] = answer.data
            return data
        raise ProcessorUnavailableError(f"stripe: {method} has had {TRIES} answers that are not readable")


def idempotency_key(person: Person, step: str, path: str, params: Mapping[str, Any]) -> str:
    """From the person's reference, the step and what is said: the same call is the same key."""
    said = json.dumps([path, params], sort_keys=True, default=str)
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    return f"dsr-{person.reference}-{step}-{digest}-{person.memo.get('attempt', 0)}"[-255:]


class _PacedClient(stripe.RequestsClient):
    """The library's client in our pace: each of its attempts waits its turn, 429 is waited for."""

    def __init__(self, base_url: str, pace: Pace, *, timeout: timedelta, at_once: int) -> None:
        session = requests.Session()
        # Redirects would carry our key to another host, and .netrc would replace it.
        session.max_redirects = 0
        session.auth = _as_it_is
        session.mount("https://", _Adapter(base_url, pool_maxsize=at_once))
        session.mount("http://", HTTPAdapter(pool_maxsize=at_once))
        super().__init__(timeout=timeout.total_seconds(), session=session)
        self._pace = pace

    def request(  # type: ignore[override] # as RequestsClient, which does not fit its own base either
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One attempt of the library."""
        for attempt in range(TRIES):
            self._pace.wait()
            content, status, answered = super().request(method, url, headers, post_data)
            if status != _BUSY:
                break
            self._pace.stay_away(_asked_for(answered, attempt))
        return content, status, answered


class _Adapter(HTTPAdapter):
    """TLS 1.3 with verified certificates (P7.1)."""

    def __init__(self, base_url: str, *, pool_maxsize: int) -> None:
        self._context = tls_context(base_url)
        super().__init__(pool_maxsize=pool_maxsize)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """See ``requests``."""
        super().init_poolmanager(*arguments, **options, ssl_context=self._context)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _asked_for(headers: Mapping[str, str], attempt: int) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except ValueError:
        return min(float(2**attempt), LONGEST_WAIT.total_seconds())


def _unreadable(error: stripe.StripeError) -> bool:
    """An answer that is no JSON although all went well. The error quotes it, so it goes no further."""
    return isinstance(error, stripe.APIError) and 200 <= (error.http_status or 0) < 300


def _code(error: stripe.StripeError) -> str | None:
    """Stripe's word for it; the library takes it out of the documents of some statuses only."""
    document = error.json_body
    told = document.get("error") if isinstance(document, dict) else None
    code = told.get("code") if isinstance(told, dict) else None
    return code if isinstance(code, str) else None


def _told(method: str, error: stripe.StripeError) -> Exception:
    status = error.http_status or 0
    if status in (401, 403):
        return ProcessorRefusedError(
            f"stripe refuses our key ({status}); check the password of its connection, and "
            "the key's permissions in docs/OPERATIONS.md"
        )
    if isinstance(error, stripe.APIConnectionError) or not status:
        return ProcessorUnavailableError(f"stripe: no answer to {method}; the next run asks again")
    if isinstance(error, stripe.RateLimitError):
        return ProcessorUnavailableError("stripe: too many calls (429); the next run asks again")
    if status >= 500 and method == "get":
        return ProcessorUnavailableError(f"stripe answers {status}; the next run asks again")
    if 300 <= status < 400:
        return ProcessorRefusedError(f"stripe answered {status}: check endpoint_url")
    return CallRefusedError(status, _code(error) or f"http_{status}")
