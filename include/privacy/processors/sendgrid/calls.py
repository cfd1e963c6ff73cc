"""Calls over SendGrid's own client, made safe, paced and repeated: every call here may be made twice.

Searching and deleting twice does no harm; an upsert, a suppression and an erase job have the same effect a
second time. Mail is not sent from here.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from include.privacy.processors.http import TRIES, Answer
from include.privacy.processors.pacing import LONGEST_WAIT, Pace
from include.privacy.processors.protocol import ProcessorRefusedError, ProcessorUnavailableError
from include.privacy.wire import silence

T = TypeVar("T")
TIMEOUT = timedelta(seconds=15)
"""For connecting and for each wait on an answer."""
# An account's window for a path is not published, but for this one: 100 a minute.
_ERASE_JOBS = (100, 60.0)


class SendGridCalls:
    """One key at ``endpoint_url`` (default: SendGrid's). Raises ``ValueError`` for what cannot be a key."""

    def __init__(
        self,
        api_key: str,
        endpoint_url: str | None,
        *,
        calls_per_minute: int = 600,
        timeout: timedelta = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from include.privacy.mail.transport import safe_client

        self._client = safe_client(api_key, endpoint_url, timeout)
        silence("python_http_client", "sendgrid")
        self._pace = Pace(calls_per_minute, 60.0, sleep=sleep)
        self._erase_pace = Pace(*_ERASE_JOBS, sleep=sleep)
        self._sleep = sleep

    def call(
        self,
        method: str,
        *path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        forbidden: bool = False,
    ) -> Answer:
        """Make one call; returns every answer below 500 but 401, 403 and 429.

        ``path``: its segments below ``/v3``, quoted here. ``forbidden``: a 403 is an answer too. Raises
        :class:`ProcessorUnavailableError` (no answer, 5xx, unreadable, too many calls) and
        :class:`ProcessorRefusedError` (key, scope or endpoint).
        """
        target = self._client
        for segment in path:
            target = target._(quote(segment, safe=""))
        send = getattr(target, method.lower())
        pace = self._erase_pace if path[-1] == "erasejob" else self._pace
        problem = "no answer"
        for attempt in range(TRIES):
            if attempt:
                self._sleep(min(0.25 * 4**attempt, 20.0))
            pace.wait()
            try:
                response = send(request_body=body, query_params=query)
            except (OSError, http.client.HTTPException) as error:
                problem = type(error).__name__
                continue
            status = int(response.status_code)
            if status == 429:
                problem = "too many calls (429)"
                pace.stay_away(_until(response.headers.get("X-RateLimit-Reset"), attempt))
                continue
            if status == 401 or (status == 403 and not forbidden):
                raise ProcessorRefusedError(
                    f"SendGrid refuses our key ({status}) for {method} {path[0]}; check the password of the "
                    "connection, and the key's scopes in docs/OPERATIONS.md"
                )
            if 300 <= status < 400:
                raise ProcessorRefusedError(f"SendGrid answered {status}: check endpoint_url")
            value, readable = _json(response.body)
            if status >= 500 or not readable:
                problem = f"answer {status}" + ("" if readable else ", not readable")
                continue
            return Answer(status, value, dict(response.headers))
        raise ProcessorUnavailableError(
            f"SendGrid: {method} {path[0]} failed {TRIES} times ({problem}); the next run asks again"
        )


def narrowed(
    items: Sequence[T], size: int, call: Callable[[Sequence[T]], Answer]
) -> Iterator[tuple[Sequence[T], Answer]]:
    """``call`` for batches of ``size``; a batch that is refused (400, 413) is halved until the one is alone
    that it is refused for. So one bad address costs a few calls and no other its turn.
    """
    waiting = [items[start : start + size] for start in range(0, len(items), size)][::-1]
    while waiting:
        batch = waiting.pop()
        answer = call(batch)
        if answer.status in (400, 413) and len(batch) > 1:
            middle = len(batch) // 2
            waiting += [batch[middle:], batch[:middle]]
            continue
        yield batch, answer


def expect(answer: Answer, *statuses: int) -> Any:
    """The body of an answer with one of the statuses. Raises :class:`ProcessorUnavailableError`."""
    if answer.status not in statuses:
        raise ProcessorUnavailableError(
            f"SendGrid answered {answer.status} where {' or '.join(map(str, statuses))} is described; if "
            "that stays so, its interface has changed"
        )
    return answer.body


def _json(body: bytes) -> tuple[Any, bool]:
    if not body:
        return None, True
    try:
        return json.loads(body), True
    except ValueError:
        return None, False


def _until(reset: str | None, attempt: int) -> float:
    """Seconds until a window ends; the header counts from 1970, or from now."""
    try:
        seconds = float(reset or "")
    except ValueError:
        return min(float(2**attempt), LONGEST_WAIT.total_seconds())
    return max(0.0, seconds - time.time() if seconds > 1e9 else seconds)
