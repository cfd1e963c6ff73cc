"""Trusted timestamps (RFC 3161): an authority that is not ours signs that a checkpoint existed by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.privacy.connections import LOOPBACK, ConnectionInfo, UnusableConnectionError

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

_TIMEOUT_S = 20.0
_MOST_BYTES = 64_000


class TimestampError(RuntimeError):
    """The authority refused, or its answer is not about what was asked."""


def stamp(message: bytes, info: ConnectionInfo) -> bytes:
    """The authority's response (DER) for the SHA-512 digest of the message, checked.

    ``info``: extra ``url``, and ``ca_pem``, the authority's root certificates. Raises
    :class:`TimestampError`, ``httpx.HTTPError``, or ``UnusableConnectionError``.
    """
    import httpx
    from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response

    from include.privacy.wire import silence, tls_13

    url = _url(info)
    request = (
        TimestampRequestBuilder().data(message).nonce(nonce=True).cert_request(cert_request=True).build()
    )
    silence("httpx", "httpcore")
    with httpx.Client(verify=tls_13(), timeout=_TIMEOUT_S, follow_redirects=False) as client:
        answer = client.post(
            url, content=request.as_bytes(), headers={"Content-Type": "application/timestamp-query"}
        )
    if answer.status_code != 200 or len(answer.content) > _MOST_BYTES:
        raise TimestampError(
            f"the authority answered with status {answer.status_code}, {len(answer.content)} bytes"
        )
    try:
        response = decode_timestamp_response(answer.content)
    except ValueError:
        raise TimestampError("the authority's answer is no timestamp response") from None
    if response.status not in (0, 1):
        raise TimestampError(f"the authority refused with status {response.status}")
    _check(response, message, request.nonce, str(info.extra.get("ca_pem") or ""))
    return answer.content


def _check(response: TimeStampResponse, message: bytes, nonce: int | None, ca_pem: str) -> None:
    from cryptography.x509 import load_pem_x509_certificates
    from rfc3161_client import VerificationError, VerifierBuilder

    if not ca_pem:
        raise UnusableConnectionError(
            "the connection of the time-stamping authority needs ca_pem in its extra"
        )
    verifier = VerifierBuilder()
    for each in load_pem_x509_certificates(ca_pem.encode()):
        verifier = verifier.add_root_certificate(each)
    if nonce is not None:
        verifier = verifier.nonce(nonce)
    try:
        ok = verifier.build().verify_message(response, message)
    except VerificationError as error:
        raise TimestampError(f"the timestamp does not hold: {error}") from None
    if not ok:
        raise TimestampError("the timestamp does not hold")


def _url(info: ConnectionInfo) -> str:
    from urllib.parse import urlsplit

    url = str(info.extra.get("url") or "")
    parts = urlsplit(url)
    if not parts.hostname or (parts.scheme != "https" and parts.hostname not in LOOPBACK):
        raise UnusableConnectionError(
            f"connection {info.conn_id!r}: extra needs url, the https address of a time-stamping authority"
        )
    return url
