"""What travels between the tasks of a run: items of work, made of opaque ids and names from config."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict
from uuid import UUID, uuid5

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.runtime import runtime


class Item(TypedDict):
    """One plan of a run: ``cohort_id`` is empty where a plan acts on rows or objects by their own age."""

    plan_id: str
    cohort_id: str
    store: str
    rule: str


class Shard(TypedDict):
    """One share of a plan, executed by one task."""

    plan_id: str
    store: str
    shard: int


def items_of_cohort(cohort_id: UUID, rule: str = "") -> list[Item]:
    """One item per store that holds data of people, in the order of erasure.

    The plan's id follows from cohort and store, so that a repeated or resumed task finds the plan,
    and with it the progress, that is already there.
    """
    return [
        Item(plan_id=str(uuid5(cohort_id, store)), cohort_id=str(cohort_id), store=store, rule=rule)
        for store in erasure_stores()
    ]


def item_of_rule(ledger_run: UUID, rule: str, store: str) -> Item:
    """The item of a rule that acts by the age of rows or objects."""
    return Item(plan_id=str(uuid5(ledger_run, rule)), cohort_id="", store=store, rule=rule)


def erasure_stores() -> list[str]:
    """Stores in which people can be erased one by one; backups expire as a whole."""
    return [s.store for s in runtime().stores() if not isinstance(s, BucketMap) or s.content]


def root_store() -> str:
    """The store that is erased last."""
    return runtime().config().data_map.root.store


def cohort_ids(items: Iterable[Item]) -> list[UUID]:
    """The cohorts of these items, each once."""
    return [UUID(c) for c in dict.fromkeys(i["cohort_id"] for i in items) if c]


def of_cohort(items: Iterable[Item], cohort_id: UUID) -> list[Item]:
    """The items of one cohort."""
    return [i for i in items if i["cohort_id"] == str(cohort_id)]
