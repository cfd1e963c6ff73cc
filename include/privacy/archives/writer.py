"""A ZIP encrypted with AES-256, written as a stream: an archive of any size in the memory of one chunk."""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from include.privacy.clock import require_utc

# Crockford's alphabet: nothing in it can be taken for something else when read aloud or typed.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS, _GROUP = 6, 5

# A fifth of the time of zlib's default, for a tenth more bytes: who waits is a person.
_LEVEL = 2
_FILE_MODE = 0o100600


def new_passphrase() -> str:
    """150 random bits in six groups of five characters, such as ``7K3MF-…``.

    The format derives its key with a thousand rounds of PBKDF2 only, so the strength has to be in
    the passphrase; it never comes from a person.
    """
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


@dataclass(frozen=True)
class Member:
    """A file of the archive; its bytes are read once. The path can be read without the passphrase."""

    path: str
    chunks: Iterable[bytes]


@dataclass(frozen=True)
class Listed:
    """What the manifest says about a member. ``records``: rows, where it holds rows."""

    path: str
    bytes: int
    sha256: str
    records: int | None = None


@dataclass
class Listing:
    """The members written so far, with their digests."""

    entries: dict[str, Listed] = field(default_factory=dict)

    def member(self, path: str, chunks: Iterable[bytes], records: Callable[[], int] | None = None) -> Member:
        """A member that is entered here once it has been written. Raises ``ValueError`` for a second of
        the same path.
        """
        if path in self.entries:
            raise ValueError(f"the archive already has a member {path}")
        return Member(path, self._watched(path, chunks, records))

    def text(self, path: str, text: str) -> Member:
        """A member made of one text."""
        return self.member(path, (text.encode(),))

    def document(self, path: str, value: Mapping[str, object] | Sequence[object]) -> Member:
        """A member made of one JSON document: an entry on each line, which people can read too."""
        if isinstance(value, Mapping):
            entries = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
            opening, closing = "{}"
        else:
            entries = [json.dumps(item, ensure_ascii=False) for item in value]
            opening, closing = "[]"
        return self.text(path, f"{opening}\n" + ",\n".join(entries) + f"\n{closing}\n")

    def manifest(self, path: str, about: dict[str, object]) -> Member:
        """The last member: SHA-256, size and number of records of all others."""
        files = [
            {"path": e.path, "bytes": e.bytes, "sha256": e.sha256}
            | ({} if e.records is None else {"records": e.records})
            for e in self.entries.values()
        ]
        return self.document(path, about | {"files": files})

    def _watched(
        self, path: str, chunks: Iterable[bytes], records: Callable[[], int] | None
    ) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        self.entries[path] = Listed(path, size, digest.hexdigest(), records() if records else None)


def pack(members: Iterable[Member], passphrase: str, *, as_of: datetime) -> Iterator[bytes]:
    """The archive as chunks of at most 64 KiB.

    WinZip's AES-256 (AE-2), which 7-Zip, WinZip, WinRAR and Keka open; ZIP64 throughout, because no
    size is known beforehand. All members bear the time ``as_of``.
    """
    from stream_zip import ZIP_64, stream_zip

    moment = require_utc(as_of)
    files = ((m.path, moment, _FILE_MODE, ZIP_64, m.chunks) for m in members)
    yield from stream_zip(
        files,
        password=passphrase,
        get_compressobj=lambda: zlib.compressobj(level=_LEVEL, wbits=-zlib.MAX_WBITS),
    )


class Rows:
    """Batches of rows as the bytes of one file; counts them on the way."""

    def __init__(self) -> None:
        self.count = 0

    def array(self, batches: Iterable[Sequence[str]]) -> Iterator[bytes]:
        """One JSON array, a row on each line."""
        opening = "[\n"
        for batch in batches:
            self.count += len(batch)
            yield (opening + ",\n".join(batch)).encode()
            opening = ",\n"
        yield b"\n]\n" if self.count else b"[]\n"

    def lines(self, batches: Iterable[Sequence[str]]) -> Iterator[bytes]:
        """JSON Lines: a row is a line."""
        for batch in batches:
            self.count += len(batch)
            yield ("\n".join(batch) + "\n").encode()
