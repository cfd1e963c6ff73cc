"""Residue: how long an erased person may still be in backups, and the tombstones that last as long."""

from __future__ import annotations

import logging
from datetime import datetime

from include.privacy.clock import due_at
from include.privacy.planning.models import Cohort
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.policy import ObjectAgeRule, SnapshotAgeRule
from include.privacy.runtime import runtime

log = logging.getLogger(__name__)


def residual_until(erased_at: datetime) -> datetime | None:
    """When the last backup that can hold somebody erased at ``erased_at`` is gone for good.

    That is the newest capture plus the limit of its rule; the store's undelete window counts into
    the limit (DESIGN §3). A bucket or a cloud that cannot be read right now is taken to have been captured
    this instant: the latest date it can mean. ``None`` when there is no backup at all.
    """
    latest: datetime | None = None
    for rule in runtime().config().policy.rules:
        if not isinstance(rule, ObjectAgeRule | SnapshotAgeRule) or holds_invoices(rule):
            continue
        newest = _newest_capture(rule, erased_at)
        if newest is not None:
            gone = due_at(min(newest, erased_at), rule.limit_days)
            latest = max(latest or gone, gone)
    return latest


def write_tombstones(cohort: Cohort, erased_at: datetime, until: datetime | None) -> None:
    """Keyed hashes by which a restored backup can be replayed; they expire with the last backup.

    What the replay journal knows of these people goes: nothing of theirs is to be applied again. So do the
    identifiers that they had before a correction.
    """
    if until is not None and cohort.size:
        runtime().ledger().write_tombstones(cohort, until, erased_at)
    runtime().ledger().forget_people(member.key for member in cohort.members())
    runtime().ledger().forget_former_identifiers(member.key for member in cohort.members())


def holds_invoices(rule: ObjectAgeRule | SnapshotAgeRule) -> bool:
    """Invoices are kept on a ground of their own, and nothing is restored from them."""
    if isinstance(rule, SnapshotAgeRule):
        return False
    mapped = runtime().config().data_map[rule.store]
    invoices = mapped.archive("invoices") if isinstance(mapped, BucketMap) else None
    return invoices is not None and invoices.prefix == rule.prefix


def _newest_capture(rule: ObjectAgeRule | SnapshotAgeRule, erased_at: datetime) -> datetime | None:
    try:
        if isinstance(rule, SnapshotAgeRule):
            return runtime().snapshots(rule.store).newest_capture()
        return runtime().bucket(rule.store).newest_capture(rule.prefix)
    except Exception as error:  # noqa: BLE001 - whatever keeps the bucket from being read, the late date is safe
        log.warning(
            "store %s: backups cannot be read (%s); assuming one from now", rule.store, type(error).__name__
        )
        return erased_at
