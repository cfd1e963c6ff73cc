"""Errors of S3, told without naming an object: AWS puts keys and ARNs into its messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from include.privacy.stores.objects.model import BucketError

RETRYABLE = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "RequestTimeTooSkewed",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "500",
        "502",
        "503",
        "504",
    }
)
DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403"})
UNKNOWN_CALLER = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"}
)
ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404", "NotFound"})


def code_of(error: ClientError) -> str:
    """The error code, e.g. ``AccessDenied``."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


@contextmanager
def told(bucket: str, action: str, permission: str) -> Iterator[None]:
    """Turns what boto3 raises into a :class:`BucketError` that says what to do."""
    try:
        yield
    except ClientError as error:
        raise bucket_error(bucket, action, permission, code_of(error)) from None
    except BotoCoreError as error:
        raise BucketError(
            f"bucket {bucket!r}: {action} got no answer ({type(error).__name__}); "
            "check endpoint, network and credentials of the connection"
        ) from None


def bucket_error(bucket: str, action: str, permission: str, code: str) -> BucketError:
    """The error for a failed call."""
    if code == "NoSuchBucket":
        return BucketError(f"bucket {bucket!r} does not exist; create it or correct 'bucket' in the data map")
    if code in DENIED:
        return BucketError(
            f"bucket {bucket!r}: {action} is denied; grant {permission} to the connection's role"
        )
    if code in UNKNOWN_CALLER:
        return BucketError(
            f"bucket {bucket!r}: {action} failed, because the credentials of the connection are refused "
            f"({code}); correct or renew them"
        )
    return BucketError(f"bucket {bucket!r}: {action} failed with {code}")
