"""Which versions of TLS an endpoint speaks, by shaking hands: as our clients do, and as an old one would."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from include.privacy.wire import tls_13

TIMEOUT_S = 10.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's message that asks for TLS; the answer is one byte, ``S`` or ``N``."""


class UnreachableError(RuntimeError):
    """Nobody answers at the endpoint, so that nothing can be told of it."""


class NoTlsError(RuntimeError):
    """The server answers, and refuses TLS altogether."""


@dataclass(frozen=True)
class Handshake:
    """``version`` and ``cipher``: what our own context negotiated; ``None`` and ``failure`` if nothing.

    ``older``: the newest version below 1.3 that the server takes from whoever asks; ``None``: none.
    """

    version: str | None
    cipher: str | None
    failure: str | None
    older: str | None


def shake_hands(
    host: str, port: int, *, postgres: bool = False, ours: ssl.SSLContext | None = None
) -> Handshake:
    """Two handshakes: with ``ours`` (by default TLS 1.3, verified), and with nothing newer than TLS 1.2.

    Raises :class:`UnreachableError` and :class:`NoTlsError`.
    """
    version = cipher = failure = None
    try:
        with _session(host, port, ours or tls_13(), postgres) as session:
            version = session.version()
            found = session.cipher()
            cipher = found[0] if found else None
    except ssl.SSLCertVerificationError as error:
        failure = f"the certificate is not trusted ({error.verify_message})"
    except ssl.SSLError as error:
        failure = f"TLS 1.3 was refused ({error.reason})"
    return Handshake(version, cipher, failure, _older(host, port, postgres))


def _older(host: str, port: int, postgres: bool) -> str | None:
    try:
        with _session(host, port, _old_client(), postgres) as session:
            return session.version()
    except (ssl.SSLError, ConnectionError):
        # Some servers say so, some just hang up.
        return None


def _old_client() -> ssl.SSLContext:
    """A client of yesterday. Nothing is sent through it, so whose certificate it sees does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@contextmanager
def _session(host: str, port: int, context: ssl.SSLContext, postgres: bool) -> Iterator[ssl.SSLSocket]:
    try:
        plain = socket.create_connection((host, port), timeout=TIMEOUT_S)
    except OSError as error:
        raise UnreachableError(f"no connection ({type(error).__name__})") from None
    with plain:
        try:
            if postgres:
                plain.sendall(_SSL_REQUEST)
                answer = plain.recv(1)
                if answer == b"N":
                    raise NoTlsError("the server speaks without TLS only")
                if answer != b"S":
                    raise UnreachableError("the server does not answer as PostgreSQL does")
            with context.wrap_socket(plain, server_hostname=host) as session:
                yield session
        except TimeoutError:
            raise UnreachableError("no answer in time") from None
        except (ssl.SSLError, ConnectionError):
            raise
        except OSError as error:
            raise UnreachableError(f"no answer ({type(error).__name__})") from None
