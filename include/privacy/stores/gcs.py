"""Google Cloud Storage as a store."""

from __future__ import annotations

from typing import Any, cast

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.stores.endpoints import require_safe_endpoint
from include.privacy.stores.gcs_bucket import GcsBucket
from include.privacy.stores.google_api import Tls13
from include.privacy.stores.objects.model import BatchLog, BucketError
from include.privacy.stores.objects.store import ObjectStore

__all__ = ["BucketError", "GcsStore", "gcs_client"]


class GcsStore(ObjectStore):
    """One bucket. ``client`` is a ``google.cloud.storage.Client``, see :func:`gcs_client`."""

    def __init__(self, bucket_map: BucketMap, client: Any, *, batch_log: BatchLog | None = None) -> None:
        super().__init__(bucket_map, GcsBucket(client, bucket_map.bucket), batch_log)


def gcs_client(*, project: str | None = None, endpoint_url: str | None = None) -> storage.Client:
    """A client with the machine's credentials (ADC), or without any for a loopback ``endpoint_url``."""
    endpoint = require_safe_endpoint(endpoint_url)
    if endpoint is None:
        client = storage.Client(project=project)
        cast(Any, client)._http.mount("https://", Tls13())  # P7.1; the library has no setting for it
        return client
    return storage.Client(
        project=project or "sandbox",
        credentials=cast(Any, AnonymousCredentials)(),  # google-auth ships this constructor untyped
        client_options={"api_endpoint": endpoint},
    )
