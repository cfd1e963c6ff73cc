"""Helpers for tests of archives: building, opening, searching."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import uuid4

from stream_unzip import stream_unzip

from include.privacy.archives.information import Answer
from include.privacy.archives.writer import new_passphrase
from include.privacy.planning.exporting import Collection, ExportField
from include.privacy.planning.models import Cohort, Member
from include.privacy.policy.loading import ROOT, Config, load_config

AS_OF = datetime(2026, 11, 25, 12, tzinfo=UTC)
ANSWER = Answer("3f0c1c1e-0000-4000-8000-00000000000a", datetime(2026, 11, 20, 8, tzinfo=UTC), AS_OF)


@cache
def config() -> Config:
    """The shipped configuration."""
    return load_config(ROOT / "config")


def cohort(members: Iterable[Member]) -> Cohort:
    """A cohort of these people."""
    frozen = list(members)
    return Cohort(uuid4(), len(frozen), lambda: iter(frozen))


def unpack(data: bytes, passphrase: str) -> dict[str, bytes]:
    """The files of an encrypted archive, opened by a program that is not ours."""
    parts = [data[i : i + 65536] for i in range(0, len(data), 65536)]
    return {
        name.decode(): b"".join(chunks)
        for name, _, chunks in stream_unzip(parts, password=passphrase.encode())
    }


def opened(archive: Any) -> dict[str, bytes]:
    """Packs an archive and opens it again."""
    passphrase = new_passphrase()
    return unpack(b"".join(archive.packed(passphrase)), passphrase)


def rows(files: dict[str, bytes], path: str) -> list[dict[str, Any]]:
    """The rows of a file of the archive; none where there is no such file."""
    return json.loads(files.get(path, b"[]"))  # type: ignore[no-any-return]  # a JSON array of objects


def found_in(files: dict[str, bytes], needles: Iterable[str]) -> dict[str, list[str]]:
    """Which needles are in which files, as they are and as JSON and HTML spell them."""
    hits: dict[str, list[str]] = {}
    for path, body in files.items():
        text = f"{path}\n{body.decode(errors='replace')}"
        for needle in needles:
            if needle in text:
                hits.setdefault(path, []).append(needle)
    return hits


def collection(name: str = "things", *fields: ExportField, **more: Any) -> Collection:
    """A collection of no store of the map."""
    return Collection(
        "ledger", name, "you", "Records of ours.", fields or (ExportField("note", description="A note."),),
        retention="Three years.", **more,
    )  # fmt: skip
