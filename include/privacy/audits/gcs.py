"""Whether a bucket of Google Cloud Storage lets anybody in whom ``config/recipients.yaml`` does not name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.privacy.audits.findings import Finding, principal
from include.privacy.policy.recipients import GoogleRecipients

if TYPE_CHECKING:
    from include.privacy.stores.gcs_access import GcsAccess

CODES = ("public_bucket", "public_access_not_blocked", "acls_in_use", "unknown_principal")
_EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_OURS = ("projectOwner:", "projectEditor:", "projectViewer:")
_LIST = "revoke it, or add the principal to config/recipients.yaml (google.principals)"


def judge(access: GcsAccess, allowed: GoogleRecipients) -> Iterator[Finding]:
    """Findings of one bucket."""
    if not access.prevents_public:
        yield Finding(
            "public_access_not_blocked",
            "public access prevention is not enforced",
            "set publicAccessPrevention to enforced",
        )
    if not access.uniform:
        yield Finding(
            "acls_in_use",
            "ACLs are in force, and those of single objects cannot be audited",
            "switch on uniform bucket-level access",
        )
    for entry, (role, member) in enumerate(access.bindings, start=1):
        if member in _EVERYBODY:
            yield Finding("public_bucket", f"{role} is given to everybody ({member})", "revoke it")
        elif not _known(member, allowed):
            yield Finding("unknown_principal", f"{role} is given to {principal(member, entry)}", _LIST)
    for entry, (role, entity) in enumerate(access.acl, start=1):
        if entity in _EVERYBODY:
            yield Finding("public_bucket", f"an ACL gives everybody {role} ({entity})", "remove the entry")
        elif not entity.startswith("project-"):
            yield Finding(
                "unknown_principal",
                f"an ACL gives {principal(entity.replace('-', ':', 1), entry)} {role}",
                "remove the entry, and switch on uniform bucket-level access",
            )


def _known(member: str, allowed: GoogleRecipients) -> bool:
    if member.startswith(_OURS):
        return member.partition(":")[2] in allowed.projects
    return member in allowed.principals
