"""From the configuration and Airflow's connections to the signing key, the bucket and the log's name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from include.privacy import cloud_clients
from include.privacy.connections import key_bytes
from include.privacy.evidence.notes import NoteSigner
from include.privacy.policy.evidence import EvidenceConfig
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError

if TYPE_CHECKING:
    from include.privacy.stores.evidence_bucket import EvidenceBucket

SIGNING_KEY = "privacy_evidence_key"


class NoEvidenceConfigError(FindingError):
    """There is no ``config/evidence.yaml``."""


def settings() -> EvidenceConfig:
    """Raises :class:`NoEvidenceConfigError`."""
    found = runtime().config().evidence
    if found is None:
        raise NoEvidenceConfigError(
            "config/evidence.yaml is missing: write origin, bucket, connection and retention_days into it"
        )
    return found


def signer() -> NoteSigner:
    """Signs with the key of the connection ``privacy_evidence_key``. Raises ``UnusableConnectionError``."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    where = f"as password of connection {SIGNING_KEY!r}"
    raw = key_bytes(runtime().connection(SIGNING_KEY).password or "", "the key that signs evidence", where)
    return NoteSigner(settings().origin, Ed25519PrivateKey.from_private_bytes(raw))


def verifier_keys() -> list[str]:
    """The present key and those before it, whose signatures still count."""
    return [signer().verifier_key, *settings().public_keys]


def bucket() -> EvidenceBucket:
    """The bucket of evidence."""
    from include.privacy.stores.evidence_bucket import EvidenceBucket

    config = settings()
    client = cloud_clients.s3(runtime().connection(config.connection))
    return EvidenceBucket(
        client, config.bucket, f"{config.origin}/", timedelta(days=config.retention_days), config.mode
    )
