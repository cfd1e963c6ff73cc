"""Encryption at rest: buckets, database servers, snapshots, queues, topics, archives, the ledger (P7.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from include.privacy import cloud_clients
from include.privacy.audits.controls import zip_header
from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, exempt, holds
from include.privacy.policy.bucket_map import ArchivePrefix, BucketMap
from include.privacy.policy.clouds import Snapshots
from include.privacy.policy.controls import Topic
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.stores.at_rest import BucketSettings, NewestObject

_KEY_BITS = 256
_SWITCH_ON = "switch its encryption on (SSE-SQS or SSE-KMS)"


def probes(as_of: datetime) -> Iterator[Probe]:
    """One for each bucket, prefix of archives, set of snapshots, queue and topic, and the ledger."""
    config = runtime().config()
    for store in config.data_map.stores:
        if isinstance(store, BucketMap):
            yield Probe("encrypted_bucket", store.store, partial(_bucket, store))
            if store.kind == "s3":
                for archive in store.archives:
                    place = f"{store.store} {archive.prefix}"
                    yield Probe("encrypted_archive", place, partial(_archive, store, archive))
    for snapshots in config.clouds.snapshots:
        look = _rds if snapshots.kind == "rds" else _cloud_sql
        yield Probe("encrypted_database", snapshots.store, partial(look, snapshots))
    for queue in config.controls.at_rest.queues:
        yield Probe("encrypted_queue", queue, partial(_queue, queue))
    for topic in config.controls.at_rest.topics:
        yield Probe("encrypted_queue", topic.arn.rpartition(":")[2], partial(_topic, topic))
    yield Probe("sealed_ledger", "ledger", _ledger)


def judge_bucket(found: BucketSettings, *, own_key: bool) -> Judgement:
    """``own_key``: a KMS key of ours is asked for."""
    from include.privacy.stores.at_rest import AES_256

    facts = {"algorithm": found.algorithm, "kms_key": bool(found.key), "location": found.location}
    if found.algorithm not in AES_256:
        return broken("new objects are not encrypted", "set default encryption (AES256 or aws:kms)", **facts)
    if own_key and not found.key:
        return broken(
            "no key of ours encrypts it",
            "set a KMS key as the bucket's default (at_rest.customer_keys)",
            **facts,
        )
    return holds(f"{found.algorithm}, with {'a KMS key' if found.key else 'a key of the cloud'}", **facts)


def judge_archive(found: NewestObject | None, *, sealed_by_us: bool) -> Judgement:
    """``sealed_by_us``: what is stored is a ZIP under a passphrase that is not here."""
    from include.privacy.stores.at_rest import AES_256

    if found is None:
        return exempt("nothing is stored now")
    facts = {"algorithm": found.algorithm}
    if found.algorithm not in AES_256:
        return broken("the newest object is not encrypted by the store", "give the bucket a KMS key", **facts)
    if sealed_by_us:
        bits = zip_header.aes_bits(found.head)
        if bits != _KEY_BITS:
            return broken(
                "the newest archive is not an AES-256 ZIP",
                "revoke it, and find out who wrote it",
                bits=bits,
                **facts,
            )
        return holds(
            f"the newest archive is an AES-256 ZIP, stored with {found.algorithm}", bits=bits, **facts
        )
    return holds(f"the newest object is stored with {found.algorithm}", **facts)


def judge_storage(found: Iterable[tuple[str, str, bool]]) -> Judgement:
    """Servers and snapshots: kind, name, whether encrypted."""
    seen = list(found)
    counts = Counter(kind for kind, _, _ in seen)
    open_ = [f"{kind} {name}" for kind, name, encrypted in seen if not encrypted]
    if open_:
        more = f" and {len(open_) - 5} more" if len(open_) > 5 else ""
        return broken(
            f"not encrypted: {', '.join(open_[:5])}{more}",
            "copy it to an encrypted snapshot, restore from that, and delete it",
            **counts,
        )
    if not seen:
        return exempt("there is no server and no snapshot")
    return holds(f"{len(seen)} servers and snapshots are encrypted", **counts)


def _bucket(store: BucketMap) -> Judgement:
    from include.privacy.stores.at_rest import gcs_settings, s3_settings

    own_key = store.store in runtime().config().controls.at_rest.customer_keys
    if store.kind == "s3":
        return judge_bucket(s3_settings(runtime().aws("s3", store.connection), store.bucket), own_key=own_key)
    client = cloud_clients.gcs(runtime().connection(store.connection))
    return judge_bucket(gcs_settings(client, store.bucket), own_key=own_key)


def _archive(store: BucketMap, archive: ArchivePrefix) -> Judgement:
    from include.privacy.stores.at_rest import newest_object

    client = runtime().aws("s3", store.connection)
    ours = archive.holds == "answers"
    head = zip_header.BYTES if ours else 0
    return judge_archive(newest_object(client, store.bucket, archive.prefix, head=head), sealed_by_us=ours)


def _rds(mapped: Snapshots) -> Judgement:
    from include.privacy.stores.at_rest import rds_storage

    client = runtime().aws("rds", mapped.connection)
    return judge_storage(rds_storage(client, mapped.sources))


def _cloud_sql(mapped: Snapshots) -> Judgement:
    from include.privacy.stores.at_rest import cloud_sql_key
    from include.privacy.stores.google_api import GoogleRefusedError

    info = runtime().connection(mapped.connection)
    api, project = cloud_clients.google(info), cloud_clients.project(info)
    keys: list[str | None] = []
    for source in mapped.sources:
        try:
            keys.append(cloud_sql_key(api, project, source))
        except GoogleRefusedError as error:
            if error.status != 404:
                raise
    if not keys:
        return exempt("none of the instances exists any more")
    ours = sum(key is not None for key in keys)
    if mapped.store in runtime().config().controls.at_rest.customer_keys and ours < len(keys):
        return broken("no key of ours encrypts it", "an instance gets its key when it is made; make it anew")
    return holds("Cloud SQL encrypts with AES-256", instances=len(keys), with_own_key=ours)


def _queue(conn_id: str) -> Judgement:
    from include.privacy.stores.at_rest import queue_key

    info = runtime().connection(conn_id)
    client = runtime().aws("sqs", conn_id)
    names = [name for name in ("queue_url", "dead_letter_url") if info.extra.get(name)]
    keys = {name: queue_key(client, str(info.extra[name])) for name in names}
    if missing := [name for name, key in keys.items() if key is None]:
        return broken(f"not encrypted: {', '.join(missing)}", _SWITCH_ON)
    if not keys:
        raise LookupError(f"connection {conn_id!r} has no extra 'queue_url'")
    return holds(f"{len(keys)} queues are encrypted", queues=len(keys))


def _topic(topic: Topic) -> Judgement:
    from include.privacy.stores.at_rest import topic_key

    key = topic_key(runtime().aws("sns", topic.connection), topic.arn)
    return (
        holds("encrypted with a KMS key") if key else broken("not encrypted", "set a KMS key for the topic")
    )


def _ledger() -> Judgement:
    """Seal and open one value under a fresh key, and see how long keys are."""
    from include.privacy.ledger.errors import SealBroken
    from include.privacy.ledger.sealing import seal, unseal

    key = runtime().master_key()
    plain, context = b"audit_controls", "a look at the sealing"
    sealed = seal(key, plain, context)
    try:
        unseal(key, sealed, "another place")
    except SealBroken:
        bound = True
    else:
        bound = False
    if len(key) * 8 != _KEY_BITS or plain in sealed or unseal(key, sealed, context) != plain or not bound:
        return broken(
            "what is sealed can be read or moved", "stop the DAGs, and call whoever maintains this project"
        )
    return holds("details are sealed with AES-256-GCM, bound to their place", key_bits=len(key) * 8)
