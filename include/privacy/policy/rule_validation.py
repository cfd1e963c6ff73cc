"""Whether the policy holds together: promises, rules, and the data that the rules act on (no I/O)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.clouds import Clouds
from include.privacy.policy.data_map import DatabaseMap, StoreMap
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.objection import objection_problems
from include.privacy.policy.policy import (
    ObjectAgeRule,
    Policy,
    RecordAgeRule,
    SnapshotAgeRule,
    SubjectLifecycleRule,
)
from include.privacy.policy.problems import Problem, nearest, suggestion
from include.privacy.policy.promises import PROMISES, SERVED_DAYS, UPPER_LIMITS, keepers
from include.privacy.policy.validation import MappedStore


def policy_problems(
    policy: Policy,
    document: Document,
    stores: Sequence[MappedStore] | None,
    clouds: tuple[Clouds, Document] | None = None,
) -> list[Problem]:
    """Problems of the policy; its rules are checked against stores and snapshots unless these are unknown."""
    problems = [*_promise_problems(policy, document), *objection_problems(policy, document)]
    try:
        ZoneInfo(policy.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = nearest(policy.timezone, available_timezones()) or "e.g. Europe/Berlin or UTC"
        problems.append(document.problem(("timezone",), "is not a time zone", f"write {near}"))
    for index, rule in enumerate(policy.rules):
        loc: Loc = ("rules", index)
        if [r.id for r in policy.rules[:index]].count(rule.id):
            problems.append(document.problem((*loc, "id"), f"another rule is called {rule.id}", "rename one"))
        problems += _rule_promise_problems(policy, document, index)
        if isinstance(rule, SnapshotAgeRule):
            if clouds is not None and rule.store not in (names := clouds[0].names()):
                problem = f"rule {rule.id}: config/clouds.yaml has no snapshots of that name"
                problems.append(document.problem((*loc, "store"), problem, suggestion(rule.store, names)))
        elif stores is not None:
            problems += _rule_store_problems(rule, [s.map for s in stores], document, loc)
    if clouds is not None:
        problems += _unexpired(policy, *clouds)
    if stores is not None:
        problems += _uncovered(policy, stores, document)
    return problems


def _promise_problems(policy: Policy, document: Document) -> Iterator[Problem]:
    for promise in PROMISES:
        if promise not in policy.promises:
            yield document.problem(
                ("promises",),
                f"promise {promise} is missing",
                f"add `{promise}: {{title: …, enforced_by: …}}`",
            )
    rules = {rule.id for rule in policy.rules}
    for name, promise_text in policy.promises.items():
        loc: Loc = ("promises", name, "enforced_by")
        if name not in PROMISES:
            yield document.problem(
                ("promises", name), "is no promise of the policy", suggestion(name, PROMISES)
            )
        for keeper in keepers(promise_text, rules):
            if keeper.malformed:
                yield document.problem(
                    loc, keeper.malformed, "write a rule id, a DAG id, {planned: dag_id} or {outside: who}"
                )


def _rule_promise_problems(policy: Policy, document: Document, index: int) -> Iterator[Problem]:
    rule = policy.rules[index]
    loc: Loc = ("rules", index)
    promise = policy.promises.get(rule.promise)
    if promise is None:
        yield document.problem(
            (*loc, "promise"), "no such promise", suggestion(rule.promise, policy.promises)
        )
    elif rule.id not in promise.enforced_by:
        yield document.problem(
            (*loc, "promise"),
            f"{rule.promise} does not name this rule",
            f"add {rule.id} to promises.{rule.promise}.enforced_by",
        )
    ceiling = UPPER_LIMITS.get(rule.promise)
    if ceiling is not None and rule.limit_days > ceiling:
        yield document.problem(
            (*loc, "limit_days"),
            f"{rule.promise} promises {ceiling} days at most",
            f"write {ceiling} or less",
        )
    served = SERVED_DAYS.get(rule.promise)
    if served is not None and rule.target_days != served:
        yield document.problem(
            (*loc, "target_days"),
            f"{rule.promise} promises {served} days, no more and no fewer",
            f"write {served}",
        )


def _rule_store_problems(
    rule: SubjectLifecycleRule | RecordAgeRule | ObjectAgeRule,
    stores: list[StoreMap],
    document: Document,
    loc: Loc,
) -> Iterator[Problem]:
    store = next((s for s in stores if s.store == rule.store), None)
    if store is None:
        yield document.problem(
            (*loc, "store"),
            f"rule {rule.id}: no store of that name is mapped",
            suggestion(rule.store, [s.store for s in stores]),
        )
    elif isinstance(rule, ObjectAgeRule):
        if not isinstance(store, BucketMap):
            yield document.problem(
                (*loc, "store"), "object_age needs a bucket", "write the name of an s3 or gcs store"
            )
        elif rule.prefix not in (known := [a.prefix for a in store.aged]):
            yield document.problem(
                (*loc, "prefix"),
                f"{store.store} maps no such backup prefix and no such archives",
                suggestion(rule.prefix, known),
            )
    elif not isinstance(store, DatabaseMap):
        yield document.problem(
            (*loc, "store"), f"{rule.kind} needs a database", "write the name of a postgres store"
        )
    elif isinstance(rule, SubjectLifecycleRule):
        if store.root is None:
            roots = [s.store for s in stores if isinstance(s, DatabaseMap) and s.root]
            yield document.problem(
                (*loc, "store"), "that store has no root table with a clock", suggestion(rule.store, roots)
            )
    else:
        table = store.tables.get(rule.table)
        if table is None or table.kind != "table":
            yield document.problem(
                (*loc, "table"), f"{store.store} maps no such table", suggestion(rule.table, store.tables)
            )
        elif rule.clock not in table.columns:
            yield document.problem(
                (*loc, "clock"),
                f"{rule.table} has no such column in the map",
                suggestion(rule.clock, table.columns),
            )


def _uncovered(policy: Policy, stores: Sequence[MappedStore], document: Document) -> Iterator[Problem]:
    """Data with a promised end that no rule brings about."""
    for action in ("mark_deleted", "purge"):
        count = sum(isinstance(r, SubjectLifecycleRule) and r.action == action for r in policy.rules)
        if count != 1:
            yield document.problem(
                ("rules",),
                f"{count} rules say `action: {action}`",
                "write exactly one subject_lifecycle rule for it",
            )
    swept = Counter((r.store, r.prefix) for r in policy.rules if isinstance(r, ObjectAgeRule))
    for store in stores:
        for kind, index, prefix in _aged(store.map):
            if swept[store.map.store, prefix] != 1:
                yield store.document.problem(
                    (kind, index),
                    f"{swept[store.map.store, prefix]} rules expire the {kind} under {prefix}",
                    f"write exactly one object_age rule for that prefix of {store.map.store}",
                )


def _unexpired(policy: Policy, clouds: Clouds, document: Document) -> Iterator[Problem]:
    swept = Counter(r.store for r in policy.rules if isinstance(r, SnapshotAgeRule))
    for index, snapshots in enumerate(clouds.snapshots):
        if swept[snapshots.store] != 1:
            yield document.problem(
                ("snapshots", index, "store"),
                f"{swept[snapshots.store]} rules expire these snapshots",
                f"write exactly one snapshot_age rule for {snapshots.store} into policy.yaml",
            )


def _aged(store: StoreMap) -> Iterator[tuple[str, int, str]]:
    if isinstance(store, BucketMap):
        yield from (("backups", index, backup.prefix) for index, backup in enumerate(store.backups))
        yield from (("archives", index, archive.prefix) for index, archive in enumerate(store.archives))
