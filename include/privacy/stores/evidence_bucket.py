"""The bucket outside the ledger's reach: written once, under Object Lock; the first version counts.

Object Lock keeps versions, not names: whoever has access can put a newer version or a delete marker over
an object. So everything is listed by version, and the oldest one counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self

from botocore.exceptions import ClientError

from include.privacy.stores.objects.model import BucketError, Kind, ObjectVersion
from include.privacy.stores.s3_bucket import S3Bucket
from include.privacy.stores.s3_errors import code_of, told

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_THERE = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
_NO_LOCK = frozenset({"ObjectLockConfigurationNotFoundError", "InvalidRequest"})


class EvidenceBucket:
    """A bucket with Object Lock. ``client``: ``stores.s3.s3_client``.

    All methods raise :class:`BucketError` when the bucket is gone or access is denied.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str,
        retention: timedelta,
        mode: Literal["governance", "compliance"],
    ) -> None:
        self.name, self.prefix = bucket, prefix
        self._client, self._retention = client, retention
        self._mode: Literal["GOVERNANCE", "COMPLIANCE"] = (
            "GOVERNANCE" if mode == "governance" else "COMPLIANCE"
        )
        self._bucket = S3Bucket(client, bucket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def require_lock(self) -> None:
        """Raises :class:`BucketError` unless the bucket locks objects: evidence in any other is none."""
        with told(self.name, "reading the object lock", "s3:GetBucketObjectLockConfiguration"):
            try:
                found = self._client.get_object_lock_configuration(Bucket=self.name)
            except ClientError as error:
                if code_of(error) not in _NO_LOCK:
                    raise
                found = {}  # type: ignore[typeddict-item]  # the same as an empty answer
        if (found.get("ObjectLockConfiguration") or {}).get("ObjectLockEnabled") != "Enabled":
            raise BucketError(
                f"bucket {self.name!r} has no Object Lock, which can be had at creation only; create another"
            )

    def put(self, key: str, content: bytes, content_type: str, *, at: datetime) -> bool:
        """Write once, locked from ``at`` on; returns whether it was new.

        What is there already must be the same: :class:`BucketError` when it is not.
        """
        name = self.prefix + key
        if (there := self.read(key)) is None:
            with told(self.name, "writing evidence", "s3:PutObject and s3:PutObjectRetention"):
                try:
                    self._client.put_object(
                        Bucket=self.name,
                        Key=name,
                        Body=content,
                        ContentType=content_type,
                        IfNoneMatch="*",
                        ObjectLockMode=self._mode,
                        ObjectLockRetainUntilDate=at + self._retention,
                        ChecksumAlgorithm="SHA256",
                    )
                    return True
                except ClientError as error:
                    if code_of(error) not in _THERE:
                        raise
            there = self.read(key)
        if there != content:
            raise BucketError(
                f"bucket {self.name!r}: {name} was written before, with another content, and is never "
                "overwritten. Compare both: one of them is not this ledger's"
            )
        return False

    def put_first(self, key: str, content: bytes, content_type: str, *, at: datetime) -> bool:
        """Write once; what an earlier try has written stays, even if it differs. Returns if it was new."""
        return self.read(key) is None and self.put(key, content, content_type, at=at)

    def keys(self, folder: str) -> list[str]:
        """The keys below ``folder`` in their order, also those that a delete marker hides."""
        return sorted(self._first_versions(folder))

    def read(self, key: str) -> bytes | None:
        """The first version of the object; ``None`` when there never was one."""
        found = self._first_versions(key).get(key)
        if found is None:
            return None
        pieces = self._bucket.stream(found)
        return None if pieces is None else b"".join(pieces)

    def _first_versions(self, prefix: str) -> dict[str, ObjectVersion]:
        first: dict[str, ObjectVersion] = {}
        for page in self._bucket.versions(self.prefix + prefix):
            for found in page:
                # S3 lists the versions of a key from the newest to the oldest.
                if found.kind is Kind.version:
                    first[found.key.removeprefix(self.prefix)] = found
        return first
