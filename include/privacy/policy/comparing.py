"""What another version of the policy changes, and whether people would be worse off (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from include.privacy.policy.policy import Policy, Rule
from include.privacy.policy.promises import keepers

Effect = Literal["weaker", "stricter", "other"]


@dataclass(frozen=True)
class Change:
    """One difference, in words. ``weaker``: something is kept longer, or less is asked or kept watch on."""

    effect: Effect
    what: str

    def __str__(self) -> str:
        return f"{self.effect}: {self.what}"


def changes(now: Policy, then: Policy) -> list[Change]:
    """Every difference that matters to people, the weaker ones first."""
    found = [*_rules(now, then), *_promises(now, then), *_purposes(now, then), *_numbers(now, then)]
    order = {"weaker": 0, "stricter": 1, "other": 2}
    return sorted(found, key=lambda change: (order[change.effect], change.what))


def _rules(now: Policy, then: Policy) -> Iterator[Change]:
    before, after = ({r.id: r for r in p.rules} for p in (now, then))
    for name in before.keys() - after.keys():
        yield Change("weaker", f"rule {name} is gone")
    for name in after.keys() - before.keys():
        yield Change("stricter", f"rule {name} is new")
    for name in before.keys() & after.keys():
        yield from _rule(before[name], after[name])


def _rule(before: Rule, after: Rule) -> Iterator[Change]:
    for field, longer in (("target_days", "acts"), ("limit_days", "counts as a breach")):
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            effect: Effect = "weaker" if new > old else "stricter"
            yield Change(effect, f"rule {before.id} {longer} after {new} days instead of {old}")
    for field in ("max_share", "max_count"):
        old, new = getattr(before.guard, field), getattr(after.guard, field)
        if old != new:
            effect = "weaker" if new > old else "stricter"
            yield Change(effect, f"rule {before.id}: guard {field} is {new} instead of {old}")
    ignored = {"target_days", "limit_days", "guard"}
    if before.model_dump(exclude=ignored) != after.model_dump(exclude=ignored):
        yield Change("other", f"rule {before.id} acts on something else")


def _promises(now: Policy, then: Policy) -> Iterator[Change]:
    def kept(policy: Policy) -> dict[str, set[str]]:
        rules = {r.id for r in policy.rules}
        return {
            name: {f"{k.kind} {k.name}" for k in keepers(promise, rules)}
            for name, promise in policy.promises.items()
        }

    before, after = kept(now), kept(then)
    for name in sorted(before.keys() | after.keys()):
        for keeper in sorted(before.get(name, set()) - after.get(name, set())):
            yield Change("weaker", f"{name} is no longer kept by {keeper}")
        for keeper in sorted(after.get(name, set()) - before.get(name, set())):
            yield Change("stricter", f"{name} is kept by {keeper} too")


def _purposes(now: Policy, then: Policy) -> Iterator[Change]:
    for name in sorted(then.purposes.keys() - now.purposes.keys()):
        yield Change("weaker", f"data are used for a further purpose: {name}")
    for name in sorted(now.purposes.keys() - then.purposes.keys()):
        yield Change("stricter", f"data are no longer used for {name}")
    for name in sorted(now.purposes.keys() & then.purposes.keys()):
        old, new = now.purposes[name], then.purposes[name]
        if old.legal_basis != new.legal_basis:
            yield Change("other", f"{name} rests on {new.legal_basis} instead of {old.legal_basis}")
        if old.objection != new.objection:
            effect: Effect = "stricter" if new.objection == "stop" else "weaker"
            yield Change(effect, f"an objection to {name} means {new.objection} instead of {old.objection}")
    known = {r.name for r in now.recipients}
    for recipient in then.recipients:
        if recipient.name not in known:
            yield Change("weaker", f"{recipient.name} gets data ({recipient.promise})")


def _numbers(now: Policy, then: Policy) -> Iterator[Change]:
    more_is_weaker = (
        ("request_records_days", now.request_records_days, then.request_records_days),
        ("probe_again_after_days", now.probe_again_after_days, then.probe_again_after_days),
        *(
            (f"verification.{field}", getattr(now.verification, field), getattr(then.verification, field))
            for field in ("session_max_age_minutes", "token_valid_hours")
        ),
    )
    for name, old, new in more_is_weaker:
        if old != new:
            yield Change("weaker" if new > old else "stricter", f"{name} is {new} instead of {old}")
    for name, hosts in (
        ("transmission_hosts", ({h.host for h in p.transmission_hosts} for p in (now, then))),
        ("opendsr.callback_hosts", (set(p.opendsr.callback_hosts) for p in (now, then))),
        ("verification.session_strengths", (set(p.verification.session_strengths) for p in (now, then))),
    ):
        before, after = hosts
        for each in sorted(after - before):
            yield Change("weaker", f"{name} has {each} too")
        for each in sorted(before - after):
            yield Change("stricter", f"{name} has {each} no longer")
