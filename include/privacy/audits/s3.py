"""Whether an S3 bucket lets anybody in, or anything out, that ``config/recipients.yaml`` does not name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from include.privacy.audits.findings import Finding, account_of, shown_account
from include.privacy.policy.recipients import AwsRecipients

if TYPE_CHECKING:
    from include.privacy.stores.s3_access import S3Access

BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
CODES = (
    "public_bucket",
    "public_access_not_blocked",
    "acls_in_use",
    "foreign_account",
    "unknown_service",
    "unknown_destination",
)
_EVERYBODY = ("/AllUsers", "/AuthenticatedUsers")
# Only these compare with fixed values; what ends in IfExists lets through whoever has no such key.
_EXACT = frozenset({"stringequals", "stringequalsignorecase", "arnequals"})
_ACCOUNT_KEYS = frozenset({"aws:principalaccount", "aws:sourceaccount"})
_LIST = "add it to config/recipients.yaml (aws.{}) if it is meant, else remove it from the bucket's policy"


def judge(access: S3Access, buckets: Collection[str], allowed: AwsRecipients) -> Iterator[Finding]:
    """Findings of one bucket. ``buckets``: those of the data map, which may get copies."""
    missing = [name for name in BLOCKS if name not in access.blocks]
    if missing:
        yield Finding(
            "public_access_not_blocked",
            f"the public access block lacks {', '.join(missing)}",
            "switch all four on",
        )
    if not access.acls_off:
        yield Finding(
            "acls_in_use",
            "ACLs are in force, and those of single objects cannot be audited",
            "set Object Ownership to BucketOwnerEnforced",
        )
        yield from _grants(access, allowed)
    if access.website:
        yield Finding(
            "public_bucket", "the bucket is served as a website", "delete the website configuration"
        )
    for number, statement in enumerate(access.statements, start=1):
        if str(statement.get("Effect")) == "Allow":
            yield from _statement(statement, f"statement {number} of the bucket policy", allowed)
    for target in access.destinations:
        foreign = target.account is not None and target.account not in allowed.accounts
        if foreign or target.bucket not in {*buckets, *allowed.buckets}:
            yield Finding(
                "unknown_destination",
                f"{target.what} goes to bucket {target.bucket}"
                + (f" of account {target.account}" if target.account else ""),
                "stop it, or map the bucket or add it to config/recipients.yaml (aws.buckets, aws.accounts)",
            )


def _grants(access: S3Access, allowed: AwsRecipients) -> Iterator[Finding]:
    for grant in access.grants:
        grantee, permission = grant["Grantee"], grant.get("Permission", "")
        if str(grantee.get("URI", "")).endswith(_EVERYBODY):
            yield Finding("public_bucket", f"the ACL gives everybody {permission}", "make the ACL private")
        elif grantee.get("ID") not in allowed.canonical_users:
            yield Finding(
                "foreign_account",
                f"the ACL gives somebody else {permission}",
                "make the ACL private, or list the canonical id in config/recipients.yaml",
            )


def _statement(statement: Mapping[str, Any], where: str, allowed: AwsRecipients) -> Iterator[Finding]:
    everybody = Finding("public_bucket", f"{where} lets everybody in", "remove it, or name who may")
    if "NotPrincipal" in statement:
        yield everybody
        return
    closed = _closed(statement.get("Condition") or {}, allowed)
    given = statement.get("Principal")
    principals: Mapping[str, Any] = given if isinstance(given, Mapping) else {"AWS": given}
    for kind, values in principals.items():
        for value in values if isinstance(values, list) else [values]:
            if value == "*":
                if not closed:
                    yield everybody
            elif kind == "AWS":
                if account_of(str(value)) not in allowed.accounts:
                    what = f"{where} lets {shown_account(str(value))} in"
                    yield Finding("foreign_account", what, _LIST.format("accounts"))
            elif kind == "Service":
                if value not in allowed.services:
                    yield Finding("unknown_service", f"{where} lets {value} in", _LIST.format("services"))
            elif value not in allowed.canonical_users:
                what = f"{where} lets a principal of kind {kind} in"
                yield Finding("foreign_account", what, _LIST.format("canonical_users"))


def _closed(conditions: Mapping[str, Mapping[str, Any]], allowed: AwsRecipients) -> bool:
    """Whether a condition lets in nobody but those we know; one such is enough, as all must hold."""
    known = {key.lower(): frozenset(values) for key, values in allowed.conditions.items()}
    known |= dict.fromkeys(_ACCOUNT_KEYS, frozenset(allowed.accounts))
    for operator, pairs in conditions.items():
        if operator.lower() not in _EXACT:
            continue
        for key, values in pairs.items():
            wanted = set(values if isinstance(values, list) else [values])
            if wanted and wanted <= known.get(key.lower(), frozenset()):
                return True
    return False
