"""Calls of Google Cloud APIs for which no client library is installed: JSON over an authorised session."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests import Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from include.privacy.stores.aws import CloudError
from include.privacy.stores.endpoints import require_safe_endpoint
from include.privacy.wire import tls_13

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S = (5, 60)
ATTEMPTS = 4
FIRST_PAUSE_S = 0.5


class GoogleRefusedError(CloudError):
    """Google answered with an error; ``status`` is that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GoogleApi:
    """One session. Every call made through it may be repeated: reads, deletions, settings.

    ``endpoint``: stands in for every host of Google's, for tests.
    """

    def __init__(self, session: Any, endpoint: str | None) -> None:
        self._session, self._endpoint = session, endpoint

    def call(
        self,
        method: str,
        host: str,
        path: str,
        *,
        permission: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The answer as JSON.

        Raises :class:`GoogleRefusedError` for an error's status, and ``CloudError`` when nobody answers.
        ``permission`` is what to grant when it is denied.
        """
        url = f"{self._endpoint or f'https://{host}'}{path}"
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._send(method, host, url, query, body, last=attempt == ATTEMPTS)
            if answer is not None and answer.status_code != 429 and answer.status_code < 500:
                break
            if attempt < ATTEMPTS:
                time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        if answer is None:  # the last attempt raises instead
            raise CloudError(f"{host}: no answer")
        if answer.status_code in (401, 403):
            raise GoogleRefusedError(
                answer.status_code,
                f"{host}: {method} is denied; grant {permission} to the connection's account",
            )
        if not answer.ok:
            raise GoogleRefusedError(
                answer.status_code, f"{host}: {method} failed with status {answer.status_code}"
            )
        try:
            return cast("dict[str, Any]", answer.json() if answer.content else {})
        except ValueError:
            raise CloudError(f"{host}: {method} was not answered with JSON; check endpoint_url") from None

    def pages(
        self,
        host: str,
        path: str,
        items: str,
        *,
        permission: str,
        size: tuple[str, int],
        query: Mapping[str, str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The elements of ``items`` over all pages; ``size`` is the parameter for it and its value."""
        query = {**(query or {}), size[0]: str(size[1])}
        while True:
            page = self.call("GET", host, path, permission=permission, query=query)
            yield from page.get(items) or []
            token = page.get("nextPageToken")
            if not token:
                return
            query = {**query, "pageToken": str(token)}

    def _send(
        self,
        method: str,
        host: str,
        url: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        *,
        last: bool,
    ) -> Response | None:
        try:
            # A redirect would carry the token to wherever it points.
            answer: Response = self._session.request(
                method, url, params=query, json=body, timeout=TIMEOUT_S, allow_redirects=False
            )
        except (RequestException, GoogleAuthError) as error:
            if not last:
                return None
            raise CloudError(
                f"{host}: {method} got no answer ({type(error).__name__}); "
                "check endpoint, network and credentials of the connection"
            ) from None
        return answer


class Tls13(HTTPAdapter):
    """P7.1: nothing older than TLS 1.3."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """With a context of our own."""
        context = tls_13()
        super().init_poolmanager(*args, ssl_context=context, **options)


def google_api(*, endpoint_url: str | None = None, scopes: Sequence[str] = (SCOPE,)) -> GoogleApi:
    """With the machine's credentials (ADC), or without any for a loopback ``endpoint_url``."""
    endpoint = require_safe_endpoint(endpoint_url)
    if endpoint is None:
        credentials, _ = google.auth.default(scopes=list(scopes))
    else:
        credentials = cast(Any, AnonymousCredentials)()  # google-auth ships this constructor untyped
    # Retrying is ours: requests would raise its own errors in between.
    session = AuthorizedSession(credentials, max_refresh_attempts=1)
    session.mount("https://", Tls13())
    return GoogleApi(session, endpoint.rstrip("/") if endpoint else None)
