"""How anything leaves this machine: TLS 1.3 unless to itself (P7.1), and nothing of it in the logs."""

from __future__ import annotations

import logging
import ssl
from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether the host of an endpoint is this machine: the embedded world may do without TLS."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_13() -> ssl.SSLContext:
    """A client's context of its own: TLS 1.3, certificates verified against the system's authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def silence(*names: str) -> None:
    """Keep what client libraries would log of addresses and keys out of every log, at whatever level.

    A filter outlives whatever sets levels later.
    """
    for name in names:
        logger = logging.getLogger(name)
        # Filters of a logger do not see what its children log.
        for each in (logger, *_children(name)):
            if _only_warnings not in each.filters:
                each.addFilter(_only_warnings)


def _children(name: str) -> list[logging.Logger]:
    known = logging.root.manager.loggerDict
    found = [each for n, each in known.items() if n.startswith(f"{name}.")]
    return [each for each in found if isinstance(each, logging.Logger)]


def _only_warnings(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
