"""Object bytes: small ones in memory, larger ones as files of the data folder."""

from __future__ import annotations

import base64
import hashlib
import itertools
import weakref
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c

IN_MEMORY = 64 * 1024
_numbers = itertools.count(1)


@dataclass(eq=False)
class Content:
    """Bytes with their checksums. Versions that copy one another share it; the file goes with the last."""

    size: int
    md5: str
    crc32c: str
    _memory: bytes | None = field(default=None, repr=False)
    _file: Path | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """All bytes."""
        return self._memory if self._file is None else self._file.read_bytes()  # type: ignore[return-value]


def store(data: bytes, folder: Path) -> Content:
    """Keep bytes: in memory up to 64 KiB, else in a file of ``folder`` that goes with its last version."""
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    crc32c = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
    if len(data) <= IN_MEMORY:
        return Content(len(data), md5, crc32c, _memory=data)
    path = folder / f"{next(_numbers):08d}"
    path.write_bytes(data)
    content = Content(len(data), md5, crc32c, _file=path)
    weakref.finalize(content, path.unlink, missing_ok=True)
    return content
