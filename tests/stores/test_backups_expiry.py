"""Which objects expire: against a brute-force reading of the rules, on random buckets in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.planning.models import Holds, PlanError
from include.privacy.stores.objects.capture import CaptureTimes, archive_folder, key_date, manifest_time
from include.privacy.stores.objects.guards import require_cutoff, require_prefix
from include.privacy.stores.objects.lifecycle import wanted_lifecycle
from include.privacy.stores.objects.model import (
    BucketError,
    BucketPolicy,
    Deletion,
    Details,
    Kind,
    ObjectVersion,
    Protection,
)
from include.privacy.stores.objects.store import ObjectStore
from tests.stores.buckets import BACKUPS, Gate, Log, MemoryBucket, backup_map, days, rule, version

AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
CUTOFF = AS_OF - days(170)


def folder(day: datetime) -> str:
    return f"{BACKUPS}{day:%Y-%m-%dT%H%M%SZ}/"


def stated(moment: datetime) -> bytes:
    return json.dumps({"captured_at": moment.isoformat()}).encode()


def run(memory: MemoryBucket, **settings: object) -> tuple[ObjectStore, object]:
    store = ObjectStore(backup_map("memory", **settings), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    return store, store.execute(plan, None, Gate())


# Random buckets.

ages = st.sampled_from([1.0, 100.0, 169.9, 170.0, 170.1, 179.0, 200.0, 400.0])
entries = st.lists(
    st.tuples(
        st.sampled_from(["f1", "f2", "flat"]),
        st.sampled_from(["a.dump", "b.dump", "manifest.json"]),
        ages,
        st.sampled_from([Kind.version, Kind.version, Kind.marker, Kind.upload]),
    ),
    max_size=14,
)


def build(drawn: list[tuple[str, str, float, Kind]], manifests: dict[str, float | None]) -> MemoryBucket:
    memory = MemoryBucket(page=2, batch=3)
    for where, name, age, kind in drawn:
        place = "" if where == "flat" else f"{where}/"
        memory.entries.append(version(f"{BACKUPS}{place}{name}", AS_OF - days(age), kind))
    for where, age in manifests.items():
        key = f"{BACKUPS}{where}/manifest.json"
        memory.manifests[key] = b"{}" if age is None else stated(AS_OF - days(age))
    return memory


def captured(found: ObjectVersion, memory: MemoryBucket) -> datetime:
    """The rule read plainly: the manifest, if it is there and states a time, else LastModified."""
    parts = found.key.removeprefix(BACKUPS).split("/")
    if len(parts) == 2:
        text = memory.read(f"{BACKUPS}{parts[0]}/manifest.json", 999)
        time = manifest_time(text) if text else None
        if time:
            return min(time, found.modified)
    return found.modified


def expected(memory: MemoryBucket) -> list[ObjectVersion]:
    """What must be left: data not yet due, the manifest of any, markers over any."""
    alive = [
        o for o in memory.entries if o.kind in (Kind.version, Kind.upload) and captured(o, memory) > CUTOFF
    ]
    data = {o.key for o in alive if o.kind is Kind.version}
    return alive + [o for o in memory.entries if o.kind is Kind.marker and o.key in data]


@given(entries, st.dictionaries(st.sampled_from(["f1", "f2"]), st.none() | ages))
def test_expiry_leaves_exactly_what_is_not_due(
    drawn: list[tuple[str, str, float, Kind]], manifests: dict[str, float | None]
) -> None:
    memory = build(drawn, manifests)
    # Data beside a manifest share its age here; keeping a due manifest for its archive has its own test.
    wanted = {o.mark for o in expected(memory)}
    total = len(memory.entries)
    store = ObjectStore(backup_map("memory", key_date=None), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    outcome = store.execute(plan, None, Gate())
    left = {o.mark for o in memory.entries}
    kept_manifests = {
        o.mark for o in memory.entries if o.mark not in wanted and o.key.endswith("/manifest.json")
    }
    assert left - kept_manifests == wanted
    for found in memory.entries:
        if found.mark in kept_manifests:
            # A due manifest stays only with an archive that is not due.
            beside = found.key.removesuffix("manifest.json")
            assert any(o.key.startswith(beside) and o.mark in wanted for o in memory.entries)
    assert outcome.removed.get(BACKUPS, 0) == total - len(left)
    assert store.execute(plan, None, Gate()).removed.get(BACKUPS, 0) == 0


@given(entries, st.dictionaries(st.sampled_from(["f1", "f2"]), st.none() | ages), st.integers(1, 6))
def test_a_crash_at_any_batch_changes_nothing_in_the_end(
    drawn: list[tuple[str, str, float, Kind]], manifests: dict[str, float | None], crash_at: int
) -> None:
    memory, undisturbed = build(drawn, manifests), build(drawn, manifests)
    run(undisturbed, key_date=None)
    store = ObjectStore(backup_map("memory", key_date=None), memory, Log())
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)

    def crash(batch: Sequence[ObjectVersion]) -> Deletion | None:
        if memory.calls == crash_at:
            raise KeyboardInterrupt
        return None

    memory.on_delete = crash
    try:
        store.execute(plan, None, Gate())
    except KeyboardInterrupt:
        store.execute(plan, None, Gate())
    names = sorted((o.key, o.modified, o.kind) for o in memory.entries)
    assert names == sorted((o.key, o.modified, o.kind) for o in undisturbed.entries)


@given(entries, st.dictionaries(st.sampled_from(["f1", "f2"]), st.none() | ages))
def test_a_plan_counts_what_execution_removes(
    drawn: list[tuple[str, str, float, Kind]], manifests: dict[str, float | None]
) -> None:
    memory = build(drawn, manifests)
    store = ObjectStore(backup_map("memory", key_date=None), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    dry = store.execute(plan, None, Gate(), dry_run=True)
    assert dry.removed.get(BACKUPS, 0) == 0
    assert plan.population == len(memory.entries)
    live = store.execute(plan, None, Gate())
    assert plan.matched == dry.matched[BACKUPS] == live.removed[BACKUPS] == live.matched[BACKUPS]
    assert store.probe(plan, None).clean


# Capture times.


@pytest.mark.parametrize(
    ("shift", "due"),
    [(timedelta(0), True), (timedelta(microseconds=1), False), (timedelta(microseconds=-1), True)],
)
def test_an_object_is_due_exactly_at_the_cutoff(shift: timedelta, due: bool) -> None:
    archive = version(f"{BACKUPS}x/a.dump", CUTOFF + shift)
    memory = MemoryBucket([archive])
    run(memory)
    assert (archive not in memory.entries) is due


@pytest.mark.parametrize(
    ("manifest", "metadata", "in_key", "age"),
    [
        (200, 150, 140, 200),
        (None, 150, 140, 150),
        (None, None, 140, 140),
        (None, None, None, 10),
        (5, None, None, 10),  # nothing is captured after it was stored
    ],
)
def test_capture_time_is_manifest_then_metadata_then_key_then_last_modified(
    manifest: int | None, metadata: int | None, in_key: int | None, age: int
) -> None:
    def ago(count: int) -> datetime:
        return AS_OF - days(count)

    place = folder(ago(in_key)) if in_key else f"{BACKUPS}undated/"
    details = Details({"captured-at": ago(metadata).isoformat()} if metadata else {})
    found = version(f"{place}a.dump", ago(10), details=details)
    memory = MemoryBucket([found, version(f"{place}manifest.json", ago(10))])
    if manifest:
        memory.manifests[f"{place}manifest.json"] = stated(ago(manifest))
    assert CaptureTimes(memory, backup_map("memory").backups[0]).of([found]) == [ago(age)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'{"captured_at": 5}',
        b'{"captured_at": "2026-01-01"}',
        b"\xff\xfe",
        b"{}",
    ],
)
def test_an_unreadable_manifest_is_told_and_the_next_witness_asked(data: bytes) -> None:
    place = folder(AS_OF - days(200))
    memory = MemoryBucket([version(f"{place}a.dump", AS_OF), version(f"{place}manifest.json", AS_OF)])
    memory.manifests[f"{place}manifest.json"] = data
    store = ObjectStore(backup_map("memory"), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    assert plan.matched == 2
    assert plan.notes == (
        f"1 manifests under {BACKUPS} state no usable captured_at; the next source was used",
    )


def test_naive_metadata_is_no_witness() -> None:
    found = version(f"{BACKUPS}x/a", AS_OF, details=Details({"captured-at": "2020-01-01T00:00:00"}))
    assert CaptureTimes(MemoryBucket([found]), backup_map("memory").backups[0]).of([found]) == [AS_OF]


def test_the_archive_folder_is_as_deep_as_the_key_date() -> None:
    deep = backup_map("memory", key_date=BACKUPS + "%Y/%m/%d/").backups[0]
    assert archive_folder(deep, BACKUPS + "2026/05/01/sub/a.dump") == BACKUPS + "2026/05/01/"
    assert key_date(deep, BACKUPS + "2026/05/01/sub/a.dump") == datetime(2026, 5, 1, tzinfo=UTC)
    assert archive_folder(deep, BACKUPS + "2026/a.dump") is None
    assert key_date(deep, BACKUPS + "2026/13/01/a.dump") is None
    bare = backup_map("memory", key_date=BACKUPS + "%Y-%m-%d.dump").backups[0]
    assert key_date(bare, BACKUPS + "2026-05-01.dump") == datetime(2026, 5, 1, tzinfo=UTC)
    assert key_date(bare, BACKUPS + "2026-05-01.dump.part") is None


def test_a_manifest_outlives_the_archive_that_a_lock_keeps() -> None:
    place = folder(AS_OF)
    archive, manifest = version(f"{place}z.dump", AS_OF), version(f"{place}manifest.json", AS_OF)
    memory = MemoryBucket([archive, manifest])
    memory.manifests[manifest.key] = stated(AS_OF - days(300))
    memory.on_delete = lambda batch: Deletion(
        refused=[(o, Protection("lock")) for o in batch if o == archive]
    )
    store, outcome = run(memory)
    assert memory.entries == [archive, manifest]
    assert outcome.blocked == [f"{BACKUPS}: 1 objects: lock"]
    assert store.overdue(rule(), as_of=AS_OF, holds=Holds()).count == 2


# Guards.


@pytest.mark.parametrize(
    "prefix", [None, "", " ", "/", "backups", "backups/../", "../", "backups//", "{subject}/"]
)
def test_a_blank_or_odd_prefix_deletes_nothing(prefix: str | None) -> None:
    with pytest.raises(PlanError):
        require_prefix(prefix)
    memory = MemoryBucket([version(f"{BACKUPS}x/a", AS_OF - days(400))])
    store = ObjectStore(backup_map("memory"), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    params = {"cutoff": plan.params["cutoff"]} | ({} if prefix is None else {"prefix": prefix})
    with pytest.raises(PlanError, match="prefix"):
        store.execute(plan.model_copy(update={"params": params}), None, Gate())
    assert memory.calls == 0


def test_a_prefix_that_the_map_does_not_name_is_refused() -> None:
    store = ObjectStore(backup_map("memory"), MemoryBucket())
    with pytest.raises(PlanError, match="no backup prefix 'backups/'"):
        store.plan_expiry(rule(prefix="backups/"), uuid4(), as_of=AS_OF)


@pytest.mark.parametrize(
    "cutoff",
    [None, "", "soon", "2026-01-01", "2026-01-01T00:00:00", AS_OF.isoformat(), (AS_OF + days(1)).isoformat()],
)
def test_a_missing_naive_or_future_cutoff_deletes_nothing(cutoff: str | None) -> None:
    memory = MemoryBucket([version(f"{BACKUPS}x/a", AS_OF - days(400))])
    store = ObjectStore(backup_map("memory"), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    params = {"prefix": BACKUPS} | ({} if cutoff is None else {"cutoff": cutoff})
    with pytest.raises(PlanError, match="cutoff"):
        store.execute(plan.model_copy(update={"params": params}), None, Gate())
    assert memory.calls == 0


def test_naive_times_are_refused() -> None:
    with pytest.raises(PlanError):
        require_cutoff(datetime(2026, 1, 1), AS_OF)  # noqa: DTZ001
    store = ObjectStore(backup_map("memory"), MemoryBucket())
    with pytest.raises(ValueError, match="time zone"):
        store.plan_expiry(rule(), uuid4(), as_of=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("held", ["archive.backups/accounts/", "archive.backups/accounts"])
def test_a_held_collection_keeps_its_backups_and_they_count_as_held(held: str) -> None:
    memory = MemoryBucket([version(f"{BACKUPS}x/a", AS_OF - days(400))])
    store = ObjectStore(backup_map("memory"), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    outcome = store.execute(plan, None, Gate(collections=frozenset({held})))
    assert memory.calls == 0
    assert outcome.kept == {BACKUPS: "legal hold on the collection or store"}
    behind = store.overdue(rule(), as_of=AS_OF, holds=Holds(collections=frozenset({held})))
    assert (behind.count, behind.held, behind.gone.held) == (0, 1, 1)
    assert not store.probe(plan, None).clean
    assert store.probe(plan, None, holds=Holds(collections=frozenset({held}))).clean


def test_a_listing_that_fails_half_way_fails_the_run_after_what_was_recorded() -> None:
    memory = MemoryBucket([version(f"{BACKUPS}x/{n}", AS_OF - days(400)) for n in range(9)])
    log = Log()
    store = ObjectStore(backup_map("memory"), memory, log)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    whole = memory.versions

    def broken(prefix: str) -> Iterator[list[ObjectVersion]]:
        yield next(whole(prefix))
        raise BucketError("bucket 'memory': listing versions failed with InternalError")

    memory.versions = broken  # type: ignore[method-assign]
    with pytest.raises(BucketError, match="listing versions failed"):
        store.execute(plan, None, Gate())
    memory.versions = whole  # type: ignore[method-assign]
    store.execute(plan, None, Gate())
    assert not memory.entries
    assert sum(removed for removed, _ in log.done.values()) == 9


# Foresight and the two clocks.


def notes(memory: MemoryBucket, target: int = 170) -> list[str]:
    store = ObjectStore(backup_map("memory"), memory)
    return list(store.plan_expiry(rule(target), uuid4(), as_of=AS_OF).notes)


def protected(age: float, protection: Protection | None) -> ObjectVersion:
    return version(f"{BACKUPS}x/{age}", AS_OF - days(age), details=Details({}, protection))


def test_a_lock_that_ends_after_the_limit_is_told_before_it_is_a_breach() -> None:
    memory = MemoryBucket(
        [
            protected(10, Protection("Object Lock COMPLIANCE", AS_OF + days(200))),
            protected(20, Protection("Object Lock COMPLIANCE", AS_OF + days(300))),
            protected(30, Protection("Object Lock COMPLIANCE", AS_OF + days(100))),
            protected(40, Protection("S3 legal hold")),
            protected(50, None),
        ]
    )
    memory.settings = BucketPolicy(protects=True)
    assert notes(memory) == [
        f"2 objects under {BACKUPS} will outlive the promise on {AS_OF + days(160):%Y-%m-%d} because "
        f"Object Lock COMPLIANCE until {AS_OF + days(300):%Y-%m-%d}",
        f"1 objects under {BACKUPS} will outlive the promise on {AS_OF + days(140):%Y-%m-%d} because "
        "S3 legal hold until it is lifted",
    ]


@pytest.mark.parametrize(("late", "told"), [(0, 0), (1, 1)])
def test_a_lock_that_ends_exactly_at_the_limit_is_no_breach(late: int, told: int) -> None:
    memory = MemoryBucket([protected(10, Protection("lock", AS_OF + days(170) + timedelta(seconds=late)))])
    memory.settings = BucketPolicy(protects=True)
    assert len(notes(memory)) == told


def test_soft_delete_counts_into_the_limit() -> None:
    memory = MemoryBucket(
        [
            protected(174, None),
            protected(172, None),
            version(f"{BACKUPS}x/s", AS_OF - days(179), Kind.soft_deleted, gone_at=AS_OF + days(3)),
        ]
    )
    memory.settings = BucketPolicy(protects=True, undelete=days(7))
    assert notes(memory, target=178) == [
        "target moved from 178 to 173 days: soft delete keeps deleted objects 7 days and counts into the 180",
        f"2 objects under {BACKUPS} will outlive the promise on {AS_OF + days(1):%Y-%m-%d} because "
        f"soft delete keeps it restorable until {AS_OF + days(7):%Y-%m-%d}",
    ]
    plan = ObjectStore(backup_map("memory"), memory).plan_expiry(rule(178), uuid4(), as_of=AS_OF)
    assert plan.params["cutoff"] == (AS_OF - days(173)).isoformat()
    assert plan.matched == 1


def test_a_bucket_that_keeps_everything_longer_than_promised_is_told() -> None:
    memory = MemoryBucket()
    memory.settings = BucketPolicy(
        retention=days(200), retention_reason="the locked retention policy of the bucket"
    )
    assert notes(memory) == [
        f"every new object under {BACKUPS} will outlive the promise because the locked retention policy "
        "of the bucket keeps it 200 days, the promise allows 180"
    ]


def test_a_soft_delete_as_long_as_the_limit_can_not_be_planned() -> None:
    memory = MemoryBucket()
    memory.settings = BucketPolicy(undelete=days(180))
    with pytest.raises(PlanError, match="cutoff"):
        notes(memory)


def test_overdue_has_two_clocks() -> None:
    def old(age: float, kind: Kind) -> ObjectVersion:
        return version(f"{BACKUPS}x/{age}", AS_OF - days(age), kind)

    memory = MemoryBucket(
        [
            old(180, Kind.version),
            old(181, Kind.version),
            old(182, Kind.upload),
            old(190, Kind.soft_deleted),
            old(500, Kind.marker),
            old(-1, Kind.version),
        ]
    )
    behind = ObjectStore(backup_map("memory"), memory).overdue(rule(), as_of=AS_OF, holds=Holds())
    assert (behind.count, behind.oldest, behind.in_future) == (2, days(2), 1)
    assert (behind.gone.count, behind.gone.oldest) == (3, days(10))


def test_the_span_of_captures_tells_when_residue_is_gone() -> None:
    memory = MemoryBucket([version(f"{BACKUPS}x/{n}", AS_OF - days(n)) for n in (3, 9, 5)])
    store = ObjectStore(backup_map("memory"), memory)
    assert store.oldest_capture(BACKUPS) == AS_OF - days(9)
    assert store.newest_capture(BACKUPS) == AS_OF - days(3)
    assert ObjectStore(backup_map("memory"), MemoryBucket()).newest_capture(BACKUPS) is None


@pytest.mark.parametrize("target", range(1, 180))
def test_the_wanted_lifecycle_ends_before_the_limit_and_not_before_the_target(target: int) -> None:
    wanted = wanted_lifecycle(rule(target), target)
    assert wanted.expire + wanted.noncurrent + 2 <= 180
    assert wanted.expire >= min(target, 177)
    assert wanted.noncurrent >= 1


def test_probing_counts_what_is_still_due() -> None:
    memory = MemoryBucket([version(f"{BACKUPS}x/a", AS_OF - days(400)), version(f"{BACKUPS}y/a", AS_OF)])
    store = ObjectStore(backup_map("memory"), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    assert store.probe(plan, None).remaining == {BACKUPS: 1}
    store.execute(plan, None, Gate())
    assert store.probe(plan, None).clean


def test_progress_is_told_after_each_batch() -> None:
    memory = MemoryBucket([version(f"{BACKUPS}x/{n}", AS_OF - days(400)) for n in range(5)])
    store = ObjectStore(backup_map("memory"), memory)
    plan = store.plan_expiry(rule(), uuid4(), as_of=AS_OF)
    seen: list[tuple[int, int]] = []
    note: Callable[[int, int], None] = lambda done, total: seen.append((done, total))  # noqa: E731
    store.execute(plan, None, Gate(), progress=note)
    assert seen[-1] == (5, 5)
    assert len(seen) == 3
