"""S3 calls: listing versions, reading protections, deleting batches by VersionId."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

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
from include.privacy.stores.s3_errors import ABSENT, DENIED, RETRYABLE, bucket_error, code_of, told
from include.privacy.stores.s3_lifecycle import compare_lifecycle

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.client import S3Client

_PIECE = 1 << 20
_LOOKERS = 8
_NOTHING = Details({})


class S3Bucket:
    """One bucket, versioned or not (there, every version is called ``null``)."""

    batch_size = 1000
    """The most that DeleteObjects takes."""

    def __init__(self, client: S3Client, name: str) -> None:
        self.name = name
        self._client = client
        self._policy: BucketPolicy | None = None

    def policy(self) -> BucketPolicy:
        """Versioning and Object Lock; read once."""
        if self._policy is None:
            with told(self.name, "reading versioning", "s3:GetBucketVersioning"):
                versioning = self._client.get_bucket_versioning(Bucket=self.name).get("Status")
            lock = self._lock_configuration()
            default: dict[str, Any] = dict(lock.get("Rule", {}).get("DefaultRetention", {}))
            days = int(default.get("Days", 0)) + 365 * int(default.get("Years", 0))
            self._policy = BucketPolicy(
                versioned=versioning in ("Enabled", "Suspended"),
                markers=versioning in ("Enabled", "Suspended"),
                protects=lock.get("ObjectLockEnabled") == "Enabled",
                retention=timedelta(days=days) if days else None,
                retention_reason=f"the default Object Lock ({default.get('Mode')}) of the bucket",
            )
        return self._policy

    def _lock_configuration(self) -> dict[str, Any]:
        with told(self.name, "reading the Object Lock configuration", "s3:GetBucketObjectLockConfiguration"):
            try:
                answer = self._client.get_object_lock_configuration(Bucket=self.name)
            except ClientError as error:
                if code_of(error) == "ObjectLockConfigurationNotFoundError":
                    return {}
                raise
        return dict(answer.get("ObjectLockConfiguration", {}))

    def versions(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """See :class:`ObjectBucket`; 1000 entries a page."""
        marker: dict[str, Any] = {}
        while True:
            with told(self.name, "listing versions", "s3:ListBucketVersions"):
                answer = self._client.list_object_versions(Bucket=self.name, Prefix=prefix, **marker)
            page = [
                ObjectVersion(v["Key"], v["VersionId"], v["LastModified"]) for v in answer.get("Versions", ())
            ]
            if markers := answer.get("DeleteMarkers"):
                page += [
                    ObjectVersion(m["Key"], m["VersionId"], m["LastModified"], Kind.marker) for m in markers
                ]
                page.sort(key=lambda found: found.key)
            yield page
            if not answer.get("IsTruncated"):
                return
            marker = {"KeyMarker": answer["NextKeyMarker"]}
            if version := answer.get("NextVersionIdMarker"):
                marker["VersionIdMarker"] = version

    def uploads(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """See :class:`ObjectBucket`."""
        marker: dict[str, Any] = {}
        while True:
            with told(self.name, "listing unfinished uploads", "s3:ListBucketMultipartUploads"):
                answer = self._client.list_multipart_uploads(Bucket=self.name, Prefix=prefix, **marker)
            yield [
                ObjectVersion(u["Key"], u["UploadId"], u["Initiated"], Kind.upload)
                for u in answer.get("Uploads", ())
            ]
            if not answer.get("IsTruncated"):
                return
            marker = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def soft_deleted(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """Nothing: S3 has no undelete beyond versions."""
        return iter(())

    def folders(self, prefix: str) -> Iterator[int]:
        """See :class:`ObjectBucket`."""
        token: dict[str, Any] = {}
        while True:
            with told(self.name, "listing", "s3:ListBucket"):
                answer = self._client.list_objects_v2(Bucket=self.name, Prefix=prefix, Delimiter="/", **token)
            yield len(answer.get("CommonPrefixes", ()))
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def folder_names(self, prefix: str) -> Iterator[str]:
        """See :class:`ObjectBucket`."""
        marker: dict[str, Any] = {}
        while True:
            with told(self.name, "listing versions", "s3:ListBucketVersions"):
                answer = self._client.list_object_versions(
                    Bucket=self.name, Prefix=prefix, Delimiter="/", **marker
                )
            names = {found["Prefix"] for found in answer.get("CommonPrefixes", ())}
            # Some servers that speak S3 ignore the delimiter here and list everything.
            for found in [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]:
                folder, slash, _ = found["Key"].removeprefix(prefix).partition("/")
                names.add(f"{prefix}{folder}/" if slash else prefix)
            yield from sorted(names)
            if not answer.get("IsTruncated"):
                return
            marker = {"KeyMarker": answer["NextKeyMarker"]}
            if version := answer.get("NextVersionIdMarker"):
                marker["VersionIdMarker"] = version

    def describe(self, objects: Sequence[ObjectVersion]) -> list[Details]:
        """One HeadObject each, a few at a time."""
        if len(objects) < 2:
            return [self._head(found) for found in objects]
        with ThreadPoolExecutor(_LOOKERS, thread_name_prefix="s3-head") as pool:
            return list(pool.map(self._head, objects))

    def _head(self, found: ObjectVersion) -> Details:
        if found.kind is not Kind.version:
            return _NOTHING
        with told(
            self.name,
            "reading object metadata",
            "s3:GetObjectVersion, s3:GetObjectRetention, s3:GetObjectLegalHold",
        ):
            try:
                answer = self._client.head_object(Bucket=self.name, Key=found.key, VersionId=found.version)
            except ClientError as error:
                # 400: encrypted with a customer's key; it says nothing without it.
                if code_of(error) in ABSENT or code_of(error) == "400":
                    return _NOTHING
                raise
        metadata = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        if answer.get("ObjectLockLegalHoldStatus") == "ON":
            return Details(metadata, Protection("S3 legal hold"))
        if until := answer.get("ObjectLockRetainUntilDate"):
            mode = answer.get("ObjectLockMode", "")
            return Details(metadata, Protection(f"Object Lock {mode}", until.astimezone(UTC)))
        return Details(metadata)

    def read(self, key: str, limit: int) -> bytes | None:
        """The newest data of the key, also when a delete marker hides it."""
        with told(self.name, "reading a manifest", "s3:GetObject, s3:GetObjectVersion"):
            try:
                return self._client.get_object(Bucket=self.name, Key=key)["Body"].read(limit)
            except ClientError as error:
                if code_of(error) not in ABSENT:
                    raise
            hidden = self._client.list_object_versions(Bucket=self.name, Prefix=key).get("Versions", ())
            newest = next((v["VersionId"] for v in hidden if v["Key"] == key), None)
            if newest is None:
                return None
            return self._client.get_object(Bucket=self.name, Key=key, VersionId=newest)["Body"].read(limit)

    def stream(self, found: ObjectVersion) -> Iterator[bytes] | None:
        """See :class:`ObjectBucket`."""
        with told(self.name, "reading an object", "s3:GetObject, s3:GetObjectVersion"):
            try:
                answer = self._client.get_object(Bucket=self.name, Key=found.key, VersionId=found.version)
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                raise
        return self._pieces(answer["Body"])

    def _pieces(self, body: StreamingBody) -> Iterator[bytes]:
        with told(self.name, "reading an object", "s3:GetObject, s3:GetObjectVersion"), closing(body):
            yield from body.iter_chunks(_PIECE)

    def delete(self, objects: Sequence[ObjectVersion]) -> Deletion:
        """DeleteObjects by VersionId, and AbortMultipartUpload for uploads.

        A 200 may carry ``Errors``: they are all in the result, matched to what was asked.
        """
        versions = [found for found in objects if found.kind is not Kind.upload]
        result = self._delete_versions(versions) if versions else Deletion()
        refused, again = list(result.refused), list(result.again)
        for upload in objects:
            if upload.kind is Kind.upload and (code := self._abort(upload)):
                if code in RETRYABLE:
                    again.append((upload, code))
                else:
                    refused.append((upload, _refusal(code, "s3:AbortMultipartUpload")))
        return Deletion(refused, again)

    def _delete_versions(self, versions: Sequence[ObjectVersion]) -> Deletion:
        request: Any = {"Objects": [{"Key": v.key, "VersionId": v.version} for v in versions], "Quiet": True}
        try:
            answer = self._client.delete_objects(Bucket=self.name, Delete=request)
        except BotoCoreError as error:
            return Deletion(again=[(v, type(error).__name__) for v in versions])
        except ClientError as error:
            code = code_of(error)
            if code in RETRYABLE:
                return Deletion(again=[(v, code) for v in versions])
            if code in DENIED:
                return Deletion(refused=[(v, _refusal(code, "s3:DeleteObjectVersion")) for v in versions])
            raise bucket_error(self.name, "deleting", "s3:DeleteObjectVersion", code) from None
        errors = answer.get("Errors")
        return self._sort(versions, errors) if errors else Deletion()

    def _sort(self, versions: Sequence[ObjectVersion], errors: Sequence[Any]) -> Deletion:
        asked = {(v.key, v.version): v for v in versions}
        codes: dict[ObjectVersion, str] = {}
        for error in errors:
            code, key = str(error.get("Code", "unknown")), error.get("Key", "")
            if code == "NoSuchBucket":
                raise bucket_error(self.name, "deleting", "s3:DeleteObjectVersion", code)
            if named := asked.get((key, error.get("VersionId") or "null")):
                codes[named] = code
            else:
                # A server may leave the version out: then every version of that key is in doubt.
                codes |= dict.fromkeys([v for v in versions if v.key == key] or versions, code)
        denied = [v for v, code in codes.items() if code in DENIED]
        again = [(v, code) for v, code in codes.items() if code in RETRYABLE]
        refused = [
            (v, _refusal(code, "s3:DeleteObjectVersion"))
            for v, code in codes.items()
            if code not in DENIED | RETRYABLE | ABSENT
        ]
        refused += zip(denied, self._why_denied(denied), strict=True)
        return Deletion(refused, again)

    def _why_denied(self, denied: Sequence[ObjectVersion]) -> list[Protection]:
        """Object Lock answers plain AccessDenied: only the object's own settings tell the reason."""
        unknown = _refusal("AccessDenied", "s3:DeleteObjectVersion")
        if not self.policy().protects:
            return [unknown] * len(denied)
        return [details.protection or unknown for details in self.describe(denied)]

    def _abort(self, upload: ObjectVersion) -> str | None:
        try:
            self._client.abort_multipart_upload(Bucket=self.name, Key=upload.key, UploadId=upload.version)
        except BotoCoreError:
            return "RequestTimeout"
        except ClientError as error:
            code = code_of(error)
            if code == "NoSuchBucket":
                raise bucket_error(self.name, "aborting uploads", "s3:AbortMultipartUpload", code) from None
            return None if code in ABSENT else code
        return None

    def lifecycle(self, wanted: WantedLifecycle, *, apply: bool) -> LifecycleReport:
        """See :class:`ObjectBucket`."""
        return compare_lifecycle(
            self._client, self.name, wanted, versioned=self.policy().versioned, apply=apply
        )


def _refusal(code: str, permission: str) -> Protection:
    if code in DENIED:
        return Protection(f"access denied (needs {permission}, and no bucket policy against it)")
    return Protection(f"refused with {code}")
