"""What a stored credential looks like: a strong hash with today's parameters, or not (P2.1). Pure.

Parameters: OWASP Password Storage Cheat Sheet. Formats: the PHC string format, crypt(3), Django's and
Werkzeug's encodings.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterable
from math import log2

from include.privacy.policy.controls import Credentials

Fault = str | None
"""Why a value is not good; ``None`` when it is."""

PLAIN = "no known hash: in the clear, or a format that nobody knows"
FAST = "a fast hash (md5, sha1, sha2 without rounds)"
WEAK = "weaker parameters than required"
SHORT = "too short to be what it is said to be"

_ARGON2 = re.compile(
    r"\$argon2(id|i|d)\$v=(\d+)\$m=(\d+),t=(\d+),p=(\d+)\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}"
)
_BCRYPT = re.compile(r"(?:bcrypt\$|bcrypt_sha256\$)?\$2([abxy])\$(\d\d)\$[./A-Za-z0-9]{53}")
_SCRYPT_PHC = re.compile(r"\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$[^$]+\$[^$]{20,}")
_SCRYPT_OTHER = re.compile(r"scrypt[:$](\d+)[:$](\d+)[:$](\d+)\$[^$]+\$[^$]{20,}")
_PBKDF2 = re.compile(r"\$?pbkdf2[_:-](sha\d+)[$:](?:i=)?(\d+)(?:,l=\d+)?\$[^$]+\$[^$]{20,}")
_SHA_CRYPT = re.compile(r"\$[156]\$")
_HEX = re.compile(
    r"(?:\{?(?:md5|sha|sha1|ssha|sha256|sha512)\}?[$:]?)?(?:[^$]{0,32}\$)?[0-9a-fA-F]{32,128}", re.I
)
_LDAP = re.compile(r"\{(?:S?MD5|S?SHA(?:256|512)?|CRYPT)\}", re.I)

_DIGEST_BYTES = 32
_SEALED_BYTES = 12 + 1 + 16
"""Nonce, one byte at least, and tag of AES-GCM."""
_SEED_BYTES = frozenset({10, 16, 20, 32, 64})
"""What a secret of a second factor has by itself, before anybody encrypts it."""


def password(policy: Credentials) -> Callable[[str | bytes], Fault]:
    """The judge of columns of passwords."""

    def judge(value: str | bytes) -> Fault:
        text = value.decode("ascii", errors="replace") if isinstance(value, bytes) else value
        return _password(text, policy)

    return judge


def digest(value: str | bytes) -> Fault:
    """Of a random token a plain digest is enough, if it is SHA-256 or longer."""
    size = len(_raw(value))
    return None if size >= _DIGEST_BYTES else SHORT


def ciphertext(value: str | bytes) -> Fault:
    """Encrypted by the platform: nobody can see that from outside, but what is too short is not.

    A value as long as the secrets of authenticators are, is one.
    """
    size = len(_raw(value))
    return SHORT if size < _SEALED_BYTES or size in _SEED_BYTES else None


def _password(text: str, policy: Credentials) -> Fault:
    if found := _ARGON2.fullmatch(text):
        kind, version, memory, rounds, lanes = found.groups()
        if kind != "id" or int(version) < 19:
            return WEAK
        return _first(
            int(memory) >= least.memory_kib
            and int(rounds) >= least.iterations
            and int(lanes) >= least.parallelism
            for least in policy.argon2id
        )
    if found := _BCRYPT.fullmatch(text):
        # 2x marks hashes of a broken implementation.
        return None if found[1] != "x" and int(found[2]) >= policy.bcrypt_cost else WEAK
    if found := _SCRYPT_PHC.fullmatch(text):
        return _scrypt(int(found[1]), int(found[2]), int(found[3]), policy)
    if found := _SCRYPT_OTHER.fullmatch(text):
        return _scrypt(log2(max(int(found[1]), 1)), int(found[2]), int(found[3]), policy)
    if found := _PBKDF2.fullmatch(text):
        least = {"sha256": policy.pbkdf2_sha256_iterations, "sha512": policy.pbkdf2_sha512_iterations}
        return None if int(found[2]) >= least.get(found[1], 1 << 62) else WEAK
    if _SHA_CRYPT.match(text) or _LDAP.match(text) or _HEX.fullmatch(text):
        return FAST
    return PLAIN


def _scrypt(log_n: float, r: int, p: int, policy: Credentials) -> Fault:
    return _first(log_n >= least.log2_n and r >= least.r and p >= least.p for least in policy.scrypt)


def _first(reached: Iterable[bool]) -> Fault:
    return None if any(reached) else WEAK


def _raw(value: str | bytes) -> bytes:
    """The bytes behind hexadecimal or base64; of any other text its own."""
    if isinstance(value, bytes):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        pass
    try:
        return b64decode(
            value + "=" * (-len(value) % 4), altchars=b"-_" if set("-_") & set(value) else None, validate=True
        )
    except (binascii.Error, ValueError):
        return value.encode()
