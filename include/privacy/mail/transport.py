"""SendGrid's own client, made safe: a time-out on every call, TLS 1.3, no redirect, nothing logged.

As published, ``python_http_client`` waits for ever, follows redirects with our key in the header, raises
errors that carry the provider's text, and logs every letter and the key when somebody asks for debug logs.
"""

from __future__ import annotations

import http.client
import ssl
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from python_http_client import Client
from sendgrid import SendGridAPIClient

from include.privacy.wire import is_loopback, silence, tls_13

TIMEOUT = timedelta(seconds=15)
"""For connecting and for each wait on an answer; SendGrid answers within a second."""


class NotConnectedError(OSError):
    """No connection came about, so nothing of the request has left."""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            raise NotConnectedError(type(error).__name__) from None


class _TlsConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:  # ssl.SSLError is one
            raise NotConnectedError(type(error).__name__) from None


class _Http(HTTPHandler):
    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(HTTPSHandler):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._tls = context

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_TlsConnection, req, context=self._tls)


class _SafeClient(Client):  # type: ignore[misc] # the package has no types
    """Its paths stay as they are; only how a request travels is replaced."""

    def __init__(self, *args: Any, opener: OpenerDirector, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._safe_opener = opener

    def _build_client(self, name: str | None = None) -> _SafeClient:
        return _SafeClient(
            host=self.host,
            version=self._version,
            request_headers=self.request_headers,
            url_path=[*self._url_path, name] if name else self._url_path,
            timeout=self.timeout,
            opener=self._safe_opener,
        )

    def _make_request(self, opener: object, request: Request, timeout: float | None = None) -> Any:
        # Without an error processor in the opener every status comes back as an answer, none is raised.
        return self._safe_opener.open(request, timeout=timeout or self.timeout)


def safe_client(api_key: str, endpoint_url: str | None, timeout: timedelta = TIMEOUT) -> Any:
    """The client's entry point: ``safe_client(…).mail.send.post(request_body=…)``.

    Raises ``ValueError`` for a key that no header can carry, and for an endpoint that is neither https
    nor on this machine.
    """
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ValueError("the API key is empty or holds characters that no key has; copy it again")
    official = (
        SendGridAPIClient(api_key) if endpoint_url is None else SendGridAPIClient(api_key, endpoint_url)
    )
    silence("python_http_client.client")
    return _SafeClient(
        host=official.host.rstrip("/"),
        request_headers=official._default_headers,
        version=3,
        timeout=timeout.total_seconds(),
        opener=_opener(official.host),
    )


def _opener(host: str) -> OpenerDirector:
    parts = urlsplit(host)
    opener = OpenerDirector()
    if parts.scheme == "https" and parts.hostname:
        handlers: list[Any] = [_Https(tls_13()), ProxyHandler()]
    elif parts.scheme == "http" and is_loopback(parts.hostname or ""):
        handlers = [_Http()]
    else:
        raise ValueError("endpoint_url must be https:// unless it is http:// on a loopback address")
    for handler in handlers:
        opener.add_handler(handler)
    return opener
