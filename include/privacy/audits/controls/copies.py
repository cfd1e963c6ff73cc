"""Whether every backup set has a young copy in another region or another cloud (P4.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from include.privacy import cloud_clients
from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, holds
from include.privacy.policy.bucket_map import BackupPrefix, BucketMap
from include.privacy.runtime import runtime

CODE = "second_copy"


@dataclass(frozen=True)
class Copy:
    """One place of a backup set. ``newest``: when what its youngest backup holds was captured."""

    store: str
    cloud: str
    region: str
    newest: datetime | None


def probes(as_of: datetime) -> Iterator[Probe]:
    """One for each set: what is backed up, wherever its archives are."""
    sets: dict[str, list[tuple[BucketMap, BackupPrefix]]] = {}
    for store in runtime().config().data_map.stores:
        if isinstance(store, BucketMap):
            for backup in store.backups:
                sets.setdefault(backup.backup_of, []).append((store, backup))
    for name, places in sets.items():
        yield Probe(CODE, name, partial(_look, places, as_of))


def judge(copies: Sequence[Copy], as_of: datetime, max_age: timedelta) -> Judgement:
    """Two places with a young backup, in different regions or clouds."""
    facts = {
        each.store: {
            "where": f"{each.cloud} {each.region}",
            "newest": each.newest.isoformat() if each.newest else None,
        }
        for each in copies
    }
    young = [each for each in copies if each.newest and as_of - each.newest <= max_age]
    places = {(each.cloud, each.region) for each in young}
    if len(places) >= 2:
        return holds(f"young backups are in {', '.join(' '.join(p) for p in sorted(places))}", **facts)
    if len({(each.cloud, each.region) for each in copies}) < 2:
        return broken(
            "all backups are in one region",
            "copy them to another region or cloud, and map that bucket",
            **facts,
        )
    old = [each.store for each in copies if each not in young]
    return broken(
        f"no backup younger than {max_age.days} days in {', '.join(old)}",
        "repair the job that makes or copies them",
        **facts,
    )


def _look(places: Sequence[tuple[BucketMap, BackupPrefix]], as_of: datetime) -> Judgement:
    from include.privacy.stores.at_rest import gcs_settings, s3_location

    copies = []
    for store, backup in places:
        if store.kind == "s3":
            cloud, region = "AWS", s3_location(runtime().aws("s3", store.connection), store.bucket)
        else:
            client = cloud_clients.gcs(runtime().connection(store.connection))
            cloud, region = "Google Cloud", gcs_settings(client, store.bucket).location
        newest = runtime().bucket(store.store).newest_capture(backup.prefix)
        copies.append(Copy(store.store, cloud, region, newest))
    return judge(copies, as_of, timedelta(days=runtime().config().controls.copies.max_age_days))
