"""Whether a bucket is as its map says: no unknown folder, nothing personal where none may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from include.privacy.audits.data_map.findings import (
    CLOUD_PROMISES,
    CONTENT_CODES,
    MapFinding,
    of_content,
)
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.live_prefixes import shown
from include.privacy.policy.policy import Policy
from include.privacy.policy.promised import unpromised

if TYPE_CHECKING:
    from include.privacy.detection.tally import Tally
    from include.privacy.stores.objects.sampling import ObjectSample

CODES = ("unknown_prefix", "category_not_promised", *CONTENT_CODES)


def judge_folders(bucket: BucketMap, unknown: set[str]) -> Iterator[MapFinding]:
    """``unknown``: folders that the map does not cover. Their names may be people's."""
    for where in sorted({shown(folder) for folder in unknown}):
        yield MapFinding(
            "unknown_prefix",
            f"bucket {bucket.bucket} has objects {where} that the map does not know",
            "map the prefix under content, backups or archives, or remove the objects",
            CLOUD_PROMISES[bucket.kind],
        )


def judge_categories(bucket: BucketMap, policy: Policy) -> Iterator[MapFinding]:
    """Data that the map admits and the policy does not name."""
    places: dict[str, list[str]] = {}
    for each in (*bucket.content, *bucket.aged):
        places.setdefault(each.category, []).append(each.prefix)
    for category in unpromised(policy, places):
        yield MapFinding(
            "category_not_promised",
            f"{', '.join(places[category])} holds {category}, which no promise names",
            "stop collecting it, or have the policy say so and list it under categories of a promise",
            CLOUD_PROMISES[bucket.kind],
        )


def to_sample(bucket: BucketMap, unknown: set[str]) -> list[str]:
    """The prefixes that are looked into: those that the map says are not personal, and unknown ones."""
    said = [c.prefix.removesuffix("{subject}/") for c in bucket.content if not _personal(c.category)]
    return [*said, *(a.prefix for a in bucket.aged if not _personal(a.category)), *sorted(unknown)]


def judge_contents(samples: Mapping[str, ObjectSample], policy: Policy) -> Iterator[MapFinding]:
    """What names and contents of the objects look like. ``samples``: prefix → what was seen there."""
    for prefix, sample in samples.items():
        place = shown(prefix)
        yield from _judge(sample.names, f"names of objects {place}", policy)
        yield from _judge(sample.contents, f"objects {place}", policy)


def _judge(tally: Tally, where: str, policy: Policy) -> Iterator[MapFinding]:
    settings = policy.sampling
    for kind, count in sorted(tally.kinds(settings.share, settings.at_least).items()):
        fix = "map the prefix with a category under user, or stop writing them there"
        yield of_content(policy, kind, count, tally.looked, where, fix)


def _personal(category: str) -> bool:
    return category == "user" or category.startswith("user.")
