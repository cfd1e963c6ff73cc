"""PayPal's access token: fetched with client id and secret, kept until shortly before it ends."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from include.privacy.processors.http import TIMEOUT, Api
from include.privacy.processors.pacing import Pace
from include.privacy.processors.protocol import ProcessorRefusedError, ProcessorUnavailableError

EARLY = 60.0
"""Seconds before its end at which a token is renewed: a call may wait for its turn that long."""


class Token:
    """One token for all threads (OAuth 2.0 client credentials, RFC 6749 section 4.4)."""

    def __init__(
        self,
        base_url: str,
        client_id: str,
        secret: str,
        pace: Pace,
        *,
        timeout: timedelta = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        self._api = Api(
            "PayPal",
            base_url,
            pace,
            headers=lambda: {"Authorization": f"Basic {basic}"},
            timeout=timeout,
            sleep=sleep,
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._used = threading.local()
        self._value, self._ends = "", 0.0
        self._scopes: frozenset[str] = frozenset()

    def headers(self) -> Mapping[str, str]:
        """The header of a call. Raises what fetching a token raises."""
        with self._lock:
            if not self._value or self._clock() >= self._ends:
                self._fetch()
            self._used.value = self._value
            return {"Authorization": f"Bearer {self._value}"}

    def renew(self) -> None:
        """Forget the token that this thread has just used, unless another thread has renewed it already."""
        with self._lock:
            if getattr(self._used, "value", "") == self._value:
                self._value = ""

    def scopes(self) -> frozenset[str]:
        """What the app may do, by the scopes of a token fetched now."""
        with self._lock:
            self._fetch()
            return self._scopes

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _fetch(self) -> None:
        # A second token does no harm.
        answer = self._api.call(
            "POST", "/v1/oauth2/token", form={"grant_type": "client_credentials"}, repeatable=True
        )
        if not answer.ok:
            raise ProcessorRefusedError(
                f"PayPal gives no token ({answer.status}); check client id and secret of its connection"
            )
        body = answer.body
        value = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(value, str) or not value:
            raise ProcessorUnavailableError("PayPal answered without a token; the next run asks again")
        lifetime = float(body.get("expires_in") or 0)
        self._value, self._ends = value, self._clock() + max(0.0, lifetime - EARLY)
        self._scopes = frozenset(str(body.get("scope") or "").split())
