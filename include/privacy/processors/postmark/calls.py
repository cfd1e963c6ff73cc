"""Calls with the server's token, and those few with the account's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from include.privacy.processors.http import TIMEOUT, Answer, Api
from include.privacy.processors.pacing import Pace
from include.privacy.processors.protocol import ProcessorUnavailableError

OFFICIAL = "https://api.postmarkapp.com"


class PostmarkCalls:
    """Tokens at ``endpoint_url`` (default: Postmark's). Raises ``ValueError`` for what cannot be a token.

    Postmark names no rate and no time to come back: we go by a rate of our own, and back off.
    """

    def __init__(
        self,
        server_token: str,
        account_token: str | None,
        endpoint_url: str | None,
        *,
        calls_per_minute: int = 300,
        timeout: timedelta = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        pace = Pace(calls_per_minute, 60.0, sleep=sleep)
        url = endpoint_url or OFFICIAL

        def api(header: str, token: str, what: str) -> Api:
            if not token or not token.isascii() or not token.isprintable() or " " in token:
                raise ValueError(f"{what} is empty or holds characters that no token has; copy it again")
            fixed = {f"X-Postmark-{header}-Token": token, "Accept": "application/json"}
            return Api("Postmark", url, pace, headers=lambda: fixed, timeout=timeout, sleep=sleep)

        self._server = api("Server", server_token, "the password (the token of the server)")
        self._account = api("Account", account_token, "extra account_token") if account_token else None

    @property
    def has_account(self) -> bool:
        """Whether there is a token of the account."""
        return self._account is not None

    def get(self, path: str, **params: Any) -> Answer:
        """Read."""
        return self._server.call("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Suppress, or delete suppressions: twice has the effect of once."""
        return self._server.call("POST", path, json=body, repeatable=True)

    def ask_removal(self, requested_by: str, address: str) -> Answer:
        """Ask for a removal; a second one for the same address finds nothing to remove and does no harm."""
        body = {"RequestedBy": requested_by, "RequestedFor": address, "NotifyWhenCompleted": False}
        return self._of_account().call("POST", "/data-removals", json=body, repeatable=True, forbidden=True)

    def removal(self, number: int) -> Answer:
        """How far a removal is."""
        return self._of_account().call("GET", f"/data-removals/{number}", forbidden=True)

    def close(self) -> None:
        """Close the connections."""
        for each in (self._server, self._account):
            if each is not None:
                each.close()

    def _of_account(self) -> Api:
        if self._account is None:
            raise ProcessorUnavailableError("Postmark: connection without extra account_token; add it")
        return self._account


def expect(answer: Answer) -> Any:
    """The body of a 200. Raises :class:`ProcessorUnavailableError`, with Postmark's code."""
    if answer.status != 200:
        raise ProcessorUnavailableError(f"Postmark answered {answer.status} (ErrorCode {code(answer)})")
    return answer.body


def code(answer: Answer) -> int | None:
    """Postmark's own code of an error; its text may repeat what we sent and is left alone."""
    value = answer.body.get("ErrorCode") if isinstance(answer.body, dict) else None
    return value if isinstance(value, int) else None
