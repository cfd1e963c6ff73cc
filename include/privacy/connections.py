"""Connections as Airflow knows them, and what makes one usable: a host, a key of 32 bytes, TLS."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class UnusableConnectionError(RuntimeError):
    """A connection is missing or unusable; the message names it and what to put there, never its content."""


@dataclass(frozen=True)
class ConnectionInfo:
    """A connection as Airflow knows it: environment variable, secrets backend or metadata database."""

    conn_id: str
    conn_type: str
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def connection(conn_id: str) -> ConnectionInfo:
    """The Airflow connection of that id. Raises :class:`UnusableConnectionError`."""
    from airflow.sdk import Connection

    try:
        found = Connection.get(conn_id)
    except Exception as error:  # noqa: BLE001 - every secrets backend has errors of its own
        raise UnusableConnectionError(
            f"connection {conn_id!r} is not known ({type(error).__name__}); add it in Airflow, in the "
            f"secrets backend, or as AIRFLOW_CONN_{conn_id.upper()}"
        ) from None
    return ConnectionInfo(
        conn_id,
        found.conn_type or "",
        found.host or None,
        found.port,
        found.login or None,
        found.password or None,
        found.schema or None,
        found.extra_dejson,
    )


def key_bytes(text: str, what: str, where: str) -> bytes:
    """A key of 32 bytes from its base64; ``what`` it is and ``where`` it belongs are named when it is not."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise UnusableConnectionError(f"{what} must be 32 bytes in base64 (openssl rand -base64 32), {where}")
    return key


def postgres_url(found: ConnectionInfo) -> str:
    """PostgreSQL URL of a connection. TLS with a verified certificate unless on this machine."""
    from urllib.parse import quote, urlencode

    if found.conn_type not in ("postgres", "postgresql") or not (found.host and found.schema):
        raise UnusableConnectionError(
            f"connection {found.conn_id!r} must be of type postgres and name host and schema (the database)"
        )
    options = {
        k: str(v) for k, v in found.extra.items() if k.startswith("ssl") or k == "target_session_attrs"
    }
    if found.host not in LOOPBACK:
        options.setdefault("sslmode", "verify-full")
        options.setdefault("ssl_min_protocol_version", "TLSv1.3")
    user = quote(found.login or "", safe="")
    password = f":{quote(found.password, safe='')}" if found.password else ""
    query = f"?{urlencode(options)}" if options else ""
    host = f"[{found.host}]" if ":" in found.host else found.host
    return f"postgresql://{user}{password}@{host}:{found.port or 5432}/{quote(found.schema)}{query}"


def safe_endpoint(info: ConnectionInfo) -> str | None:
    """The connection's own endpoint, which must be TLS unless it is on this machine (P7.1)."""
    from urllib.parse import urlsplit

    endpoint = info.extra.get("endpoint_url")
    if endpoint is None:
        return None
    parts = urlsplit(str(endpoint))
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise UnusableConnectionError(
            f"connection {info.conn_id!r}: endpoint_url must be https unless on this machine"
        )
    return str(endpoint)
