"""Whether what we say a processor holds is what the policy promises; nobody is asked for it."""

from __future__ import annotations

from collections.abc import Iterator

from include.privacy.audits.data_map.findings import MapFinding
from include.privacy.policy.policy import Policy
from include.privacy.policy.processors import ProcessorMap
from include.privacy.policy.promised import unpromised

CODES = ("category_not_promised",)


def judge(mapped: ProcessorMap, policy: Policy) -> Iterator[MapFinding]:
    """Categories of its collections and fields that no promise names."""
    places: dict[str, list[str]] = {}
    for name, collection in mapped.collections.items():
        places.setdefault(collection.category, []).append(name)
        for field, described in collection.fields.items():
            places.setdefault(described.category, []).append(f"{name}.{field}")
    for category in unpromised(policy, places):
        yield MapFinding(
            "category_not_promised",
            f"{', '.join(places[category][:5])} hold {category}, which no promise names",
            f"stop giving it to {mapped.processor}, or have the policy say so and list it under categories",
            mapped.promise,
        )
