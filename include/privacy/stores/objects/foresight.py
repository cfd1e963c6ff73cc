"""What will outlive the promise, told before it is broken: locks, holds, retention, soft delete."""

from __future__ import annotations

from datetime import datetime, timedelta

from include.privacy.clock import due_at
from include.privacy.policy.policy import ObjectAgeRule
from include.privacy.stores.objects.capture import CaptureTimes
from include.privacy.stores.objects.model import BucketPolicy, Kind, ObjectBucket, ObjectVersion, Protection


def effective_target(rule: ObjectAgeRule, policy: BucketPolicy) -> int:
    """Days after capture when the sweep deletes: early enough that the undelete window ends by the limit.

    At least 0; :func:`conflicts` reports a window as long as the limit.
    """
    return max(0, min(rule.target_days, rule.limit_days - whole_days(policy.undelete)))


def whole_days(span: timedelta) -> int:
    """Days, rounded up."""
    return -(-span // timedelta(days=1))


def conflicts(rule: ObjectAgeRule, policy: BucketPolicy) -> list[str]:
    """Settings of the bucket that make the promise impossible, or move the target."""
    lines = []
    undelete = whole_days(policy.undelete)
    if undelete and rule.limit_days - undelete < rule.target_days:
        lines.append(
            f"target moved from {rule.target_days} to {effective_target(rule, policy)} days: soft delete "
            f"keeps deleted objects {undelete} days and counts into the {rule.limit_days}"
        )
    if undelete >= rule.limit_days:
        lines.append(
            f"nothing can be gone within {rule.limit_days} days: soft delete alone keeps objects {undelete} "
            "days; shorten the bucket's soft delete policy"
        )
    if policy.retention is not None and policy.retention + policy.undelete > timedelta(days=rule.limit_days):
        lines.append(
            f"every new object under {rule.prefix} will outlive the promise because "
            f"{policy.retention_reason} keeps it {whole_days(policy.retention)} days, "
            f"the promise allows {rule.limit_days}"
        )
    return lines


class Foresight:
    """Collects, reason by reason, the objects that the store will keep past their limit."""

    def __init__(self, rule: ObjectAgeRule, policy: BucketPolicy, as_of: datetime) -> None:
        self._rule, self._policy, self._as_of = rule, policy, as_of
        self._found: dict[str, tuple[int, datetime, datetime | None, bool]] = {}

    def look(self, found: ObjectVersion, captured: datetime, protection: Protection | None) -> None:
        """Consider one object: a readable version, or one that is already deleted softly."""
        limit = due_at(captured, self._rule.limit_days)
        if found.kind is Kind.soft_deleted:
            if found.gone_at is None or found.gone_at > limit:
                self._note("soft delete keeps it restorable", limit, found.gone_at)
            return
        due = due_at(captured, effective_target(self._rule, self._policy))
        free = max(due, self._as_of)
        if protection is not None:
            if protection.until is None:
                self._note(protection.reason, limit, None)
                return
            if protection.until > free:
                if protection.until + self._policy.undelete > limit:
                    self._note(protection.reason, limit, protection.until)
                return
        if self._policy.undelete and free + self._policy.undelete > limit:
            self._note("soft delete keeps it restorable", limit, free + self._policy.undelete)

    def lines(self) -> list[str]:
        """One line per reason, with the earliest limit that it breaks."""
        return [
            f"{count} objects under {self._rule.prefix} will outlive the promise on {limit:%Y-%m-%d} because "
            f"{reason}" + (f" until {until:%Y-%m-%d}" if until and not endless else " until it is lifted")
            for reason, (count, limit, until, endless) in sorted(self._found.items())
        ]

    def _note(self, reason: str, limit: datetime, until: datetime | None) -> None:
        count, first, last, endless = self._found.get(reason, (0, limit, until, until is None))
        last = max(last, until) if last and until else last or until
        self._found[reason] = (count + 1, min(first, limit), last, endless or until is None)


def foresee(
    bucket: ObjectBucket, times: CaptureTimes, rule: ObjectAgeRule, policy: BucketPolicy, as_of: datetime
) -> list[str]:
    """Looks at every object under the prefix; a closer look only where the bucket can refuse."""
    foresight = Foresight(rule, policy, as_of)
    if policy.protects or policy.undelete:
        for page in bucket.versions(rule.prefix):
            data = [o for o in page if o.kind is Kind.version]
            details = bucket.describe(data) if policy.protects else []
            protections = [d.protection for d in details] or [None] * len(data)
            for found, captured, protection in zip(data, times.of(data), protections, strict=True):
                foresight.look(found, captured, protection)
    for page in bucket.soft_deleted(rule.prefix):
        for found, captured in zip(page, times.of(page), strict=True):
            foresight.look(found, captured, None)
    return foresight.lines()
