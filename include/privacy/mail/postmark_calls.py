"""Calls to Postmark for mail: TLS 1.3, a time-out, no redirect, nothing logged; a POST is made once.

Source: https://postmarkapp.com/developer/api (overview, with its error codes).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from include.privacy.mail.port import (
    MailBusyError,
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
)
from include.privacy.wire import is_loopback, silence, tls_13

OFFICIAL = "https://api.postmarkapp.com"
TRIES = 4
LONGEST_WAIT = 60.0
_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# Codes of a 422 that concern what was sent; all others concern the token, the account or the stream.
_REFUSES_THE_MAIL = frozenset({300, 402, 403, 409, 410, 411})


class PostmarkMailCalls:
    """One server's token at ``endpoint_url`` (default: Postmark's). ``ValueError`` for what cannot be one."""

    def __init__(
        self,
        server_token: str,
        endpoint_url: str | None,
        *,
        timeout: timedelta,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not server_token or not server_token.isascii() or not server_token.isprintable():
            raise ValueError("the token of the server is empty or holds characters that no token has")
        url = endpoint_url or OFFICIAL
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("endpoint_url must be https:// unless it is http:// on a loopback address")
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(timeout.total_seconds()),
            verify=tls_13(),
            # Redirects would carry our token to another host.
            follow_redirects=False,
            headers={"X-Postmark-Server-Token": server_token, "Accept": "application/json"},
        )
        silence("httpx", "httpcore")

    def post(self, path: str, body: bytes, what: str) -> Any:
        """Make the call once; the JSON of a 200. Raises the errors of :mod:`.port`."""
        try:
            response = self._client.post(path, content=body, headers={"Content-Type": "application/json"})
        except _NOT_CONNECTED as error:
            raise MailUnavailableError(
                f"Postmark cannot be reached ({type(error).__name__}); check the network, the "
                "connection's endpoint_url, and that the endpoint speaks TLS 1.3"
            ) from None
        except httpx.HTTPError as error:
            raise MailUncertainError(
                f"{what}: no answer from Postmark ({type(error).__name__}); it may have been sent"
            ) from None
        status = response.status_code
        if status == 200:
            try:
                return response.json()
            except ValueError:
                raise MailUncertainError(
                    f"{what}: Postmark's answer cannot be read; it may have been sent"
                ) from None
        if status == 429:
            raise MailBusyError("Postmark: too many calls (429)", _retry_at(response))
        if status == 413 or (status == 422 and _code(response) in _REFUSES_THE_MAIL):
            raise MailRejectedError(
                f"{what}: Postmark refused it with {status} (ErrorCode {_code(response)})"
            )
        _refuse(response)
        raise MailUncertainError(f"{what}: Postmark answered {status}; it may have been sent all the same")

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a 200, after some tries. Raises :class:`MailUnavailableError`."""
        problem, wait = "", 0.0
        for attempt in range(TRIES):
            if attempt:
                self._sleep(wait)
            wait = 0.5 * 4**attempt
            try:
                response = self._client.get(path, params=params)
                if response.status_code == 200:
                    return response.json()
                problem = str(response.status_code)
                if response.status_code == 429:
                    wait = max(wait, min(_retry_after(response) or 0.0, LONGEST_WAIT))
                else:
                    _refuse(response)
            except (httpx.HTTPError, ValueError) as error:
                problem = type(error).__name__
        raise MailUnavailableError(f"Postmark's records cannot be read ({problem}); ask again later")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _refuse(response: httpx.Response) -> None:
    """Raise for an answer that has nothing to do with one mail: our token, our account, our endpoint."""
    status = response.status_code
    if status in (401, 403):
        raise MailUnavailableError(
            f"Postmark refuses our token ({status}); the connection's password must be the server's token"
        )
    if 300 <= status < 500:
        raise MailUnavailableError(
            f"Postmark answered {status} (ErrorCode {_code(response)}); check the connection's "
            "endpoint_url and notice_stream, and whether the account may send"
        )


def _code(response: httpx.Response) -> int | None:
    """Postmark's own code of an error; its text may repeat what we sent and is left alone."""
    try:
        value = response.json()["ErrorCode"]
    except (ValueError, LookupError, TypeError):
        return None
    return value if isinstance(value, int) else None


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None


def _retry_at(response: httpx.Response) -> datetime | None:
    seconds = _retry_after(response)
    try:
        return datetime.fromtimestamp(time.time() + seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None
