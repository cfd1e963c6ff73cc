"""A small Google Cloud Storage server: our model of the documented JSON API, for demo and tests.

It models what retention and erasure depend on (generations, versioning, soft delete, holds, retention
policies and their lock, preconditions, batch, paging, resumable uploads), keeps everything in memory
and is driven with the real ``google-cloud-storage`` client. What Google does beyond its documentation
is not in it; docs/LIMITS.md says so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from include.sandbox.processes import ProcessTable, Running, free_port, responds

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client

HOST = "127.0.0.1"
PROJECT = "practice-engine-sandbox"


def start_gcs(table: ProcessTable, *, root: Path, tied: bool = False) -> tuple[Running, str]:
    """Spawn the server and return it with its endpoint URL; not yet answering.

    ``root`` is the folder that holds the package ``include``.
    """
    port = free_port()
    data = table.folder / "gcs"
    argv = [sys.executable, "-m", "include.sandbox.gcs", "--port", str(port), "--data", str(data)]
    env = {**os.environ, "PYTHONPATH": str(root)}
    return table.spawn("gcs", argv, env=env, cwd=root, tied=tied), f"http://{HOST}:{port}"


def answers(endpoint: str) -> bool:
    """Whether the server takes requests."""
    return responds(endpoint, "/_sandbox/clock")


def close_to_the_public(bucket: Bucket) -> Bucket:
    """What the platform sets for each of its buckets: IAM alone decides, and never for everybody."""
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"
    return bucket


def gcs_client(endpoint: str, project: str = PROJECT) -> Client:
    """The real client library, without credentials, against this server."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    return storage.Client(
        project=project,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": endpoint},
    )
