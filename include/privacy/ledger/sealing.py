"""AES-256-GCM sealing and keyed hashes; no database here.

Every secret record has its own random key, wrapped by a key derived from the master key.
Destroying the wrapped key makes everything it sealed unreadable at once (crypto-shredding).
The *context* (which row, which column) is authenticated, so that a sealed value cannot be moved.
"""

from __future__ import annotations

import hmac
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from include.privacy.ledger.errors import SealBroken

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"


def seal(key: bytes, plain: bytes, context: str) -> bytes:
    """Encrypt under ``key``: format byte, 96-bit random nonce, ciphertext with tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def unseal(key: bytes, sealed: bytes, context: str) -> bytes:
    """Decrypt; :class:`SealBroken` when key, context or value is another one."""
    if sealed[:1] != _FORMAT:
        raise SealBroken(
            f"{context}: sealed in a format that this version does not know; upgrade the project"
        )
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], context.encode())
    except InvalidTag:
        raise SealBroken(
            f"{context}: the value does not open; check that PRIVACY_MASTER_KEY is the key it was sealed with"
        ) from None


def keyed_hash(key: bytes, kind: str, value: str) -> bytes:
    """HMAC-SHA256 over kind and value, unambiguous between the two."""
    return hmac.digest(key, kind.encode() + b"\x1f" + value.encode(), "sha256")


class Sealer:
    """What the master key can do. Holds derived keys only, and shows none of them."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(
                f"the master key has {len(master_key)} bytes and needs {KEY_BYTES}; "
                "make one with: openssl rand -base64 32"
            )
        self._wrapping = _derive(master_key, b"privacy ledger: wrap keys")
        self._matching = _derive(master_key, b"privacy ledger: match subjects")
        self._noting = _derive(master_key, b"privacy ledger: staff names")

    def match(self, kind: str, value: str) -> bytes:
        """Keyed hash by which equal values are found without storing them."""
        return keyed_hash(self._matching, kind, value)

    def new_key(self, key_id: UUID) -> tuple[bytes, bytes]:
        """A fresh key: ``(key, wrapped)``; only the second may be stored."""
        key = os.urandom(KEY_BYTES)
        return key, seal(self._wrapping, key, f"key {key_id}")

    def unwrap(self, key_id: UUID, wrapped: bytes) -> bytes:
        """The key itself."""
        return unseal(self._wrapping, wrapped, f"key {key_id}")

    def seal_note(self, text: str, context: str) -> bytes:
        """Seal a staff member's name: kept as long as the record, but never in plain."""
        return seal(self._noting, text.encode(), context)

    def read_note(self, sealed: bytes, context: str) -> str:
        """Open what :meth:`seal_note` sealed."""
        return unseal(self._noting, sealed, context).decode()


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(master_key)
