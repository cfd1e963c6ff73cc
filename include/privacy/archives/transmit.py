"""Sends a portability archive straight to another service (Art. 20(2) GDPR), to listed hosts only.

The receiver gets the encrypted archive; the passphrase travels through the person alone. The request
is signed as RFC 9421 says, with Ed25519, over method, address, length and the digest of RFC 9530:

    Content-Digest: sha-256=:…:
    Signature-Input: archive=("@method" "@target-uri" "content-digest" "content-length" "content-type"
        "idempotency-key");created=…;keyid="…";alg="ed25519"
    Signature: archive=:…:
    Idempotency-Key: the archive's id; a receiver that knows it already answers 200 and stores nothing
"""

from __future__ import annotations

import base64
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from include.privacy.clock import require_utc
from include.privacy.policy.policy import TransmissionHost
from include.privacy.wire import tls_13

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_TIMEOUT_S = 60.0
_CONTENT_TYPE = "application/zip"
_COVERED = ("@method", "@target-uri", "content-digest", "content-length", "content-type", "idempotency-key")
# IPv6 ranges that carry an IPv4 address of somebody's choice inside them.
_TUNNELS = tuple(
    ipaddress.ip_network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]


class TransmissionRefusedError(ValueError):
    """Nothing was sent, or the receiver refused it; the message says why and never shows the address."""


class TransmissionUncertainError(RuntimeError):
    """Something was sent and no answer came: the receiver may have the archive.

    Ask the receiver, or send it again under the same archive id, which it must recognise.
    """


@dataclass(frozen=True)
class Package:
    """What is sent: the encrypted archive as it lies in the bucket; ``size`` in bytes, ``sha256`` in hex."""

    archive_id: UUID
    size: int
    sha256: str
    chunks: Iterable[bytes]


@dataclass(frozen=True)
class Receipt:
    """The receiver's answer. ``host`` is the listed one; addresses are not kept."""

    host: str
    status: int


@dataclass(frozen=True)
class _Target:
    url: str
    host: str
    port: int
    path: str
    address: Address


def transmit(
    url: str,
    package: Package,
    hosts: Iterable[TransmissionHost],
    key: Ed25519PrivateKey,
    key_id: str,
    *,
    as_of: datetime,
    tls: ssl.SSLContext | None = None,
    resolve: Resolver | None = None,
) -> Receipt:
    """POST the package to ``url``, in bounded memory.

    The name is resolved once, every address of it has to be public, and the connection goes to the
    very address that was checked, with the certificate checked against the name. No proxy, no
    redirect. Raises :class:`TransmissionRefusedError` and :class:`TransmissionUncertainError`.
    """
    import httpx

    target = _target(url, tuple(hosts), resolve or _addresses)
    headers = _headers(target.url, package, key, key_id, as_of)
    literal = f"[{target.address}]" if target.address.version == 6 else str(target.address)
    default_port = "" if target.port == 443 else f":{target.port}"
    begun = False

    def body() -> Iterator[bytes]:
        nonlocal begun
        for chunk in package.chunks:
            begun = True
            yield chunk

    try:
        with httpx.Client(
            verify=tls or tls_13(), timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False
        ) as client:
            request = client.build_request(
                "POST",
                f"https://{literal}:{target.port}{target.path}",
                content=body(),
                headers={"Host": f"{target.host}{default_port}", **headers},
                extensions={"sni_hostname": target.host},
            )
            response = client.send(request, stream=True)
            status = response.status_code
            response.close()
    except httpx.TransportError as error:
        name = type(error).__name__
        if not begun:
            raise TransmissionRefusedError(
                f"{target.host} could not be reached ({name}); nothing was sent"
            ) from None
        raise TransmissionUncertainError(
            f"{target.host} gave no answer ({name}); ask whether archive {package.archive_id} has arrived"
        ) from None
    return _judged(target.host, status, package.archive_id)


def _judged(host: str, status: int, archive_id: UUID) -> Receipt:
    if 200 <= status < 300:
        return Receipt(host, status)
    if 300 <= status < 400:
        raise TransmissionRefusedError(
            f"{host} redirects ({status}), which is not followed; list the right address"
        )
    if status < 500:
        raise TransmissionRefusedError(f"{host} refused archive {archive_id} with status {status}")
    raise TransmissionUncertainError(
        f"{host} failed with status {status}; ask whether archive {archive_id} has arrived"
    )


def _target(url: str, hosts: Sequence[TransmissionHost], resolve: Resolver) -> _Target:
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise TransmissionRefusedError("the address cannot be read; give an https address") from None
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or not host or parts.username or parts.password or parts.fragment:
        raise TransmissionRefusedError(
            "the address must be https://host/path, without user, password or fragment"
        )
    if any(ord(c) <= 0x20 or ord(c) > 0x7E or c == "\\" for c in url):
        raise TransmissionRefusedError(
            "the address has characters that do not belong into one; percent-encode them"
        )
    listed = next((h for h in hosts if (h.host, h.port) == (host, port)), None)
    if listed is None:
        raise TransmissionRefusedError(
            "the host is not listed under transmission_hosts of policy.yaml, with this port; "
            "nothing is sent anywhere else"
        )
    try:
        found = [_plain(ipaddress.ip_address(text)) for text in resolve(host, port)]
    except OSError as error:
        raise TransmissionRefusedError(f"{host} cannot be resolved ({type(error).__name__})") from None
    if not found:
        raise TransmissionRefusedError(f"{host} has no address")
    if not all(_allowed(address, loopback=listed.loopback) for address in found):
        raise TransmissionRefusedError(
            f"{host} leads to an address that is not public (private, link-local, loopback or metadata)"
        )
    path = parts.path or "/"
    path += f"?{parts.query}" if parts.query else ""
    default_port = "" if port == 443 else f":{port}"
    return _Target(f"https://{host}{default_port}{path}", host, port, path, found[0])


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where it is nothing else."""
    return getattr(address, "ipv4_mapped", None) or address


def _allowed(address: Address, *, loopback: bool) -> bool:
    if loopback:
        return address.is_loopback
    tunnel = any(address in network for network in _TUNNELS if network.version == address.version)
    return address.is_global and not address.is_multicast and not address.is_reserved and not tunnel


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _headers(
    url: str, package: Package, key: Ed25519PrivateKey, key_id: str, as_of: datetime
) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(package.sha256)).decode()
    headers = {
        "content-digest": f"sha-256=:{digest}:",
        "content-length": str(package.size),
        "content-type": _CONTENT_TYPE,
        "idempotency-key": str(package.archive_id),
    }
    values = {"@method": "POST", "@target-uri": url, **headers}
    covered = " ".join(f'"{name}"' for name in _COVERED)
    created = int(require_utc(as_of).timestamp())
    parameters = f'({covered});created={created};keyid="{key_id}";alg="ed25519"'
    base = "\n".join(
        [*(f'"{name}": {values[name]}' for name in _COVERED), f'"@signature-params": {parameters}']
    )
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return headers | {
        "signature-input": f"archive={parameters}",
        "signature": f"archive=:{signature}:",
    }
