"""Who may reach an S3 bucket, and where it is copied to: its settings as they are, unjudged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from include.privacy.stores.s3_errors import code_of, told

_NONE = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchWebsiteConfiguration",
        "OwnershipControlsNotFoundError",
        "ReplicationConfigurationNotFoundError",
    }
)


@dataclass(frozen=True)
class Destination:
    """A bucket that gets copies. ``what``: replication, access log, inventory. ``account``: if it says."""

    what: str
    bucket: str
    account: str | None = None


@dataclass(frozen=True)
class S3Access:
    """``blocks``: the switches of the public access block that are on. ``statements``: of the bucket policy.

    ``grants``: of the ACL, without the owner's own. ``acls_off``: ACLs, of objects too, are ignored.
    """

    blocks: frozenset[str]
    statements: tuple[Mapping[str, Any], ...]
    grants: tuple[Mapping[str, Any], ...]
    acls_off: bool
    website: bool
    destinations: tuple[Destination, ...]


def read_s3_access(client: Any, bucket: str) -> S3Access:
    """Ask for every setting. Raises ``BucketError``. ``client``: boto3's for S3."""

    def ask(call: Callable[..., Any], permission: str) -> dict[str, Any]:
        with told(bucket, "reading who has access", permission):
            try:
                return dict(call(Bucket=bucket))
            except ClientError as error:
                if code_of(error) in _NONE:
                    return {}
                raise

    blocks = ask(client.get_public_access_block, "s3:GetBucketPublicAccessBlock")
    policy = ask(client.get_bucket_policy, "s3:GetBucketPolicy")
    acl = ask(client.get_bucket_acl, "s3:GetBucketAcl")
    ownership = ask(client.get_bucket_ownership_controls, "s3:GetBucketOwnershipControls")
    statements = json.loads(policy.get("Policy") or "{}").get("Statement") or []
    owner = (acl.get("Owner") or {}).get("ID")
    rules = (ownership.get("OwnershipControls") or {}).get("Rules") or []
    return S3Access(
        blocks=frozenset(
            name for name, on in (blocks.get("PublicAccessBlockConfiguration") or {}).items() if on
        ),
        statements=tuple(statements if isinstance(statements, list) else [statements]),
        grants=tuple(g for g in acl.get("Grants") or [] if g["Grantee"].get("ID", "") != owner),
        acls_off=any(rule.get("ObjectOwnership") == "BucketOwnerEnforced" for rule in rules),
        website=bool(ask(client.get_bucket_website, "s3:GetBucketWebsite")),
        destinations=tuple(_destinations(ask, client)),
    )


def _destinations(ask: Callable[..., dict[str, Any]], client: Any) -> list[Destination]:
    found = []
    replication = ask(client.get_bucket_replication, "s3:GetReplicationConfiguration")
    for rule in (replication.get("ReplicationConfiguration") or {}).get("Rules") or []:
        if rule.get("Status") == "Enabled":
            target = rule["Destination"]
            found.append(Destination("replication", _name(target["Bucket"]), target.get("Account")))
    logging = ask(client.get_bucket_logging, "s3:GetBucketLogging").get("LoggingEnabled")
    if logging:
        found.append(Destination("access log", str(logging["TargetBucket"])))
    inventories = ask(client.list_bucket_inventory_configurations, "s3:GetInventoryConfiguration")
    for each in inventories.get("InventoryConfigurationList") or []:
        target = each["Destination"]["S3BucketDestination"]
        found.append(Destination("inventory", _name(target["Bucket"]), target.get("AccountId")))
    return found


def _name(arn: str) -> str:
    return arn.removeprefix("arn:aws:s3:::")
