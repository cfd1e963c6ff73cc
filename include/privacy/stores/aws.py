"""Clients of AWS services other than S3, and their errors told in our words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader, create_loader

from include.privacy.stores.endpoints import require_safe_endpoint

C = TypeVar("C")

DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
)


class CloudError(RuntimeError):
    """A cloud's interface cannot be used now; the message says which, why and what to do."""


@cache
def _descriptions(data_path: str | None) -> Loader:
    return create_loader(data_path)


def aws_session(region: str | None, access_key: str | None, secret_key: str | None) -> boto3.session.Session:
    """A session of its own credentials that shares what botocore has read of the services' descriptions.

    They are megabytes of JSON: read for every client again, they take a tenth of a second of each task.
    """
    core = botocore.session.Session()
    core.register_component("data_loader", _descriptions(core.get_config_variable("data_path")))
    return boto3.session.Session(
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        region_name=region,
        botocore_session=core,
    )


def aws_client(
    service: str,
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
) -> Any:
    """A boto3 client with time-outs and retries. Without keys the usual chain applies (role, environment).

    ``Any``: the stubs of boto3 name each service apart, and this is for whichever the caller asks.
    """
    session = aws_session(region, access_key, secret_key)
    return tls_13_only(
        cast(Any, session).client(
            service,
            endpoint_url=require_safe_endpoint(endpoint_url),
            config=Config(
                connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 4}
            ),
        )
    )


def tls_13_only(client: C) -> C:
    """The same client, which from now on offers nothing older than TLS 1.3 (P7.1).

    botocore has no setting for it: its own context takes 1.2. A test holds it against a server of 1.2.
    """
    manager = cast(Any, client)._endpoint.http_session._manager
    manager.connection_pool_kw["ssl_context"].minimum_version = ssl.TLSVersion.TLSv1_3
    return client


def code_of(error: ClientError) -> str:
    """The error code, e.g. ``AccessDenied``."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


@contextmanager
def told(where: str, action: str, permission: str) -> Iterator[None]:
    """Turns what boto3 raises into a :class:`CloudError`; AWS's own messages hold names and ARNs."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in DENIED:
            raise CloudError(
                f"{where}: {action} is denied; grant {permission} to the connection's role"
            ) from None
        raise CloudError(f"{where}: {action} failed with {code}") from None
    except BotoCoreError as error:
        raise CloudError(
            f"{where}: {action} got no answer ({type(error).__name__}); "
            "check endpoint, network and credentials of the connection"
        ) from None
