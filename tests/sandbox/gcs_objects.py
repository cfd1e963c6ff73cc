"""Short words for the tests of the GCS server."""

from __future__ import annotations

from google.api_core import exceptions
from google.cloud.storage import Bucket


def put(bucket: Bucket, name: str = "a", data: str = "x") -> int:
    """Upload; the new generation."""
    blob = bucket.blob(name)
    blob.upload_from_string(data)
    return int(blob.generation)


def versions(bucket: Bucket, **options: object) -> list[tuple[str, int]]:
    """Names and generations, in the order listed."""
    return [
        (blob.name, int(blob.generation))
        for blob in bucket.client.list_blobs(bucket, versions=True, **options)
    ]


def soft_deleted(bucket: Bucket) -> list[int]:
    """Generations of soft-deleted versions."""
    return [int(blob.generation) for blob in bucket.client.list_blobs(bucket, soft_deleted=True)]


def reason(error: exceptions.GoogleAPICallError) -> str:
    """The first documented reason of an error; the library drops it from those of uploads."""
    if not error.errors:
        return "objectUnderActiveHold" if "is under active" in error.message else error.message
    return str(error.errors[0]["reason"])
