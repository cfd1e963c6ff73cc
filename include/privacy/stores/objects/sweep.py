"""The sweep: parts in, batches out, holds re-checked and evidence written for each batch."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from include.privacy.planning.models import HoldGate, Holds, Outcome
from include.privacy.stores.objects.model import (
    BatchLog,
    Deletion,
    ObjectBucket,
    ObjectVersion,
    Part,
    Protection,
    Tally,
)
from include.privacy.stores.objects.pages import ahead

log = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_PAUSE_S = 0.2


def holds_collection(holds: Holds, store: str, collection: str) -> bool:
    """Whether a legal hold covers the store or this prefix, named with or without its last slash."""
    held = holds.tables(store)
    return holds.covers_store(store) or collection in held or collection.rstrip("/") in held


class Sweep:
    """Deletes what it is fed, in full batches across people, and counts what became of it.

    A dry run goes the same way up to the call that deletes. Memory does not grow with the number
    of objects deleted, only (a few bytes each) with that of held or refused ones.
    ``held_back`` are people whom another store had to keep: they are treated as held here.
    """

    def __init__(
        self,
        store: str,
        bucket: ObjectBucket,
        gate: HoldGate,
        plan_id: UUID,
        *,
        batch_log: BatchLog | None = None,
        dry_run: bool = False,
        held_back: frozenset[str] = frozenset(),
        progress: Callable[[int, int], None] | None = None,
        expected: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.tallies: dict[str, Tally] = {}
        self.deferred: set[str] = set()
        self._held_subjects: set[str] = set()
        self._kept: set[int] = set()
        self._batches = 0
        self._longest_s = 0.0
        self._store, self._bucket, self._gate, self._plan_id = store, bucket, gate, plan_id
        self._log, self._dry_run, self._held_back = batch_log, dry_run, held_back
        self._progress, self._expected, self._sleep = progress, expected, sleep
        # Distinct numbers for every execution of a plan: a resumed run, or a second copy of the
        # task, must not overwrite the evidence of the first.
        self._number = secrets.randbelow(1 << 15) << 16

    def run(self, parts: Iterable[Part]) -> int:
        """Sweep the parts while listing ahead; returns how many objects were found to delete."""
        batch: list[Part] = []
        room, found = self._bucket.batch_size, 0
        for part in ahead(parts):
            todo = self._not_yet_kept(part)
            self.tally(part.collection).matched += len(todo)
            found += len(todo)
            while todo:
                taken, todo = todo[:room], todo[room:]
                batch.append(part._replace(objects=taken))
                room -= len(taken)
                if room == 0:
                    self._delete(batch)
                    batch, room = [], self._bucket.batch_size
        if batch:
            self._delete(batch)
        return found

    def tally(self, collection: str) -> Tally:
        """The counts of a collection so far."""
        return self.tallies.setdefault(collection, Tally())

    def holds_now(self, collection: str) -> bool:
        """Whether the whole collection is held at this moment, so that listing it is no use."""
        with self._gate() as holds:
            return holds_collection(holds, self._store, collection)

    def outcome(self, seconds: float) -> Outcome:
        """The counts per collection, and what was refused, by reason."""
        outcome = Outcome(
            self._store,
            held_subjects=len(self._held_subjects),
            chunks=self._batches,
            longest_transaction_s=self._longest_s,
            seconds=seconds,
        )
        for collection, tally in self.tallies.items():
            outcome.matched[collection] = tally.matched
            outcome.removed[collection] = tally.removed
            if tally.held:
                outcome.kept[collection] = f"legal hold: {tally.held} objects"
            outcome.blocked.extend(f"{collection}: {line}" for line in tally.reasons())
        return outcome

    def _not_yet_kept(self, part: Part) -> Sequence[ObjectVersion]:
        if not self._kept:
            return part.objects
        return [o for o in part.objects if o.mark not in self._kept]

    def _delete(self, parts: list[Part]) -> None:
        number = self._number + self._batches
        self._batches += 1
        count = sum(len(part.objects) for part in parts)
        before = sum(t.removed for t in self.tallies.values())
        if self._log and not self._dry_run:
            self._log.record_batch_intent(self._plan_id, number, count)
        for attempt in range(1, ATTEMPTS + 1):
            parts = self._attempt(parts, last=attempt == ATTEMPTS)
            if not parts:
                break
            # Outside the gate: a hold that somebody places now must not wait for our pause.
            self._sleep(FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))
        removed = sum(t.removed for t in self.tallies.values()) - before
        if self._log and not self._dry_run:
            self._log.record_batch_done(self._plan_id, number, removed, count - removed)
        if self._progress:
            self._progress(sum(t.matched for t in self.tallies.values()), self._expected)
        log.debug("%s: batch of %d objects, %d removed", self._store, count, removed)

    def _attempt(self, parts: list[Part], *, last: bool) -> list[Part]:
        """One call under the hold gate; returns what is worth another."""
        started = time.monotonic()
        with self._gate() as holds:
            free = [part for part in parts if not self._keep_if_held(part, holds)]
            if not free or self._dry_run:
                return []
            result = self._bucket.delete([o for part in free for o in part.objects])
        self._longest_s = max(self._longest_s, time.monotonic() - started)
        for part in free:
            self.tally(part.collection).removed += len(part.objects)
        return self._settle(free, result, last=last) if result.refused or result.again else []

    def _settle(self, parts: list[Part], result: Deletion, *, last: bool) -> list[Part]:
        owner = {o.mark: part for part in parts for o in part.objects}
        refused = list(result.refused)
        if last:
            refused += [
                (o, Protection(f"still {code} after {ATTEMPTS} attempts")) for o, code in result.again
            ]
        for found, protection in refused:
            part = owner[found.mark]
            tally = self.tally(part.collection)
            tally.removed -= 1
            tally.refuse(protection)
            self._kept.add(found.mark)
            if part.subject is not None:
                self.deferred.add(part.subject)
        if last:
            return []
        again: dict[int, Part] = {}
        for found, _ in result.again:
            part = owner[found.mark]
            self.tally(part.collection).removed -= 1
            known = again.get(id(part), part._replace(objects=[]))
            again[id(part)] = known._replace(objects=[*known.objects, found])
        return list(again.values())

    def _keep_if_held(self, part: Part, holds: Holds) -> bool:
        held_person = part.subject is not None and (
            part.subject in holds.subjects or part.subject in self._held_back
        )
        if not held_person and not holds_collection(holds, self._store, part.collection):
            return False
        self.tally(part.collection).held += len(part.objects)
        self._kept.update(o.mark for o in part.objects)
        if part.subject is not None:
            self.deferred.add(part.subject)
            self._held_subjects.add(part.subject)
        return True
