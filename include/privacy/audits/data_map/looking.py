"""The looks of an audit of the data map: one for each store and processor."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, TypedDict
from uuid import UUID

from include.privacy.audits.data_map import buckets, databases, processors
from include.privacy.audits.data_map.findings import CONTENT_CODES, MapFinding
from include.privacy.audits.findings import breach_rule
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grants import WORK_SCHEMA
from include.privacy.policy.live_prefixes import shown, unknown_folders
from include.privacy.policy.promised import breakable
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RunRow
    from include.privacy.stores.objects.sampling import ObjectSample

log = logging.getLogger(__name__)

CATALOGUE = "data_map_catalogue"
"""Kind of the evidence that has the types of a database's columns when its map was first looked at."""
SHOWN = 10
"""How many findings of one code a breach's note lists; the log has all."""


class MapLook(TypedDict):
    """One place to look at: what kind it is, and its name in ``config/``."""

    kind: str
    name: str


class UnreadError(RuntimeError):
    """A part of a store could not be looked at; what was found is recorded, and its alarms stay."""


@dataclass
class _Seen:
    """What a look found; ``unread`` names what it could not look at, and ``notes`` what is no alarm."""

    findings: list[MapFinding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sampled: int = 0


def list_map_looks() -> list[MapLook]:
    """Every store and processor that is mapped."""
    config = runtime().config()
    stores = [MapLook(kind=store.kind, name=store.store) for store in config.data_map.stores]
    return [*stores, *(MapLook(kind="processor", name=name) for name in config.processors)]


def look_at_map(ledger_run: str, kind: str, name: str) -> dict[str, int]:
    """Look at one place; returns how many findings there are by code, and how much was ``sampled``.

    Each promise that is broken by a code becomes a breach, and ends with the first look that no longer finds
    it; a dry run records nothing. Raises whatever keeps the place from being looked at, and
    :class:`UnreadError` for a part of it: then what it would have ended stays.
    """
    run = read_run(ledger_run)
    codes, find = _LOOKS[kind]
    seen = find(name, run)
    for finding in seen.findings:
        log.error("%s: %s: %s: %s", name, finding.promise, finding.code, finding)
    for note in seen.notes:
        log.info("%s: %s", name, note)
    if not run.dry_run:
        _record(ledger_run, kind, name, seen, codes, run.as_of)
    counts = Counter(finding.code for finding in seen.findings)
    log.info("%s: %d findings, %d values looked at", name, counts.total(), seen.sampled)
    if seen.unread:
        raise UnreadError(
            f"{name}: {len(seen.unread)} columns or prefixes could not be looked at; run the statements of "
            "`python -m include.privacy grants`, or give sampling.timeout_seconds more time: "
            + "; ".join(seen.unread[:SHOWN])
        )
    return {**counts, "sampled": seen.sampled}


def rules_of(look: MapLook) -> set[str]:
    """The breaches that a look may open or end, by the name that they have in the ledger."""
    codes, _ = _LOOKS[look["kind"]]
    return {breach_rule(p, code) for p in _promises(look["kind"], look["name"]) for code in codes}


def _promises(kind: str, name: str) -> frozenset[str]:
    config = runtime().config()
    own = {"s3": "P5.3", "gcs": "P5.4"}.get(kind)
    if kind == "processor":
        own = config.processors[name].promise
    return breakable(config.policy) | ({own} if own else set())


def _record(
    ledger_run: str, kind: str, name: str, seen: _Seen, codes: tuple[str, ...], as_of: datetime
) -> None:
    ledger = runtime().ledger()
    by_rule: dict[str, list[MapFinding]] = {}
    for finding in seen.findings:
        by_rule.setdefault(breach_rule(finding.promise, finding.code), []).append(finding)
    for promise in sorted(_promises(kind, name)):
        for code in codes:
            rule = breach_rule(promise, code)
            if findings := by_rule.get(rule):
                lines = [str(finding) for finding in findings[:SHOWN]]
                if len(findings) > SHOWN:
                    lines.append(f"and {len(findings) - SHOWN} more, in the log of the task")
                ledger.record_breach(UUID(ledger_run), rule, name, len(findings), None, "; ".join(lines))
            elif not (seen.unread and code in CONTENT_CODES):
                ledger.resolve_breaches(rule, name, as_of)


def _database(name: str, run: RunRow) -> _Seen:
    from include.privacy.stores.postgres.sampling import sample_tables
    from include.privacy.stores.postgres.schemas import schemas_with_tables

    config, policy = runtime().config(), runtime().config().policy
    mapped = config.data_map[name]
    if not isinstance(mapped, DatabaseMap):
        raise TypeError(f"store {name!r} is no database")
    dsn = runtime().dsn(mapped.connection)
    adapter = runtime().database(name)
    live = adapter.read_schema()
    beside = frozenset(
        s.schema_
        for s in config.data_map.stores
        if isinstance(s, DatabaseMap) and s.connection == mapped.connection
    )
    settings = policy.sampling
    samples = sample_tables(
        dsn,
        mapped.schema_,
        databases.to_sample(mapped, live),
        rows=settings.rows,
        timeout_s=settings.timeout_seconds,
    )
    now = databases.types_of(mapped, live)
    return _Seen(
        findings=[
            *databases.judge_schema(mapped, live, policy, config.documents.get(name)),
            *databases.judge_views(
                mapped, adapter.read_views(policy.purposes), policy, config.documents.get(name)
            ),
            *databases.judge_other_schemas(mapped, schemas_with_tables(dsn), beside, policy, WORK_SCHEMA),
            *databases.judge_types(mapped, _types_before(mapped, now, run), now, policy),
            *databases.judge_categories(mapped, policy),
            *databases.judge_names(mapped, live, frozenset(config.processors)),
            *databases.judge_contents(mapped, samples, policy),
        ],
        unread=databases.not_looked_at(mapped, samples),
        sampled=sum(tally.looked for sample in samples.values() for tally in sample.columns.values()),
    )


def _types_before(mapped: DatabaseMap, now: databases.Types, run: RunRow) -> databases.Types:
    """The types that this version of the map was written for: those of the first look at it.

    That look records them as evidence; a change of the map, whatever it is, begins anew.
    """
    version = sha256(mapped.model_dump_json(by_alias=True).encode()).hexdigest()
    ledger = runtime().ledger()
    for row in ledger.evidence(kind=CATALOGUE):
        if row.body.get("store") == mapped.store and row.body.get("map") == version:
            types: databases.Types = row.body["types"]
            return types
    if not run.dry_run:
        body = {"store": mapped.store, "map": version, "types": now}
        ledger.append_evidence(CATALOGUE, body, run_id=run.id)
    return now


def _bucket(name: str, run: RunRow, *, kind: str) -> _Seen:
    from include.privacy.stores.objects.model import BucketError
    from include.privacy.stores.objects.sampling import is_empty, sample

    policy = runtime().config().policy
    mapped, store = runtime().config().data_map[name], runtime().bucket(name)
    if not isinstance(mapped, BucketMap):
        raise TypeError(f"store {name!r} is no bucket of kind {kind}")
    unknown = unknown_folders(mapped, store.folder_names)
    seen = _Seen([*buckets.judge_folders(mapped, unknown), *buckets.judge_categories(mapped, policy)])
    samples: dict[str, ObjectSample] = {}
    for prefix in buckets.to_sample(mapped, unknown):
        try:
            samples[prefix] = sample(
                store.bucket, prefix, objects=policy.sampling.objects, size=policy.sampling.object_bytes
            )
        except BucketError:
            # Our role reaches mapped prefixes only; of an unknown one the alarm itself is enough.
            if prefix not in unknown:
                seen.unread.append(f"objects {shown(prefix)}")
    seen.findings += buckets.judge_contents(samples, policy)
    seen.sampled = sum(s.names.looked + s.contents.looked for s in samples.values())
    for each in (
        *(c.prefix.removesuffix("{subject}/") for c in mapped.content),
        *(a.prefix for a in mapped.aged),
    ):
        if is_empty(store.bucket, each):
            seen.notes.append(f"nothing lies under {each}")
    return seen


def _processor(name: str, run: RunRow) -> _Seen:
    config = runtime().config()
    return _Seen(list(processors.judge(config.processors[name], config.policy)))


_LOOKS: Mapping[str, tuple[tuple[str, ...], Callable[[str, RunRow], _Seen]]] = {
    "postgres": (databases.CODES, _database),
    "s3": (buckets.CODES, partial(_bucket, kind="s3")),
    "gcs": (buckets.CODES, partial(_bucket, kind="gcs")),
    "processor": (processors.CODES, _processor),
}
