"""``plan``: what a rule, a request or an erasure would do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import uuid4

from include.privacy.commands.refusing import RefusedError
from include.privacy.planning.describing import describe
from include.privacy.planning.models import Cohort, Plan
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.loading import load_config
from include.privacy.policy.policy import (
    ObjectAgeRule,
    RecordAgeRule,
    Rule,
    SnapshotAgeRule,
    SubjectLifecycleRule,
)
from include.privacy.runtime import runtime


def plan(options: argparse.Namespace) -> int:
    """Print what a rule, a request or the erasure of one person would do, with exact counts."""
    config = load_config()
    known = [*(s.store for s in config.data_map.stores), *config.clouds.names()]
    if options.store and options.store not in known:
        raise RefusedError(f"store {options.store!r} is not mapped; write one of {', '.join(known)}")
    if options.rule:
        try:
            rule = config.policy.rule(options.rule)
        except KeyError as error:
            raise RefusedError(str(error.args[0])) from None
        plans = _rule_plans(rule, options.store, options.as_of)
    else:
        plans = _people_plans([_subject(options)], options.store, options.as_of, rule=None)
    for made in plans:
        print(*describe(made), sep="\n")
    return 0


def _rule_plans(rule: Rule, store: str | None, as_of: datetime) -> Iterator[Plan]:
    acts_on_people = isinstance(rule, SubjectLifecycleRule) and rule.action == "purge"
    if store and store != rule.store and not acts_on_people:
        raise RefusedError(f"rule {rule.id} acts on store {rule.store}; leave --store out or name that one")
    match rule:
        case RecordAgeRule():
            yield runtime().database(rule.store).plan_record_age(rule, uuid4(), as_of=as_of)
        case ObjectAgeRule() | SnapshotAgeRule():
            yield runtime().store(rule.store).plan_expiry(rule, uuid4(), as_of=as_of)
        case SubjectLifecycleRule(action="mark_deleted"):
            count = runtime().root().mark_deleted(rule, as_of=as_of, dry_run=True)
            print(f"{rule.store}, rule {rule.id}: would mark {count} accounts as deleted")
        case SubjectLifecycleRule():
            yield from _people_plans(runtime().root().due_keys(rule, as_of=as_of), store, as_of, rule=rule.id)


def _people_plans(
    keys: Sequence[str], store: str | None, as_of: datetime, rule: str | None
) -> Iterator[Plan]:
    from include.privacy.steps.freezing import members

    frozen = list(members(keys))
    if left_out := sum(member.not_followed for member in frozen):
        print(f"{left_out} former identifiers are somebody else's today and not followed")
    cohort = Cohort(uuid4(), len(frozen), lambda: iter(frozen))
    for mapped in runtime().stores():
        if store not in (None, mapped.store) or (isinstance(mapped, BucketMap) and not mapped.content):
            continue
        adapter = runtime().store(mapped.store)
        made = adapter.plan_erasure(cohort, uuid4(), as_of=as_of)
        adapter.finish(made)  # planning leaves the cohort in work tables; nobody will execute this plan
        yield made.model_copy(update={"rule": rule})


def _subject(options: argparse.Namespace) -> str:
    if options.subject:
        return str(options.subject)

    from include.privacy.ledger.errors import LedgerError

    try:
        request = runtime().ledger().request(options.request)
    except LedgerError as error:
        raise RefusedError(str(error)) from None
    if request.subject_key is None:
        raise RefusedError(f"request {options.request} is closed: whom it was about is forgotten")
    return request.subject_key
