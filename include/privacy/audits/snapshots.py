"""Whether a snapshot is shared with anybody whom ``config/recipients.yaml`` does not name (P3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.privacy.audits.findings import Finding
from include.privacy.policy.recipients import AwsRecipients

if TYPE_CHECKING:
    from include.privacy.stores.rds import Rds

CODES = ("public_snapshot", "shared_snapshot")
_EVERYBODY = "all"


def judge(service: Rds, allowed: AwsRecipients) -> Iterator[Finding]:
    """Findings of one account and region. Only manual snapshots can be shared; each is one call."""
    for kind, raw in service.described():
        if raw.get("SnapshotType", "manual") != "manual":
            continue
        shown = raw["DBClusterSnapshotIdentifier" if kind else "DBSnapshotIdentifier"]
        for account in service.shared_with(kind, raw):
            if account == _EVERYBODY:
                yield Finding(
                    "public_snapshot", f"{kind}snapshot {shown} can be restored by everybody", "unshare it"
                )
            elif account not in allowed.accounts:
                yield Finding(
                    "shared_snapshot",
                    f"{kind}snapshot {shown} is shared with account {account}",
                    "unshare it, or add the account to config/recipients.yaml (aws.accounts)",
                )
