"""The replay of a restored copy, as after a real restore, step by step in one task."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from include.privacy.replay import applying, concluding, erasing, targets
from include.privacy.replay.targets import Target
from include.privacy.runtime import runtime
from include.privacy.steps import executing
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import erasure_stores

KIND = "drill_replay"
"""Kind of the ledger's run: a real replay must never go on with a drill's plans, nor a drill with its."""


def replay(ledger_run: str, drill_id: UUID, restored: Mapping[str, str], captured_at: datetime) -> None:
    """Apply to the copies what they do not know. They are not opened to the platform: they will be dropped.

    Raises :class:`include.privacy.steps.runs.FindingError` when they were not closed, or something is left.
    """
    outer, config = read_run(ledger_run), runtime().config()
    chosen = [
        Target(store=store, connection=restored[store], captured_at=captured_at.isoformat())
        for store in erasure_stores()
        if store in restored
    ]
    key = sha256(f"drill {drill_id}\n{outer.key}".encode()).hexdigest()
    run = str(
        runtime().ledger().open_run(KIND, key, outer.as_of, False, config.policy.version, config.digest)
    )
    targets.admit(run, chosen)
    items = erasing.freeze(run, chosen)
    for item in items:
        erasing.plan(run, chosen, **item)
    cleared = erasing.complete(items)
    for shard in executing.shards(cleared):
        erasing.execute(run, chosen, **shard)
    for shard in erasing.release_roots(run, chosen, cleared):
        erasing.execute(run, chosen, **shard)
    applied = [applying.apply(run, chosen, **each) for each in applying.databases(chosen)]
    for look in erasing.probes(run, chosen, cleared):
        erasing.probe(run, chosen, **look)
    concluding.conclude(run, chosen, items, applied, opening=False)
