"""Endpoints must be encrypted; only a loopback address may do without (the embedded world)."""

from __future__ import annotations

from urllib.parse import urlsplit

from include.privacy.wire import is_loopback


def require_safe_endpoint(endpoint_url: str | None) -> str | None:
    """The endpoint, or ``None`` for the vendor's own. Raises ``ValueError`` for plain HTTP elsewhere."""
    if not endpoint_url:
        return None
    parts = urlsplit(endpoint_url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return endpoint_url
    raise ValueError(
        f"endpoint_url with scheme {parts.scheme!r} is refused: use https://, or http:// on a loopback "
        "address; correct the connection's extra"
    )
