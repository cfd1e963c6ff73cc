"""Calls to a processor over httpx: TLS 1.3, time-outs, retries where that is harmless, nothing logged."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from include.privacy.processors.pacing import LONGEST_WAIT, Pace
from include.privacy.processors.protocol import ProcessorRefusedError, ProcessorUnavailableError
from include.privacy.wire import is_loopback, silence, tls_13

log = logging.getLogger(__name__)

TIMEOUT = timedelta(seconds=20)
"""For each of connecting, sending and waiting for more of an answer."""
TRIES = 4
_BUSY = 429


class AmbiguousCallError(ProcessorUnavailableError):
    """The call may have had its effect, and must not simply be made again: look first."""


@dataclass(frozen=True)
class Answer:
    """Status and JSON of an answer. ``body`` is ``None`` where there was none."""

    status: int
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


class Api:
    """A processor's HTTP interface at ``base_url``, which is https unless on this machine.

    ``headers`` gives those of every call, anew each time, so that a token may be renewed; ``renew`` is
    called once when a call is answered 401, before it is tried again. ``reset_header``: the header that
    says when a used-up window ends: seconds from now (``Retry-After``) or seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        pace: Pace,
        *,
        headers: Callable[[], Mapping[str, str]],
        renew: Callable[[], None] | None = None,
        reset_header: str = "Retry-After",
        timeout: timedelta = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._pace, self._headers, self._renew = pace, headers, renew
        self._reset_header, self._sleep = reset_header, sleep
        self._client = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(timeout.total_seconds()),
            verify=tls_context(base_url),
            # Redirects would carry our key to another host.
            follow_redirects=False,
        )
        silence("httpx", "httpcore")

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        forbidden: bool = False,
    ) -> Answer:
        """Make one call; returns every answer below 500 but 401, 403 and 429.

        ``forbidden``: a 403 is an answer too (a feature that the account does not have).

        ``repeatable``: whether making it twice does no harm; default: every method but POST and PATCH. 429
        is waited for and repeated in any case, since nothing was done. Raises
        :class:`ProcessorUnavailableError` (no answer, 5xx, unreadable), :class:`AmbiguousCallError` for
        a call that is not repeatable and may have had its effect, :class:`ProcessorRefusedError` (401, 403).
        """
        again = method not in ("POST", "PATCH") if repeatable is None else repeatable
        renewed = False
        problem = "no answer"
        for attempt in range(TRIES):
            if attempt:
                self._sleep(min(0.25 * 4**attempt, 20.0))
            self._pace.wait()
            try:
                response = self._client.request(
                    method,
                    path,
                    params=params,
                    json=json,
                    data=form,
                    headers={**self._headers(), **(headers or {})},
                )
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                problem = type(error).__name__  # nothing has left us
                continue
            except httpx.HTTPError as error:
                problem = type(error).__name__
                if again:
                    continue
                raise AmbiguousCallError(
                    f"{self.name}: {method} was sent and not answered ({problem})"
                ) from None
            status = response.status_code
            if status == _BUSY:
                problem = "too many calls (429)"
                self._pace.stay_away(self._reset(response, attempt))
                continue
            if status == 401 and self._renew and not renewed:
                renewed = True
                self._renew()
                continue
            if status == 401 or (status == 403 and not forbidden):
                raise ProcessorRefusedError(
                    f"{self.name} refuses our key ({status}); check the password of its connection, and "
                    "the key's scopes in docs/OPERATIONS.md"
                )
            body, readable = _json(response)
            if status >= 500 or not readable:
                problem = f"answer {status}" + ("" if readable else ", not readable")
                if again:
                    continue
                raise AmbiguousCallError(f"{self.name}: {method} may have had its effect ({problem})")
            if 300 <= status < 400:
                raise ProcessorRefusedError(f"{self.name} answered {status}: check endpoint_url")
            return Answer(status, body, response.headers)
        raise ProcessorUnavailableError(
            f"{self.name}: {method} failed {TRIES} times ({problem}); the next run asks again"
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _reset(self, response: httpx.Response, attempt: int) -> float:
        text: str = response.headers.get(self._reset_header, "")
        try:
            seconds = float(text)
        except ValueError:
            return min(float(2**attempt), LONGEST_WAIT.total_seconds())
        # Anything this large counts from 1970.
        return max(0.0, seconds - time.time() if seconds > 1e9 else seconds)


def tls_context(base_url: str) -> ssl.SSLContext:
    """TLS 1.3 with verified certificates (P7.1). ``ValueError`` for plain http to another machine."""
    parts = urlsplit(base_url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("endpoint_url must be https:// unless it is http:// on a loopback address")
    return _context()


@cache
def _context() -> ssl.SSLContext:
    """One for all clients: reading the authorities takes longer than most calls."""
    return tls_13()


def _json(response: httpx.Response) -> tuple[Any, bool]:
    if not response.content:
        return None, True
    try:
        return response.json(), True
    except ValueError:
        return None, False
