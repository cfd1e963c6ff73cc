"""The lifecycle of an S3 bucket: compared every day, and set where the map lets us.

Facts used (AWS, "Managing the lifecycle of objects"): in a versioned bucket ``Expiration`` only adds
a delete marker; noncurrent versions go by ``NoncurrentVersionExpiration``; a marker over nothing
goes by ``ExpiredObjectDeleteMarker``, which must not share a rule with ``Days``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from include.privacy.stores.objects.model import LifecycleReport, WantedLifecycle
from include.privacy.stores.s3_errors import code_of, told

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Rule = dict[str, Any]


def our_rules(wanted: WantedLifecycle) -> list[Rule]:
    """The two rules that we own; recognised by their ids."""
    return [
        {
            "ID": wanted.rule,
            "Status": "Enabled",
            "Filter": {"Prefix": wanted.prefix},
            "Expiration": {"Days": wanted.expire},
            "NoncurrentVersionExpiration": {"NoncurrentDays": wanted.noncurrent},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": wanted.abort_uploads},
        },
        {
            "ID": f"{wanted.rule}-markers",
            "Status": "Enabled",
            "Filter": {"Prefix": wanted.prefix},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
    ]


def differences(rules: list[Rule], wanted: WantedLifecycle, *, versioned: bool) -> list[str]:
    """What no enabled rule covering the whole prefix does. Rules of others count as well."""
    covering = [rule for rule in rules if rule.get("Status") == "Enabled" and _covers(rule, wanted.prefix)]
    expire = _least(covering, "Expiration", "Days")
    noncurrent = _least(covering, "NoncurrentVersionExpiration", "NoncurrentDays")
    abort = _least(covering, "AbortIncompleteMultipartUpload", "DaysAfterInitiation")
    keeping = max((_newer_kept(rule) for rule in covering), default=0)
    found = []
    if expire is None:
        found.append(f"{wanted.prefix}: no lifecycle rule expires objects; wanted after {wanted.expire} days")
    elif expire + (noncurrent or 0 if versioned else 0) > wanted.limit:
        found.append(
            f"{wanted.prefix}: lifecycle expires after {expire} + {noncurrent or 0} days, "
            f"limit {wanted.limit}"
        )
    if versioned and noncurrent is None:
        kept = f" (a rule keeps the {keeping} newest for ever)" if keeping else ""
        found.append(
            f"{wanted.prefix}: noncurrent versions never expire{kept}; wanted after {wanted.noncurrent} days"
        )
    if versioned and not any(
        rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker") for rule in covering
    ):
        found.append(f"{wanted.prefix}: delete markers over nothing never expire")
    if abort is None or abort > wanted.limit:
        found.append(
            f"{wanted.prefix}: unfinished uploads are not aborted; wanted after {wanted.abort_uploads} days"
        )
    return found


def compare_lifecycle(
    client: S3Client, bucket: str, wanted: WantedLifecycle, *, versioned: bool, apply: bool
) -> LifecycleReport:
    """Reports the differences; with ``apply`` writes our rules first if they are not as wanted."""
    rules, options = _read(client, bucket)
    ours = our_rules(wanted)
    ids = {rule["ID"] for rule in ours}
    present = [_core(rule) for rule in rules if rule.get("ID") in ids]
    applied = False
    if apply and sorted(present, key=lambda r: r["ID"]) != sorted(ours, key=lambda r: r["ID"]):
        others = [rule for rule in rules if rule.get("ID") not in ids]
        with told(bucket, "writing the lifecycle", "s3:PutLifecycleConfiguration"):
            configuration: Any = {"Rules": others + ours}
            client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration=configuration, **options
            )
        rules, _ = _read(client, bucket)
        applied = True
    return LifecycleReport(tuple(differences(rules, wanted, versioned=versioned)), applied)


def _read(client: S3Client, bucket: str) -> tuple[list[Rule], dict[str, Any]]:
    with told(bucket, "reading the lifecycle", "s3:GetLifecycleConfiguration"):
        try:
            answer: Any = client.get_bucket_lifecycle_configuration(Bucket=bucket)
        except ClientError as error:
            if code_of(error) == "NoSuchLifecycleConfiguration":
                return [], {}
            raise
    size = answer.get("TransitionDefaultMinimumObjectSize")
    return list(answer.get("Rules", ())), {"TransitionDefaultMinimumObjectSize": size} if size else {}


def _core(rule: Rule) -> Rule:
    """The rule without empty extras that servers add when they return it."""
    return {
        name: value for name, value in rule.items() if value not in ({}, [], None, "") or name == "Filter"
    }


def _covers(rule: Rule, prefix: str) -> bool:
    condition = rule.get("Filter")
    if condition is None or not condition:
        return prefix.startswith(rule.get("Prefix", ""))
    return set(condition) == {"Prefix"} and prefix.startswith(condition["Prefix"])


def _least(rules: list[Rule], action: str, field: str) -> int | None:
    days = [rule[action][field] for rule in rules if field in rule.get(action, {}) and not _newer_kept(rule)]
    return min(days, default=None)


def _newer_kept(rule: Rule) -> int:
    return int(rule.get("NoncurrentVersionExpiration", {}).get("NewerNoncurrentVersions", 0))
