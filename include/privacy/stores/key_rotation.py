"""How often the keys in AWS KMS and Google Cloud KMS are rotated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.privacy.stores.aws import told

if TYPE_CHECKING:
    from include.privacy.stores.google_api import GoogleApi

KMS_HOST = "cloudkms.googleapis.com"
_AWS_DAYS = 365
"""Of keys whose period AWS does not tell: its own, and those of before periods could be set."""


@dataclass(frozen=True)
class Rotation:
    """``days`` between two rotations; ``None``: it is never rotated by itself."""

    days: int | None
    managed_by_cloud: bool = False


def aws_rotation(client: Any, key: str) -> Rotation:
    """``key``: id, ARN or alias; the status is told for ids only. Raises ``CloudError``."""
    with told("AWS KMS", "reading a key", "kms:DescribeKey"):
        found = client.describe_key(KeyId=key)["KeyMetadata"]
    if found.get("KeyManager") == "AWS":
        return Rotation(_AWS_DAYS, managed_by_cloud=True)
    with told("AWS KMS", "reading a key's rotation", "kms:GetKeyRotationStatus"):
        status = client.get_key_rotation_status(KeyId=found["KeyId"])
    return Rotation(
        int(status.get("RotationPeriodInDays") or _AWS_DAYS) if status["KeyRotationEnabled"] else None
    )


def google_rotation(api: GoogleApi, key: str) -> Rotation:
    """``key``: ``projects/…/locations/…/keyRings/…/cryptoKeys/…``. Raises ``CloudError``."""
    found = api.call("GET", KMS_HOST, f"/v1/{key}", permission="cloudkms.cryptoKeys.get")
    period = str(found.get("rotationPeriod") or "")
    return Rotation(round(float(period.removesuffix("s")) / 86400) if period else None)
