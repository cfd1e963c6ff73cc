"""Who may reach a bucket of Google Cloud Storage: its settings as they are, unjudged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from include.privacy.stores.gcs_errors import told

_TIMEOUT_S = (5, 60)


@dataclass(frozen=True)
class GcsAccess:
    """``bindings``: role → principals, as IAM writes them. ``uniform``: IAM alone decides, no ACL does.

    ``acl``: entities of the bucket's ACL and of the default for its objects; empty where uniform.
    """

    bindings: tuple[tuple[str, str], ...]
    acl: tuple[tuple[str, str], ...]
    uniform: bool
    prevents_public: bool


def read_gcs_access(client: Any, bucket: str) -> GcsAccess:
    """Ask for IAM policy, ACLs and switches. Raises ``BucketError``."""
    with told(bucket, "reading who has access", "storage.buckets.getIamPolicy"):
        found = client.get_bucket(bucket, timeout=_TIMEOUT_S)
        policy = found.get_iam_policy(requested_policy_version=3, timeout=_TIMEOUT_S)
    settings = found.iam_configuration
    uniform = bool(settings.uniform_bucket_level_access_enabled)
    raw = found._properties
    entries = [] if uniform else [*raw.get("acl", ()), *raw.get("defaultObjectAcl", ())]
    return GcsAccess(
        bindings=tuple(
            (str(binding["role"]), str(member))
            for binding in policy.bindings
            for member in sorted(binding.get("members", ()))
        ),
        acl=tuple((str(e.get("role", "")), str(e["entity"])) for e in entries),
        uniform=uniform,
        prevents_public=settings.public_access_prevention == "enforced",
    )
