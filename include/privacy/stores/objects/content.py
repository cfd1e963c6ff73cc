"""Content of people: every version, delete marker and unfinished upload under their prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from zlib import crc32

from include.privacy.planning.models import Cohort, Member
from include.privacy.policy.bucket_map import ContentPrefix
from include.privacy.stores.objects.guards import subject_prefix
from include.privacy.stores.objects.model import Kind, ObjectBucket, ObjectVersion, Part
from include.privacy.stores.objects.pages import parallel

SHARD_SIZE = 2_500
"""Members per shard, up to :data:`MAX_SHARDS` of them."""
MAX_SHARDS = 4
_UPLOADS_ONE_BY_ONE = 25


def shards_for(size: int) -> int:
    """How many shards a cohort of that size is split into."""
    return max(1, min(MAX_SHARDS, size // SHARD_SIZE))


def members_of(cohort: Cohort, shard: int, shards: int) -> Iterator[Member]:
    """The members of one shard; who is in which never changes."""
    return (m for m in cohort.members() if crc32(m.key.encode()) % shards == shard)


class Content:
    """Listings of people's objects under one content prefix.

    First pages of many people are listed in parallel, because one person rarely fills one.
    ``look_again``: everybody who has objects is listed a second time, not only those with more than
    a page (a page boundary may move while entries before it are being deleted).
    """

    def __init__(self, bucket: ObjectBucket, content: ContentPrefix, *, look_again: bool = False) -> None:
        self._bucket = bucket
        self.collection = content.prefix
        self._base = content.prefix.removesuffix("{subject}/")
        self._look_again = look_again
        self._unsettled: set[str] = set()

    def parts(self, cohort: Cohort, *, shard: int = 0, shards: int = 1) -> Iterator[Part]:
        """Everything that erasure removes. A person with more than one page is listed page by page."""
        yield from self._versions(m.key for m in members_of(cohort, shard, shards))
        if cohort.size <= _UPLOADS_ONE_BY_ONE or not self._base:
            yield from self._uploads_of(m.key for m in members_of(cohort, shard, shards))
        else:
            yield from self._uploads_among({m.key for m in members_of(cohort, shard, shards)})

    def second_look(self) -> Iterator[Part]:
        """A fresh listing of those whom one look may not have settled."""
        people, self._unsettled = sorted(self._unsettled), set()
        yield from self._versions(people)
        yield from self._uploads_of(people)

    def count(self, cohort: Cohort) -> tuple[int, int]:
        """How many objects, and how many people who have any."""
        objects, people = 0, set()
        for part in self.parts(cohort):
            objects += len(part.objects)
            people.add(hash(part.subject))
        return objects, len(people)

    def population(self, at_least: int) -> int:
        """People with content, counted up to ``at_least``: a guard's share needs no more."""
        if not self._base:
            return 0
        total = 0
        for page in self._bucket.folders(self._base):
            total += page
            if total >= at_least:
                break
        return total

    def _versions(self, people: Iterable[str]) -> Iterator[Part]:
        for key, first, rest in parallel(self._first_page, people):
            for number, page in enumerate(chain((first,), rest)):
                # Also when the next page comes empty: some servers lose their place when the entry
                # that it starts after has just been deleted.
                if number or (page and self._look_again):
                    self._unsettled.add(key)
                if page:
                    yield Part(self.collection, key, page)

    def _first_page(self, key: str) -> tuple[str, list[ObjectVersion], Iterator[list[ObjectVersion]]]:
        pages = self._bucket.versions(subject_prefix(self.collection, key))
        return key, next(pages, []), pages

    def _uploads_of(self, people: Iterable[str]) -> Iterator[Part]:
        for key in people:
            for page in self._bucket.uploads(subject_prefix(self.collection, key)):
                if page:
                    yield self._uploads(key, page)

    def _uploads_among(self, people: set[str]) -> Iterator[Part]:
        """One listing of all unfinished uploads instead of one per person: there are few of them."""
        for page in self._bucket.uploads(self._base):
            owned: dict[str, list[ObjectVersion]] = {}
            for upload in page:
                owner = upload.key.removeprefix(self._base).split("/", 1)[0]
                if owner in people:
                    owned.setdefault(owner, []).append(upload)
            for owner, uploads in owned.items():
                yield self._uploads(owner, uploads)

    def _uploads(self, key: str, page: list[ObjectVersion]) -> Part:
        # A part still in flight survives AbortMultipartUpload, which then has to be repeated (AWS).
        self._unsettled.add(key)
        return Part(self.collection, key, page)


def data_first(parts: Iterator[Part]) -> Iterator[Part]:
    """Without delete markers: where a lock may refuse a version, taking the marker off it first
    would make that version readable again.
    """
    for part in parts:
        yield part._replace(objects=[o for o in part.objects if o.kind is not Kind.marker])


def lone_markers(parts: Iterator[Part]) -> Iterator[Part]:
    """Delete markers with no data left under them, and data that the first look did not see.

    Listings are sorted by key; only the markers of one key wait until its last version has passed.
    """
    owner: Part | None = None
    key, has_data, markers = "", False, list[ObjectVersion]()
    for part in parts:
        ready: list[ObjectVersion] = []
        for found in part.objects:
            if owner is None or (found.key, part.subject) != (key, owner.subject):
                if owner is not None and markers and not has_data:
                    yield owner._replace(objects=markers)
                owner, key, has_data, markers = part, found.key, False, []
            if found.kind is Kind.marker:
                markers.append(found)
            else:
                has_data = has_data or found.kind is Kind.version
                ready.append(found)
        yield part._replace(objects=ready)
    if owner is not None and markers and not has_data:
        yield owner._replace(objects=markers)
