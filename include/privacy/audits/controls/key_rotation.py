"""Whether the keys that encrypt what we keep are rotated (P7.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from include.privacy import cloud_clients
from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, exempt, holds
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.controls import CloudKey, OwnKey
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.stores.key_rotation import Rotation

CODE = "rotated_key"


def probes(as_of: datetime) -> Iterator[Probe]:
    """The key of each bucket that we write to, those that the config lists, and our own."""
    config = runtime().config()
    days = config.controls.keys.max_days
    for store in config.data_map.stores:
        if isinstance(store, BucketMap) and store.archives:
            yield Probe(CODE, f"key of {store.store}", partial(_of_store, store.connection, days))
    for key in config.controls.keys.cloud:
        yield Probe(CODE, key.key.rpartition("/")[2], partial(_cloud, key, days))
    for own in config.controls.keys.own:
        yield Probe(CODE, own.name, partial(judge_own, own, as_of, days))


def judge(found: Rotation, max_days: int) -> Judgement:
    """A key of a cloud's KMS."""
    if found.days is None:
        return broken("it is never rotated", f"switch rotation on, every {max_days} days or more often")
    if found.days > max_days:
        return broken(
            f"it is rotated every {found.days} days",
            f"rotate it every {max_days} days or more often",
            days=found.days,
        )
    return holds(f"it is rotated every {found.days} days", days=found.days, managed=found.managed_by_cloud)


def judge_own(key: OwnKey, as_of: datetime, max_days: int) -> Judgement:
    """A key that we made: the day on which that was is in the config."""
    due = key.made + timedelta(days=max_days)
    facts = {"made": key.made.isoformat(), "due": due.isoformat()}
    if as_of.date() > due:
        return broken(
            f"it was made on {key.made}, the next was due on {due}", "rotate it, and write the day", **facts
        )
    return holds(f"it was made on {key.made}; the next is due on {due}", **facts)


def _of_store(conn_id: str, max_days: int) -> Judgement:
    key = runtime().connection(conn_id).extra.get("kms_key_id")
    if not key:
        return exempt("the bucket has no key of its own")
    return _cloud(CloudKey(connection=conn_id, key=str(key)), max_days)


def _cloud(key: CloudKey, max_days: int) -> Judgement:
    from include.privacy.stores.key_rotation import aws_rotation, google_rotation

    if key.kind == "aws":
        return judge(aws_rotation(runtime().aws("kms", key.connection), key.key), max_days)
    api = cloud_clients.google(runtime().connection(key.connection))
    return judge(google_rotation(api, key.key), max_days)
