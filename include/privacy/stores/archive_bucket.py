"""The bucket where archives wait for the people who asked for them.

Encrypted twice: by us under a passphrase that never comes here, and by S3 under a KMS key. A key
says nothing but the archive's opaque id. What is not fetched expires under a retention rule.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from include.privacy.planning.models import Superseded
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.stores.objects.model import BucketError, ObjectVersion
from include.privacy.stores.objects.pages import ahead
from include.privacy.stores.s3_bucket import S3Bucket
from include.privacy.stores.s3_errors import code_of, told

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

log = logging.getLogger(__name__)

LONGEST_LINK = timedelta(days=7)
"""As long as AWS lets a signature of version 4 live, and as long as an archive does."""

_SMALLEST_PART = 8 << 20
_LARGEST_PART = 64 << 20
_MOST_PARTS = 10_000
_LOOKS = 4
_UNKNOWN = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class StoredArchive:
    """An archive in the bucket. ``sha256`` is of the encrypted file, as it is downloaded."""

    archive_id: UUID
    key: str
    version: str
    bytes: int
    sha256: str


class ArchiveBucket:
    """One bucket with an ``archives:`` prefix. ``client`` is made by ``stores.s3.s3_client``.

    All methods raise :class:`BucketError` when the bucket is gone or access is denied.
    """

    def __init__(self, bucket_map: BucketMap, client: S3Client, kms_key_id: str) -> None:
        mapped = bucket_map.archive("answers")
        if mapped is None:
            raise ValueError(f"store {bucket_map.store!r} has no `archives:` in the data map")
        self.name = bucket_map.store
        self._prefix = mapped.prefix
        self._client, self._key_id = client, kms_key_id
        self._name = bucket_map.bucket
        self._bucket = S3Bucket(client, bucket_map.bucket)

    def upload(self, archive_id: UUID, chunks: Iterable[bytes]) -> StoredArchive:
        """Stores the archive as a stream, in the memory of two parts of 8 to 64 MiB.

        What an earlier attempt left of the same archive goes first, so that repeating is harmless; an
        older copy of the task that still writes it gets :class:`Superseded`. Whatever ``chunks``
        raises comes through, and leaves nothing behind.
        """
        self.revoke(archive_id)
        key, measured = self._key(archive_id), _Measured()
        with closing(ahead(_parts(measured.of(chunks)))) as parts:
            first, second = next(parts, b""), next(parts, None)
            if second is None:
                version = self._put(key, first)
            else:
                version = self._multipart(key, chain((first, second), parts))
        stored = StoredArchive(archive_id, key, version, measured.size, measured.digest.hexdigest())
        self._check(stored)
        return stored

    def link(self, archive: StoredArchive, valid_for: timedelta) -> str:
        """A link to exactly this version for whoever has it; good for seven days at most.

        Signed, not sent: nothing is asked of S3. Under temporary credentials (a role) AWS ends the link
        with them, so make one when the person asks, not when the archive is made. Raises ``ValueError``.
        """
        if not timedelta(0) < valid_for <= LONGEST_LINK:
            raise ValueError(f"a link is good for up to {LONGEST_LINK.days} days, not for {valid_for}")
        version = {} if archive.version == "null" else {"VersionId": archive.version}
        return self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._name,
                "Key": archive.key,
                **version,
            },
            ExpiresIn=int(valid_for.total_seconds()),
        )

    def read(self, archive: StoredArchive) -> Iterator[bytes]:
        """The encrypted archive in pieces, for sending it on. Raises :class:`BucketError` if it is gone."""
        pieces = self._bucket.stream(ObjectVersion(archive.key, archive.version, _UNKNOWN))
        if pieces is None:
            raise BucketError(f"bucket {self._name!r}: archive {archive.archive_id} is gone; make it again")
        return pieces

    def revoke(self, archive_id: UUID) -> int:
        """Removes every version of the archive and what is unfinished of it, so that its links lead
        nowhere. Returns how many entries there were; again removes nothing.
        """
        key, removed = self._key(archive_id), 0
        for _ in range(_LOOKS):
            entries = [
                found
                for pages in (self._bucket.versions(key), self._bucket.uploads(key))
                for page in pages
                for found in page
                if found.key == key
            ]
            if not entries:
                return removed
            result = self._bucket.delete(entries)
            if result.refused:
                reason = result.refused[0][1].reason
                raise BucketError(f"bucket {self._name!r}: archive {archive_id} cannot be removed: {reason}")
            removed += len(entries) - len(result.again)
        raise BucketError(
            f"bucket {self._name!r}: archive {archive_id} is still there after {_LOOKS} attempts"
        )

    def _key(self, archive_id: UUID) -> str:
        return f"{self._prefix}{archive_id.hex}.zip"

    def _headers(self) -> dict[str, Any]:
        return {
            "ContentType": "application/zip",
            "ContentDisposition": 'attachment; filename="archive.zip"',
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self._key_id,
            "BucketKeyEnabled": True,
        }

    def _put(self, key: str, body: bytes) -> str:
        with told(self._name, "writing an archive", "s3:PutObject and kms:GenerateDataKey"):
            answer = self._client.put_object(Bucket=self._name, Key=key, Body=body, **self._headers())
        return answer.get("VersionId") or "null"

    def _multipart(self, key: str, parts: Iterable[bytes]) -> str:
        with told(self._name, "beginning an upload", "s3:PutObject and kms:GenerateDataKey"):
            upload = self._client.create_multipart_upload(Bucket=self._name, Key=key, **self._headers())[
                "UploadId"
            ]
        try:
            etags = [self._part(key, upload, n, part) for n, part in enumerate(parts, start=1)]
            return self._complete(key, upload, etags)
        except BaseException:
            self._abort(key, upload)
            raise

    def _part(self, key: str, upload: str, number: int, body: bytes) -> str:
        with told(self._name, "writing an archive", "s3:PutObject"), _superseded():
            return self._client.upload_part(
                Bucket=self._name, Key=key, UploadId=upload, PartNumber=number, Body=body
            )["ETag"]

    def _complete(self, key: str, upload: str, etags: list[str]) -> str:
        parts: Any = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
        with told(self._name, "ending an upload", "s3:PutObject"), _superseded():
            answer = self._client.complete_multipart_upload(
                Bucket=self._name, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        return answer.get("VersionId") or "null"

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._name, Key=key, UploadId=upload)
        except (BotoCoreError, ClientError) as error:
            # The reason why it is aborted matters more; the next attempt and the lifecycle rule remove it.
            log.warning(
                "bucket %s: an unfinished upload could not be aborted (%s)", self._name, type(error).__name__
            )

    def _check(self, archive: StoredArchive) -> None:
        """Nothing is handed out that S3 did not store whole, or did not encrypt as it was told."""
        version: Any = {} if archive.version == "null" else {"VersionId": archive.version}
        with told(self._name, "reading an archive back", "s3:GetObjectVersion and kms:Decrypt"):
            head = self._client.head_object(Bucket=self._name, Key=archive.key, **version)
        size, encryption = head["ContentLength"], head.get("ServerSideEncryption")
        if size == archive.bytes and encryption == "aws:kms":
            return
        self.revoke(archive.archive_id)
        raise BucketError(
            f"bucket {self._name!r}: archive {archive.archive_id} was not stored as asked "
            f"({size} of {archive.bytes} bytes, encryption {encryption}) "
            "and was removed again; check that the bucket encrypts with KMS"
        )


class _Measured:
    """Digest and size of what passed through."""

    def __init__(self) -> None:
        self.digest, self.size = hashlib.sha256(), 0

    def of(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.digest.update(chunk)
            self.size += len(chunk)
            yield chunk


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Parts of at least 8 MiB, later ones larger, so that ten thousand make 360 GB.

    Raises :class:`BucketError` beyond that.
    """
    buffer, number = bytearray(), 0
    for chunk in chunks:
        buffer += chunk
        if len(buffer) >= min(_SMALLEST_PART << number // 2_000, _LARGEST_PART):
            yield bytes(buffer)
            buffer.clear()
            number += 1
            if number == _MOST_PARTS:
                raise BucketError(f"an archive of more than {_MOST_PARTS} parts cannot be stored; split it")
    if buffer:
        yield bytes(buffer)


@contextmanager
def _superseded() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) != "NoSuchUpload":
            raise
        raise Superseded(
            "another copy of this task has begun the same archive anew; this one stopped"
        ) from None
