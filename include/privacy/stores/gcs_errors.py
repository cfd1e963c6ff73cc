"""Errors of Google Cloud Storage, told without naming an object: the vendor's messages do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, RetryError, Unauthorized
from google.auth.exceptions import GoogleAuthError
from requests.exceptions import RequestException

from include.privacy.stores.objects.model import BucketError


@contextmanager
def told(bucket: str, action: str, permission: str) -> Iterator[None]:
    """Turns what the client raises into a :class:`BucketError` that says what to do."""
    try:
        yield
    except NotFound:
        raise BucketError(
            f"bucket {bucket!r} does not exist; create it or correct 'bucket' in the data map"
        ) from None
    except (Forbidden, Unauthorized):
        raise BucketError(
            f"bucket {bucket!r}: {action} is denied; grant {permission} to the connection's account"
        ) from None
    except (GoogleAPICallError, RetryError) as error:
        raise BucketError(f"bucket {bucket!r}: {action} failed with {name_of(error)}") from None
    except (GoogleAuthError, RequestException) as error:
        raise BucketError(
            f"bucket {bucket!r}: {action} got no answer ({type(error).__name__}); "
            "check endpoint, network and credentials of the connection"
        ) from None


def name_of(error: BaseException) -> str:
    """Class and status of an error, without its message."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} ({int(code)})" if code else type(error).__name__
