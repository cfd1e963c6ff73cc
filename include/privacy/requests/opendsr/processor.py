"""Who we are in OpenDSR: domain, certificate and the key that signs every answer (section 4).

All of it comes from the connection ``opendsr_processor``: host the domain, password the private key (PEM),
and in the extra ``certificate`` (PEM, our own first), ``controller_id`` and, where the certificate is
published elsewhere, ``certificate_url``.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from include.privacy.connections import UnusableConnectionError
from include.privacy.requests.opendsr.statuses import instant
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

CONNECTION = "opendsr_processor"
SMALLEST_KEY = 2048
"""Bits. The example of the standard is signed with 4096."""


class UnusableProcessorError(UnusableConnectionError):
    """OpenDSR is not set up, or wrongly; the message says what to change."""


@dataclass(frozen=True)
class Processor:
    """Signs as the domain. RSA with SHA-256 and PKCS #1 v1.5, since the standard names no algorithm."""

    domain: str
    controller_id: str
    certificate: str
    certificate_url: str | None
    _key: RSAPrivateKey = field(repr=False)

    def signature(self, body: bytes) -> str:
        """Base64 of the signature over the raw body."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return base64.b64encode(self._key.sign(body, PKCS1v15(), SHA256())).decode()

    def headers(self, body: bytes) -> dict[str, str]:
        """What goes with a body, under the present names and those of OpenGDPR (section 10.1)."""
        signature = self.signature(body)
        return {
            f"X-{name}-{what}": value
            for name in ("OpenDSR", "OpenGDPR")
            for what, value in (("Processor-Domain", self.domain), ("Signature", signature))
        }


def processor(as_of: datetime) -> Processor:
    """The processor of the connection. Raises :class:`UnusableProcessorError`."""
    try:
        info = runtime().connection(CONNECTION)
    except UnusableConnectionError:
        raise UnusableProcessorError(
            f"OpenDSR is not set up: add the connection {CONNECTION!r}, see docs/INTEGRATION.md"
        ) from None
    extra = info.extra
    if not (info.host and info.password and extra.get("certificate") and extra.get("controller_id")):
        raise _unusable("needs a host, a private key as password, and extras certificate and controller_id")
    key, certificate = _load(info.host, info.password, str(extra["certificate"]))
    if not certificate.not_valid_before_utc <= as_of <= certificate.not_valid_after_utc:
        until = instant(certificate.not_valid_after_utc)
        raise _unusable(f"has a certificate that is not valid now; it is valid until {until}")
    url = extra.get("certificate_url")
    return Processor(
        info.host, str(extra["controller_id"]), str(extra["certificate"]), str(url) if url else None, key
    )


@lru_cache(maxsize=4)
def _load(domain: str, key_pem: str, certificate_pem: str) -> tuple[RSAPrivateKey, Certificate]:
    """Key and certificate, fitting each other and the domain. Cached: it costs milliseconds each time."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key: Any = load_pem_private_key(key_pem.encode(), None)
    except (ValueError, TypeError):
        raise _unusable("has a password that is no private key in PEM without passphrase") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < SMALLEST_KEY:
        raise _unusable(f"needs an RSA key of at least {SMALLEST_KEY} bits")
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError:
        raise _unusable("has an extra 'certificate' that is no certificate in PEM") from None
    if certificate.public_key() != key.public_key():
        raise _unusable("has a certificate that belongs to another key")
    if domain not in _names(certificate):
        raise _unusable("has a certificate that does not name the host (subject alternative name)")
    if not _may_sign(certificate):
        raise _unusable("has a certificate whose key usage does not allow signatures")
    return key, certificate


def _names(certificate: Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _may_sign(certificate: Certificate) -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return True


def _unusable(what: str) -> UnusableProcessorError:
    return UnusableProcessorError(f"OpenDSR is not set up: connection {CONNECTION!r} {what}")
