"""The IAM policy of a bucket. Stored and shown, not applied: this server lets everybody in."""

from __future__ import annotations

from typing import Any

from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.resources import Bucket, etag

EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})


def iam_policy(bucket: Bucket) -> dict[str, Any]:
    """``buckets.getIamPolicy``; a bucket without a policy of its own has Google's convenience bindings."""
    bindings = bucket.bindings
    if bindings is None:
        of = bucket.project
        owners, viewers = [f"projectEditor:{of}", f"projectOwner:{of}"], [f"projectViewer:{of}"]
        bindings = [
            {"role": "roles/storage.legacyBucketOwner", "members": owners},
            {"role": "roles/storage.legacyBucketReader", "members": viewers},
        ]
    return {
        "kind": "storage#policy",
        "resourceId": f"projects/_/buckets/{bucket.name}",
        "version": 1,
        "etag": etag(bucket.metageneration),
        "bindings": bindings,
    }


def change_iam_policy(bucket: Bucket, body: dict[str, Any]) -> None:
    """``buckets.setIamPolicy``; the whole policy is replaced."""
    if body.get("etag") not in (None, etag(bucket.metageneration)):
        raise ApiError(412, "The policy was changed in between.", reason="conditionNotMet")
    bindings = body.get("bindings") or []
    members = {member for binding in bindings for member in binding.get("members", ())}
    prevention = (bucket.properties.get("iamConfiguration") or {}).get("publicAccessPrevention")
    if prevention == "enforced" and members & EVERYBODY:
        raise ApiError(
            412,
            "One or more users named in the policy do not belong to a permitted customer, because "
            "public access prevention is enforced.",
            reason="conditionNotMet",
        )
    bucket.bindings = bindings
    bucket.metageneration += 1
