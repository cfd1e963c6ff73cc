"""Checks that fail closed: what is blank, in the future or not in the map deletes nothing.

Airflow's stock operator empties a bucket when its templated prefix renders to ``""``; nothing here
takes a prefix that the data map does not name.
"""

from __future__ import annotations

import re
from datetime import datetime

from include.privacy.clock import require_utc
from include.privacy.planning.models import PlanError
from include.privacy.policy.bucket_map import AgedPrefix, BucketMap

_SUBJECT = re.compile(r"[A-Za-z0-9_-]+")
_PREFIX = re.compile(r"([A-Za-z0-9._-]+/)+")


def subject_prefix(template: str, key: str) -> str:
    """The prefix of one person. Raises ``PlanError`` for a key that could widen it."""
    if not isinstance(key, str) or not _SUBJECT.fullmatch(key):
        raise PlanError(
            f"a subject key of the cohort has characters that may not enter a prefix of {template!r}; "
            "only letters, digits, '_' and '-' are allowed"
        )
    if template.count("{subject}/") != 1 or not template.endswith("{subject}/"):
        raise PlanError(f"content prefix {template!r} must end in '{{subject}}/'; correct it in the data map")
    return require_prefix(template.replace("{subject}", key))


def require_prefix(prefix: str | None) -> str:
    """The prefix, if it is one: not empty, not blank, ending in a slash, without ``..``."""
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix) or ".." in prefix.split("/"):
        raise PlanError(
            f"prefix {prefix!r} is empty or no folder; nothing was deleted. "
            "Name a prefix such as 'backups/accounts/' in the rule and in the data map"
        )
    return prefix


def backup_prefix(bucket: BucketMap, prefix: str | None) -> AgedPrefix:
    """The mapped prefix of backups or archives of exactly this name; anything else is refused."""
    wanted = require_prefix(prefix)
    for aged in bucket.aged:
        if aged.prefix == wanted:
            return aged
    raise PlanError(
        f"store {bucket.store!r} has no backup prefix {wanted!r} in the data map; "
        f"it knows {[a.prefix for a in bucket.aged]}"
    )


def require_cutoff(cutoff: datetime | None, as_of: datetime) -> datetime:
    """The cutoff in UTC. Raises ``PlanError`` when it is missing, naive or later than ``as_of``."""
    if cutoff is None:
        raise PlanError("the cutoff is missing; nothing was deleted. Plan the rule again")
    try:
        moment, now = require_utc(cutoff), require_utc(as_of)
    except ValueError as error:
        raise PlanError(f"cutoff or as_of: {error}; nothing was deleted") from None
    if moment >= now:
        raise PlanError(
            f"cutoff {moment.isoformat()} does not lie before as_of {now.isoformat()}: "
            "it would delete fresh backups; nothing was deleted. Check target_days of the rule"
        )
    return moment
