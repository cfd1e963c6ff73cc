"""The lifecycle of a GCS bucket: compared every day, and set where the map lets us.

Rules have no ids here. Ours are those whose only conditions are an age and exactly our prefix.
``age`` counts from a generation's creation; a Delete rule makes a live object noncurrent in a
versioned bucket and deletes the noncurrent one, which fulfils the same condition, the next time
(Google, "Object Lifecycle Management").
"""

from __future__ import annotations

from typing import Any

from google.api_core.exceptions import PreconditionFailed

from include.privacy.stores.gcs_errors import told
from include.privacy.stores.objects.foresight import whole_days
from include.privacy.stores.objects.model import BucketError, BucketPolicy, LifecycleReport, WantedLifecycle

Rule = dict[str, Any]
_TIMEOUT = (5, 60)
_ATTEMPTS = 3


def our_rules(wanted: WantedLifecycle) -> list[Rule]:
    """The two rules that we own."""
    prefix = [wanted.prefix]
    return [
        {"action": {"type": "Delete"}, "condition": {"age": wanted.expire, "matchesPrefix": prefix}},
        {
            "action": {"type": "AbortIncompleteMultipartUpload"},
            "condition": {"age": wanted.abort_uploads, "matchesPrefix": prefix},
        },
    ]


def is_ours(rule: Rule, wanted: WantedLifecycle) -> bool:
    """Whether a rule is one of ours, perhaps with another age."""
    condition = rule.get("condition", {})
    return (
        rule.get("action", {}).get("type") in ("Delete", "AbortIncompleteMultipartUpload")
        and set(condition) == {"age", "matchesPrefix"}
        and condition["matchesPrefix"] == [wanted.prefix]
    )


def differences(rules: list[Rule], wanted: WantedLifecycle, policy: BucketPolicy) -> list[str]:
    """What no rule covering the whole prefix does. Rules of others count as well."""
    undelete = whole_days(policy.undelete)
    found = []
    expire = _least(rules, "Delete", wanted.prefix)
    if expire is None:
        found.append(f"{wanted.prefix}: no lifecycle rule deletes objects; wanted after {wanted.expire} days")
    elif expire + undelete > wanted.limit:
        found.append(
            f"{wanted.prefix}: lifecycle deletes after {expire} days and soft delete keeps them {undelete} "
            f"more, limit {wanted.limit}"
        )
    abort = _least(rules, "AbortIncompleteMultipartUpload", wanted.prefix)
    if abort is None or abort > wanted.limit:
        found.append(
            f"{wanted.prefix}: unfinished uploads are not aborted; wanted after {wanted.abort_uploads} days"
        )
    return found


def compare_lifecycle(
    client: Any, name: str, wanted: WantedLifecycle, policy: BucketPolicy, *, apply: bool
) -> LifecycleReport:
    """Reports the differences; with ``apply`` writes our rules first if they are not as wanted."""
    for _ in range(_ATTEMPTS):
        with told(name, "reading the lifecycle", "storage.buckets.get"):
            bucket = client.get_bucket(name, timeout=_TIMEOUT)
        rules: list[Rule] = [_plain(rule) for rule in bucket.lifecycle_rules]
        ours = [rule for rule in rules if is_ours(rule, wanted)]
        if not apply or _same(ours, our_rules(wanted)):
            return LifecycleReport(tuple(differences(rules, wanted, policy)))
        bucket.lifecycle_rules = [r for r in rules if not is_ours(r, wanted)] + our_rules(wanted)
        try:
            with told(name, "writing the lifecycle", "storage.buckets.update"):
                try:
                    bucket.patch(if_metageneration_match=bucket.metageneration, timeout=_TIMEOUT)
                except PreconditionFailed as error:
                    raise _ChangedMeanwhile from error
        except _ChangedMeanwhile:
            continue
        with told(name, "reading the lifecycle", "storage.buckets.get"):
            written = client.get_bucket(name, timeout=_TIMEOUT)
        rules = [_plain(rule) for rule in written.lifecycle_rules]
        return LifecycleReport(tuple(differences(rules, wanted, policy)), applied=True)
    raise BucketError(
        f"bucket {name!r}: its lifecycle changed during each of {_ATTEMPTS} attempts to write it"
    )


class _ChangedMeanwhile(Exception):  # noqa: N818 - not an error, a reason to read again
    pass


def _plain(rule: Any) -> Rule:
    return {"action": dict(rule["action"]), "condition": dict(rule["condition"])}


def _same(left: list[Rule], right: list[Rule]) -> bool:
    return len(left) == len(right) and all(rule in right for rule in left)


def _least(rules: list[Rule], action: str, prefix: str) -> int | None:
    ages = [
        int(rule["condition"]["age"])
        for rule in rules
        if rule["action"].get("type") == action and _covers(rule["condition"], prefix)
    ]
    return min(ages, default=None)


def _covers(condition: Rule, prefix: str) -> bool:
    """Whether a rule with this condition reaches everything under the prefix by age alone."""
    if "age" not in condition or set(condition) - {"age", "matchesPrefix"}:
        return False
    prefixes = condition.get("matchesPrefix")
    return not prefixes or any(prefix.startswith(p) for p in prefixes)
