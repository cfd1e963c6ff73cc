"""A bucket as a store: the face that use cases see, the same for S3 and Google Cloud Storage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from include.privacy.clock import cutoff, parse_instant, require_utc
from include.privacy.planning.models import (
    Cohort,
    HoldGate,
    Holds,
    Outcome,
    Plan,
    PlanError,
    ProbeResult,
    Step,
    Verb,
)
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.policy import ObjectAgeRule
from include.privacy.stores.objects import guards, overdue
from include.privacy.stores.objects.capture import CaptureTimes
from include.privacy.stores.objects.content import Content, data_first, lone_markers, shards_for
from include.privacy.stores.objects.expiry import Expiry
from include.privacy.stores.objects.export import BucketExport
from include.privacy.stores.objects.foresight import conflicts, effective_target, foresee
from include.privacy.stores.objects.lifecycle import wanted_lifecycle
from include.privacy.stores.objects.model import BatchLog, BucketError, LifecycleReport, ObjectBucket
from include.privacy.stores.objects.overdue import CaptureSpan, ObjectOverdue
from include.privacy.stores.objects.sweep import Sweep, holds_collection

_LOOKS = 4
_POPULATION_PER_SUBJECT = 1_000


class ObjectStore:
    """Plans, executes and probes in one bucket.

    ``batch_log`` (the ledger) gets every batch's intent before it and its result after it.
    Deletions name a version, so that repeating them, or running two copies at once, does no harm.
    """

    def __init__(
        self, bucket_map: BucketMap, bucket: ObjectBucket, batch_log: BatchLog | None = None
    ) -> None:
        self.map = bucket_map
        self.name = bucket_map.store
        self._bucket = bucket
        self._log = batch_log
        self._deferred: dict[UUID, set[str]] = {}

    def plan_erasure(self, cohort: Cohort, plan_id: UUID, *, as_of: datetime) -> Plan:
        """Counts all versions, markers and uploads of the cohort; a bucket without content plans nothing."""
        as_of = require_utc(as_of)
        steps, subjects, population = [], 0, 0
        try:
            for content in self.map.content:
                listing = Content(self._bucket, content)
                matched, people = listing.count(cohort)
                steps.append(Step(table=content.prefix, role="object", verb=Verb.delete, matched=matched))
                subjects = max(subjects, people)
                population = max(
                    population, people, listing.population(_POPULATION_PER_SUBJECT * max(people, 1))
                )
        except BucketError as error:
            raise PlanError(f"store {self.name!r}: {error}") from error
        return Plan(
            id=plan_id,
            cohort_id=cohort.id,
            store=self.name,
            action="erase",
            as_of=as_of,
            groups=tuple((step,) for step in steps),
            shards=shards_for(cohort.size) if steps else 1,
            subjects=subjects,
            population=population,
            matched=sum(step.matched for step in steps),
        )

    def plan_expiry(self, rule: ObjectAgeRule, plan_id: UUID, *, as_of: datetime) -> Plan:
        """Counts what is due under the rule's prefix and says what the bucket will keep too long."""
        as_of = require_utc(as_of)
        backup = guards.backup_prefix(self.map, rule.prefix)
        try:
            policy = self._bucket.policy()
            limit = guards.require_cutoff(cutoff(as_of, effective_target(rule, policy)), as_of)
            expiry = Expiry(self._bucket, backup, limit)
            count = expiry.count()
            notes = conflicts(rule, policy) + foresee(self._bucket, expiry.times, rule, policy, as_of)
        except BucketError as error:
            raise PlanError(f"store {self.name!r}: {error}") from error
        if expiry.times.unreadable:
            notes.append(
                f"{expiry.times.unreadable} manifests under {backup.prefix} state no usable captured_at; "
                "the next source was used"
            )
        return Plan(
            id=plan_id,
            cohort_id=None,
            store=self.name,
            action="expire_objects",
            rule=rule.id,
            as_of=as_of,
            groups=((Step(table=backup.prefix, role="object", verb=Verb.delete, matched=count.due),),),
            population=count.total,
            matched=count.due,
            params={"prefix": backup.prefix, "cutoff": limit.isoformat()},
            notes=tuple(notes),
        )

    def execute(
        self,
        plan: Plan,
        cohort: Cohort | None,
        gate: HoldGate,
        *,
        shard: int = 0,
        dry_run: bool = False,
        held_back: frozenset[str] = frozenset(),
        progress: Callable[[int, int], None] | None = None,
    ) -> Outcome:
        """Sweeps what the plan names. Raises ``PlanError`` before, ``BucketError`` while deleting.

        Refusals of single objects do not stop it: they are counted by reason in ``blocked``.
        """
        if plan.store != self.name:
            raise PlanError(
                f"plan {plan.id} is for store {plan.store!r}, not {self.name!r}; nothing was deleted"
            )
        started = time.monotonic()
        sweep = Sweep(
            self.name,
            self._bucket,
            gate,
            plan.id,
            batch_log=self._log,
            dry_run=dry_run,
            held_back=held_back,
            progress=progress,
            expected=plan.matched,
        )
        held = {step.table for step in plan.steps if sweep.holds_now(step.table)}
        if plan.action == "expire_objects":
            self._expire(plan, sweep, held, dry_run=dry_run)
        else:
            self._erase(plan, cohort, sweep, held, shard, dry_run=dry_run)
        self._deferred.setdefault(plan.id, set()).update(sweep.deferred)
        outcome = sweep.outcome(time.monotonic() - started)
        for step in plan.steps:
            if step.table in held:
                outcome.matched[step.table] = step.matched if shard == 0 else 0
                outcome.kept[step.table] = "legal hold on the collection or store"
        return outcome

    def _expire(self, plan: Plan, sweep: Sweep, held: set[str], *, dry_run: bool) -> None:
        backup = guards.backup_prefix(self.map, plan.params.get("prefix"))
        limit = guards.require_cutoff(_instant(plan.params.get("cutoff")), plan.as_of)
        if backup.prefix in held:
            return
        expiry = Expiry(self._bucket, backup, limit)
        sweep.run(expiry.first_look())
        for _ in range(_LOOKS if not dry_run else 0):
            if not sweep.run(expiry.second_look()):
                return
        if dry_run:
            tally = sweep.tally(backup.prefix)
            tally.matched = expiry.count().due

    def _erase(
        self, plan: Plan, cohort: Cohort | None, sweep: Sweep, held: set[str], shard: int, *, dry_run: bool
    ) -> None:
        contents = {c.prefix: c for c in self.map.content}
        if unknown := [s.table for s in plan.steps if s.table not in contents]:
            raise PlanError(
                f"plan {plan.id} names prefixes that the data map of {self.name!r} does not: {unknown}"
            )
        if cohort is None:
            raise PlanError(f"plan {plan.id} acts on people, but no cohort was given; nothing was deleted")
        policy = self._bucket.policy()
        locks = policy.protects and policy.markers
        for step in plan.steps:
            if step.table in held:
                self._deferred.setdefault(plan.id, set()).update(m.key for m in cohort.members())
                continue
            listing = Content(self._bucket, contents[step.table], look_again=locks)
            parts = listing.parts(cohort, shard=shard, shards=plan.shards)
            found = sweep.run(data_first(parts) if locks and not dry_run else parts)
            for _ in range(_LOOKS):
                if dry_run or not found:
                    break
                found = sweep.run(lone_markers(listing.second_look()))

    def probe(
        self,
        plan: Plan,
        cohort: Cohort | None,
        *,
        held_back: frozenset[str] = frozenset(),
        holds: Holds | None = None,
    ) -> ProbeResult:
        """Lists everything anew. ``held_back``: people whose objects may lawfully still be there;
        ``holds``: collections or stores that may.

        What soft delete keeps is not counted here but by :meth:`overdue`: nobody can read it, and
        nobody but an administrator restore it.
        """
        if plan.action == "expire_objects":
            backup = guards.backup_prefix(self.map, plan.params.get("prefix"))
            limit = guards.require_cutoff(_instant(plan.params.get("cutoff")), plan.as_of)
            if holds and holds_collection(holds, self.name, backup.prefix):
                return ProbeResult(self.name, 0, {backup.prefix: 0})
            return ProbeResult(self.name, 0, {backup.prefix: Expiry(self._bucket, backup, limit).count().due})
        if cohort is None:
            raise PlanError(f"plan {plan.id} acts on people, but no cohort was given")
        remaining: dict[str, int] = {}
        held: set[str] = set()
        for content in self.map.content:
            remaining[content.prefix] = 0
            for part in Content(self._bucket, content).parts(cohort):
                if part.subject in held_back or (
                    holds
                    and (part.subject in holds.subjects or holds_collection(holds, self.name, content.prefix))
                ):
                    held.add(part.subject or "")
                else:
                    remaining[content.prefix] += len(part.objects)
        return ProbeResult(self.name, cohort.size, remaining, len(held))

    def deferred(self, plan: Plan) -> frozenset[str]:
        """Subject keys of which this instance had to keep something: held, locked or refused."""
        return frozenset(self._deferred.get(plan.id, ()))

    def finish(self, plan: Plan) -> None:
        """Forgets the plan; a bucket has no working data of ours."""
        self._deferred.pop(plan.id, None)

    def overdue(self, rule: ObjectAgeRule, *, as_of: datetime, holds: Holds) -> ObjectOverdue:
        """What is past the limit: still readable, and (``.gone``) still restorable."""
        backup = guards.backup_prefix(self.map, rule.prefix)
        return overdue.measure(
            self._bucket,
            CaptureTimes(self._bucket, backup),
            backup.prefix,
            rule.limit_days,
            require_utc(as_of),
            held=holds_collection(holds, self.name, backup.prefix),
        )

    @contextmanager
    def export(self, cohort: Cohort, *, portable: bool = False) -> Iterator[BucketExport]:
        """See :class:`ExportStore`."""
        yield BucketExport(self.map, self._bucket, portable=portable)

    def folder_names(self, prefix: str) -> Iterator[str]:
        """The folders directly under a prefix: what the map is compared with.

        Names below a content prefix are personal; ask only above the mapped prefixes.
        """
        return self._bucket.folder_names(prefix)

    @property
    def bucket(self) -> ObjectBucket:
        """The bucket itself, for whoever looks into it without a plan."""
        return self._bucket

    def captures(self, prefix: str) -> CaptureSpan:
        """Oldest and newest capture time under a backup prefix."""
        backup = guards.backup_prefix(self.map, prefix)
        return overdue.span(self._bucket, CaptureTimes(self._bucket, backup), backup.prefix)

    def oldest_capture(self, prefix: str) -> datetime | None:
        """When the oldest backup was captured: the claim to check against the promise."""
        return self.captures(prefix).oldest

    def newest_capture(self, prefix: str) -> datetime | None:
        """When the newest backup was captured: plus the limit, it is when residue is gone for good."""
        return self.captures(prefix).newest

    def bucket_lifecycle(self, rule: ObjectAgeRule, *, apply: bool = False) -> LifecycleReport:
        """Compares the bucket's own lifecycle; applies ours where the map says ``lifecycle: manage``."""
        backup = guards.backup_prefix(self.map, rule.prefix)
        wanted = wanted_lifecycle(rule, effective_target(rule, self._bucket.policy()))
        return self._bucket.lifecycle(wanted, apply=apply and backup.lifecycle == "manage")


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise PlanError(f"cutoff of the plan: {error}; nothing was deleted") from None
