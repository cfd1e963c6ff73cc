"""What one person has in a bucket: every version that can still be read, as files of the archive."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypedDict

from include.privacy.planning.exporting import Collection, ExportField, Extract, StoredFile
from include.privacy.planning.models import Member
from include.privacy.policy.bucket_map import BucketMap, ContentPrefix
from include.privacy.stores.objects.guards import subject_prefix
from include.privacy.stores.objects.model import Kind, ObjectBucket, ObjectVersion

_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})$")


class Entry(TypedDict):
    """One line of the index: which file of the archive was stored under which name."""

    file: str | None
    name: str
    stored_at: str
    bytes: int


class ContentExtract:
    """One person's objects under one prefix; an :class:`Extract` whose rows are the index of its files.

    Delete markers hold nothing; what lies under them is still held, and so is part of it.
    """

    def __init__(self, store: BucketMap, bucket: ObjectBucket, content: ContentPrefix, key: str) -> None:
        self.collection = collection_of(store, content)
        self.redacted: Counter[str] = Counter()
        self._bucket = bucket
        self._prefix = subject_prefix(content.prefix, key)
        self._index: list[Entry] = []

    def files(self) -> Iterator[StoredFile]:
        """See :class:`Extract`. Member names are numbers: names given by people are in the index."""
        for page in self._bucket.versions(self._prefix):
            for found in page:
                if found.kind is Kind.version:
                    yield from self._file(found)

    def _file(self, found: ObjectVersion) -> Iterator[StoredFile]:
        name = found.key.removeprefix(self._prefix)
        entry = Entry(file=None, name=name, stored_at=found.modified.isoformat(), bytes=0)
        self._index.append(entry)
        pieces = self._bucket.stream(found)
        if pieces is None:  # removed since it was listed
            return
        extension = _EXTENSION.search(name)
        suffix = extension.group(0).lower() if extension else ""
        folder = f"files/{self.collection.store}/{self.collection.table}"
        path = f"{folder}/{len(self._index):06d}{suffix}"
        entry["file"] = path
        yield StoredFile(path, _counted(pieces, entry))

    def lines(self) -> Iterator[Sequence[str]]:
        """See :class:`Extract`."""
        if self._index:
            yield [json.dumps(entry, ensure_ascii=False) for entry in self._index]

    def table(self) -> Iterator[Sequence[Sequence[str | None]]]:
        """See :class:`Extract`."""
        if self._index:
            yield [(e["file"], e["name"], e["stored_at"], str(e["bytes"])) for e in self._index]


class BucketExport:
    """A cohort's objects, listed person by person. Buckets have no snapshot: what goes while the
    archive is made is named in the index without a file.
    """

    def __init__(self, store: BucketMap, bucket: ObjectBucket, *, portable: bool) -> None:
        self._store, self._bucket = store, bucket
        self._content = [c for c in store.content if not (portable and c.origin == "inferred")]

    def of(self, ordinal: int, member: Member) -> Iterator[Extract]:
        """The person's extracts, one for each content prefix."""
        for content in self._content:
            yield ContentExtract(self._store, self._bucket, content, member.key)


def collection_of(store: BucketMap, content: ContentPrefix) -> Collection:
    """A content prefix as a collection."""

    def field(name: str, type_: str, description: str) -> ExportField:
        return ExportField(
            name, type_, description, content.category, content.origin, content.purposes, file=name == "file"
        )

    return Collection(
        store=store.store,
        table=content.prefix.removesuffix("{subject}/").strip("/").replace("/", "-") or "objects",
        description=content.description,
        fields=(
            field("file", "text", "Where the file lies in this archive; nothing if it was just removed."),
            field("name", "text", "The name it was stored under; its versions, the newest first."),
            field("stored_at", "timestamp with time zone", "When it was stored."),
            field("bytes", "bigint", "Its size in bytes."),
        ),
    )


def _counted(pieces: Iterable[bytes], entry: Entry) -> Iterator[bytes]:
    for piece in pieces:
        entry["bytes"] += len(piece)
        yield piece
