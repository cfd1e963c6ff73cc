"""Google Cloud Storage calls: listing generations, holds and soft-deleted objects, deleting batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from google.api_core.exceptions import BadRequest, Forbidden, GoogleAPICallError, NotFound, RetryError
from requests.exceptions import RequestException

from include.privacy.stores.gcs_errors import name_of, told
from include.privacy.stores.gcs_lifecycle import compare_lifecycle
from include.privacy.stores.objects.model import (
    BucketPolicy,
    Deletion,
    Details,
    Kind,
    LifecycleReport,
    ObjectVersion,
    Protection,
    WantedLifecycle,
)

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

_TIMEOUT = (5, 60)
_PIECE = 4 << 20
_FIELDS = (
    "nextPageToken,prefixes,items(name,generation,timeCreated,metadata,temporaryHold,eventBasedHold,"
    "retentionExpirationTime,retention,softDeleteTime,hardDeleteTime)"
)
_DELETE = "storage.objects.delete"


class GcsBucket:
    """One bucket. A generation is deleted by its number, whether live or noncurrent."""

    batch_size = 100
    """The most calls that one batch request takes."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        # The library ships no types.
        self._client: Any = client
        self._bucket: Any = client.bucket(name)
        self._policy: BucketPolicy | None = None

    def policy(self) -> BucketPolicy:
        """Versioning, soft delete and retention policy; read once."""
        if self._policy is None:
            with told(self.name, "reading the bucket", "storage.buckets.get"):
                bucket = self._client.get_bucket(self.name, timeout=_TIMEOUT)
            retention = bucket.retention_period
            locked = "locked " if bucket.retention_policy_locked else ""
            self._policy = BucketPolicy(
                versioned=bool(bucket.versioning_enabled),
                protects=True,
                undelete=timedelta(seconds=bucket.soft_delete_policy.retention_duration_seconds or 0),
                retention=timedelta(seconds=int(retention)) if retention else None,
                retention_reason=f"the {locked}retention policy of the bucket",
            )
        return self._policy

    def versions(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """Live and noncurrent generations, with their protections: the listing has them already."""
        return self._pages(prefix, Kind.version, versions=True)

    def uploads(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """Nothing: unfinished uploads cannot be listed through this interface.

        Resumable ones end after a week by themselves; those of the XML interface by the lifecycle
        rule that :meth:`lifecycle` asks for.
        """
        return iter(())

    def soft_deleted(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """What was deleted and can be restored until its ``hardDeleteTime``.

        Asked even when the bucket has no soft delete policy now: objects deleted under an earlier
        one stay until their time.
        """
        return self._pages(prefix, Kind.soft_deleted, soft_deleted=True)

    def folders(self, prefix: str) -> Iterator[int]:
        """See :class:`ObjectBucket`."""
        with told(self.name, "listing", "storage.objects.list"):
            for page in self._list(prefix, delimiter="/").pages:
                yield len(page.prefixes)

    def folder_names(self, prefix: str) -> Iterator[str]:
        """See :class:`ObjectBucket`."""
        with told(self.name, "listing", "storage.objects.list"):
            for page in self._list(prefix, delimiter="/", versions=True).pages:
                yield from page.prefixes
                if page.num_items:
                    yield prefix

    def describe(self, objects: Sequence[ObjectVersion]) -> list[Details]:
        """No call: the listing said it."""
        return [found.details or Details({}) for found in objects]

    def read(self, key: str, limit: int) -> bytes | None:
        """The newest data of the key, also when only noncurrent generations are left."""
        with told(self.name, "reading a manifest", "storage.objects.get"):
            try:
                return self._download(self._bucket.blob(key), limit)
            except NotFound:
                pass
            kept = [blob for blob in self._list(key, versions=True) if blob.name == key]
            newest = max(kept, key=lambda blob: int(blob.generation), default=None)
            if newest is None:
                return None
            return self._download(self._bucket.blob(key, generation=newest.generation), limit)

    def _download(self, blob: Any, limit: int) -> bytes:
        return cast(bytes, blob.download_as_bytes(end=limit - 1, timeout=_TIMEOUT))

    def stream(self, found: ObjectVersion) -> Iterator[bytes] | None:
        """See :class:`ObjectBucket`. Each piece is a request of its own, for exactly this generation."""
        blob = self._bucket.blob(found.key, generation=int(found.version))
        reader = blob.open("rb", chunk_size=_PIECE, timeout=_TIMEOUT)
        with told(self.name, "reading an object", "storage.objects.get"):
            try:
                first = cast(bytes, reader.read(_PIECE))
            except NotFound:
                return None
        return self._pieces(first, reader)

    def _pieces(self, piece: bytes, reader: Any) -> Iterator[bytes]:
        with told(self.name, "reading an object", "storage.objects.get"), closing(reader):
            while piece:
                yield piece
                piece = cast(bytes, reader.read(_PIECE))

    def delete(self, objects: Sequence[ObjectVersion]) -> Deletion:
        """One batch request, each call naming a generation.

        The library reports a batch as a whole: no error means that every call succeeded. After an
        error, a new listing tells what is still there; what is not was deleted, by us or, answered
        with 404, before.
        """
        try:
            with self._client.batch():
                for found in objects:
                    self._bucket.delete_blob(found.key, generation=int(found.version), timeout=_TIMEOUT)
        except (GoogleAPICallError, RetryError, RequestException) as error:
            return self._left_after(objects, error)
        return Deletion()

    def _left_after(self, objects: Sequence[ObjectVersion], error: Exception) -> Deletion:
        asked = {(found.key, found.version): found for found in objects}
        names = sorted(key for key, _ in asked)
        span = {"start_offset": names[0], "end_offset": names[-1] + "!"}
        left: list[tuple[ObjectVersion, Protection | None]] = []
        for page in self._pages(_shared(names[0], names[-1]), Kind.version, versions=True, **span):
            for found in page:
                if (found.key, found.version) in asked:
                    left.append((asked[found.key, found.version], cast(Details, found.details).protection))
        denied = isinstance(error, Forbidden)
        refused = [(found, protection) for found, protection in left if protection and denied]
        open_ = [found for found, protection in left if not (protection and denied)]
        if denied and not refused:
            # No hold or retention explains it, so it is the account.
            why = Protection(f"access denied (needs {_DELETE})")
            return Deletion(refused=[(found, why) for found in open_])
        # The library tells only one error of a batch; the others show when the rest goes again.
        return Deletion(refused, [(found, name_of(error)) for found in open_])

    def _pages(self, prefix: str, kind: Kind, **options: Any) -> Iterator[list[ObjectVersion]]:
        with told(self.name, "listing generations", "storage.objects.list"):
            try:
                for page in self._list(prefix, **options).pages:
                    yield [_entry(blob, kind) for blob in page]
            except BadRequest:
                # "The bucket has no soft delete policy." If it has one, the error means something else.
                if kind is not Kind.soft_deleted or self.policy().undelete:
                    raise

    def _list(self, prefix: str, **options: Any) -> Any:
        return self._client.list_blobs(
            self._bucket, prefix=prefix, fields=_FIELDS, page_size=1000, timeout=_TIMEOUT, **options
        )

    def lifecycle(self, wanted: WantedLifecycle, *, apply: bool) -> LifecycleReport:
        """See :class:`ObjectBucket`."""
        return compare_lifecycle(self._client, self.name, wanted, self.policy(), apply=apply)


def _entry(blob: Blob, kind: Kind) -> ObjectVersion:
    found: Any = blob
    metadata = {str(name).lower(): str(value) for name, value in (found.metadata or {}).items()}
    return ObjectVersion(
        found.name,
        str(found.generation),
        found.time_created.astimezone(UTC),
        kind,
        Details(metadata, _protection(found)),
        found.hard_delete_time.astimezone(UTC) if found.hard_delete_time else None,
    )


def _shared(first: str, last: str) -> str:
    """What two names, and so all between them, begin with."""
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]


def _protection(blob: Any) -> Protection | None:
    """Holds have no end; of retentions the latest counts."""
    if blob.temporary_hold:
        return Protection("temporary hold")
    if blob.event_based_hold:
        return Protection("event-based hold")
    kept = []
    if until := blob.retention.retain_until_time:
        kept.append(Protection(f"object retention ({blob.retention.mode})", until.astimezone(UTC)))
    if until := blob.retention_expiration_time:
        kept.append(Protection("the retention policy of the bucket", until.astimezone(UTC)))
    return max(kept, key=lambda protection: cast(datetime, protection.until), default=None)
