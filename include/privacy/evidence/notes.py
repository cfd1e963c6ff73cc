"""Signed checkpoints: C2SP tlog-checkpoint in a C2SP signed-note, with Ed25519.

    practice-engine.example/privacy-evidence
    1042
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
    time 2026-11-25T04:50:00.000000Z

    — practice-engine.example/privacy-evidence Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe…

The line ``time`` is an extension, which the format allows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x01"
_TIME = "time "


class NoteError(ValueError):
    """A note that is malformed, or signed by nobody we know."""


@dataclass(frozen=True)
class Checkpoint:
    """A log's name, size and root, and when that was."""

    origin: str
    size: int
    root: bytes
    at: datetime

    def body(self) -> str:
        """What is signed."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n{_TIME}{at}\n"

    @classmethod
    def parse(cls, body: str) -> Checkpoint:
        """Raises :class:`NoteError`."""
        try:
            origin, size, root, time, *_ = body.split("\n")
            found = cls(
                origin,
                int(size),
                base64.b64decode(root, validate=True),
                datetime.fromisoformat(time.removeprefix(_TIME)),
            )
        except (ValueError, binascii.Error):
            found = None
        if found is None or found.body() != body:
            raise NoteError("the note is no checkpoint of this log's form; was it cut or edited?")
        return found


class NoteSigner:
    """Signs notes under a name with an Ed25519 key."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name, self._key = name, key
        self.public = key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """Eight hexadecimal digits, as in :attr:`verifier_key`."""
        return _key_id(self.name, self.public).hex()

    @property
    def verifier_key(self) -> str:
        """The C2SP form: ``name+id+base64``."""
        return f"{self.name}+{self.key_id}+{base64.b64encode(_ED25519 + self.public).decode()}"

    def sign(self, body: str) -> str:
        """The note: body, blank line, signature."""
        signature = _key_id(self.name, self.public) + self._key.sign(body.encode())
        return f"{body}\n— {self.name} {base64.b64encode(signature).decode()}\n"

    def sign_bytes(self, message: bytes) -> bytes:
        """A bare signature, for envelopes of another form."""
        return self._key.sign(message)


def open_note(note: str, verifier_keys: Iterable[str]) -> str:
    """The signed body, if one of these keys signed it. Raises :class:`NoteError`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    body, blank, signatures = note.rpartition("\n\n")
    body += "\n"
    if not blank:
        raise NoteError("the note has no signature")
    known = dict(map(_parse_key, verifier_keys))
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
        public = known.get((name, raw[:4]))
        if dash != "—" or public is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], body.encode())
        except InvalidSignature:
            raise NoteError(f"the signature of {name} does not fit: the note was changed") from None
        return body
    raise NoteError("the note is signed by no key that config/evidence.yaml or the connection has")


def _parse_key(verifier_key: str) -> tuple[tuple[str, bytes], bytes]:
    name, id_, encoded = verifier_key.split("+", 2)
    raw = base64.b64decode(encoded)
    if raw[:1] != _ED25519 or _key_id(name, raw[1:]).hex() != id_:
        raise NoteError(f"the verifier key {name}+{id_} does not fit its own id; copy it again")
    return (name, bytes.fromhex(id_)), raw[1:]


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]
