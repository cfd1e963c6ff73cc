"""What a bucket's own lifecycle should do for a rule: the net under the sweep."""

from __future__ import annotations

from include.privacy.policy.policy import ObjectAgeRule
from include.privacy.stores.objects.model import WantedLifecycle


def wanted_lifecycle(rule: ObjectAgeRule, target: int) -> WantedLifecycle:
    """Expire at the target, then keep noncurrent versions as long as the limit allows.

    Both steps are rounded up to the next midnight UTC and run asynchronously (AWS, "Lifecycle
    configuration elements"), hence the two days between their sum and the limit. The days after
    the first step are what is left for undoing a mistaken or malicious deletion.
    """
    expire = max(1, min(target, rule.limit_days - 3))
    return WantedLifecycle(
        rule=f"privacy-{rule.id}",
        prefix=rule.prefix,
        expire=expire,
        noncurrent=max(1, rule.limit_days - 2 - expire),
        limit=rule.limit_days,
    )
