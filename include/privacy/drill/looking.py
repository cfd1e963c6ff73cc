"""What the drill looks at: the archive as the person opens it, and what the stores say of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import IO, Any
from urllib.parse import urlsplit

from include.privacy.wire import is_loopback, silence, tls_13

TIMEOUT = timedelta(seconds=60)
MOST_BYTES = 256 << 20
"""A synthetic person has written little: whatever is larger is not their archive."""


class ArchiveUnreadableError(RuntimeError):
    """The link or the passphrase of an answer does not open an archive. Names neither."""


def not_shown(answer: Mapping[str, Any], markers: Mapping[str, str]) -> list[str]:
    """Open the archive of an answer; returns the stores and processors of whose marker it has no trace."""
    wanted = {name: word.encode() for name, word in markers.items()}
    with tempfile.TemporaryFile() as packed:
        _download(str(answer["url"]), packed)
        packed.seek(0)
        for path, content in _members(packed, str(answer["passphrase"])):
            _, _, rest = path.partition("/")
            store = rest.partition("/")[0]
            if store in wanted and wanted[store] in content:
                del wanted[store]
    return sorted(wanted)


def wrong_stores(found: Mapping[str, Sequence[str]], wanted: str, before: Sequence[str]) -> list[str]:
    """Stores that had the field ``before`` and do not say the wanted value now, or not only that one."""
    return sorted(store for store in {*before, *found} if set(found.get(store, ())) != {wanted})


def _download(url: str, target: IO[bytes]) -> None:
    import httpx

    silence("httpx", "httpcore")
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ArchiveUnreadableError("the link of the answer is not https")
    size = 0
    try:
        # A link is complete in itself: no netrc, no proxy of the environment's may see it.
        with (
            httpx.Client(verify=tls_13(), timeout=TIMEOUT.total_seconds(), trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ArchiveUnreadableError(f"the link of the answer is answered {response.status_code}")
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > MOST_BYTES:
                    raise ArchiveUnreadableError(f"the archive has more than {MOST_BYTES} bytes")
                target.write(chunk)
    except httpx.HTTPError as error:
        # Its text has the link, which opens the archive.
        raise ArchiveUnreadableError(
            f"the link of the answer cannot be followed: {type(error).__name__}"
        ) from None


def _members(packed: IO[bytes], passphrase: str) -> Iterator[tuple[str, bytes]]:
    from stream_unzip import UnzipError, stream_unzip

    chunks = iter(lambda: packed.read(1 << 16), b"")
    try:
        for name, _, content in stream_unzip(chunks, password=passphrase.encode()):
            yield name.decode(), b"".join(content)
    except UnzipError as error:
        raise ArchiveUnreadableError(
            f"the passphrase does not open the archive: {type(error).__name__}"
        ) from None
