"""Looks into a few objects under a prefix; returns counts of what they look like, never a byte of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.privacy.detection.tally import Tally, leaves
from include.privacy.stores.objects.model import Kind, ObjectBucket

_LINES = 200


@dataclass
class ObjectSample:
    """``seen``: names on the first page of the listing. ``binary``: objects that are no text."""

    seen: int = 0
    binary: int = 0
    names: Tally = field(default_factory=Tally)
    contents: Tally = field(default_factory=Tally)


def is_empty(bucket: ObjectBucket, prefix: str) -> bool:
    """Whether nothing lies under the prefix, in no version. Raises ``BucketError``."""
    return not any(page for page in bucket.versions(prefix))


def sample(bucket: ObjectBucket, prefix: str, *, objects: int, size: int) -> ObjectSample:
    """Names of the first page, and the first ``size`` bytes of ``objects`` of them, spread over the page.

    Raises ``BucketError``.
    """
    found = ObjectSample()
    page = next(iter(bucket.versions(prefix)), [])
    keys = list(dict.fromkeys(each.key for each in page if each.kind is Kind.version))
    found.seen = len(keys)
    for key in keys:
        # Each part of a name is one word about somebody: jane@example.org/notes.txt.
        found.names.add(key.removeprefix(prefix).replace("/", "\n"))
    for key in _spread(keys, objects):
        data = bucket.read(key, size)
        text = _text(data) if data else None
        if text is None:
            found.binary += bool(data)
            continue
        for name, value in _values(text):
            found.contents.add(value, name)
    return found


def _spread(keys: Sequence[str], count: int) -> list[str]:
    if len(keys) <= count:
        return list(keys)
    return [keys[position * len(keys) // count] for position in range(count)]


def _text(data: bytes) -> str | None:
    """The text, without a character that was cut in two at the end; ``None`` for what is no text."""
    if b"\0" in data:
        return None
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return None


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Every leaf of a document or of a line of JSON; else every line."""
    whole = _parsed(text)
    if whole is not None:
        yield from leaves(whole)
        return
    for line in text.splitlines()[:_LINES]:
        document = _parsed(line)
        if document is not None:
            yield from leaves(document)
        elif line.strip():
            yield "", line


def _parsed(text: str) -> dict[str, Any] | list[Any] | None:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None
