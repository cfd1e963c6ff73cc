"""Model of ``config/evidence.yaml``: where the log of evidence is published, and whose signatures count."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.privacy.policy.map_model import MapModel

VerifierKey = Annotated[str, Field(pattern=r"^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$")]
"""A C2SP verifier key: name, key id, and the public key in base64 after the byte 0x01 (Ed25519)."""


class EvidenceConfig(MapModel):
    """``origin`` names the log (C2SP tlog-checkpoint) and begins every key in the bucket.

    ``retention_days``: how long the bucket's lock keeps each object. ``public_keys``: those of earlier
    signing keys. ``timestamps``: the connection of a time-stamping authority (RFC 3161).
    """

    origin: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9._-]*)*$", max_length=200)]
    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    connection: str
    retention_days: Annotated[int, Field(gt=0, le=36_500)]
    mode: Literal["governance", "compliance"] = "compliance"
    public_keys: tuple[VerifierKey, ...] = ()
    timestamps: str | None = None
