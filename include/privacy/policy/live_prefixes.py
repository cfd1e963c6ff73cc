"""Compares the data map of a bucket with the folders that are in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.documents import Document
from include.privacy.policy.problems import Problem

_PLAIN = re.compile(r"([a-z][a-z_-]{0,30}/){1,4}")


def compare_prefixes(
    bucket: BucketMap, folders: Callable[[str], Iterable[str]], document: Document | None = None
) -> list[Problem]:
    """Folders of a bucket that the map does not cover.

    ``folders(prefix)`` lists the folders directly under a prefix, and the prefix itself when objects
    lie in it. It is never asked below a mapped prefix: the names there are people's.
    """
    file = document or Document(f"(data map of {bucket.store})")
    return [
        file.problem(
            (),
            f"bucket {bucket.bucket} has objects {where} that the map does not know",
            "map the prefix under content, backups or archives, or remove the objects",
        )
        for where in sorted({shown(folder) for folder in unknown_folders(bucket, folders)})
    ]


def unknown_folders(bucket: BucketMap, folders: Callable[[str], Iterable[str]]) -> set[str]:
    """The folders of a bucket that the map does not cover, as they are called: perhaps after a person."""
    mapped = mapped_folders(bucket)
    unknown: set[str] = set()
    queue = [""]
    while queue:
        above = queue.pop()
        for folder in folders(above):
            if folder.startswith(tuple(mapped)):
                continue
            if folder != above and any(m.startswith(folder) for m in mapped):
                queue.append(folder)
            else:
                unknown.add(folder)
    return unknown


def mapped_folders(bucket: BucketMap) -> list[str]:
    """The folders that the map covers."""
    return [c.prefix.removesuffix("{subject}/") for c in bucket.content] + [a.prefix for a in bucket.aged]


def shown(folder: str) -> str:
    """A folder nobody mapped may be called after a person; only plain words are repeated."""
    if not folder:
        return "outside any folder"
    return f"under {folder}" if _PLAIN.fullmatch(folder) else "under a folder whose name is not shown here"
