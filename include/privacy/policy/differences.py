"""What differs between two versions of the policy, promise by promise, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from include.privacy.policy.policy import Policy, Purpose, Recipient


@dataclass(frozen=True)
class Difference:
    """One difference. ``before`` is ``None`` for what is new, ``after`` for what ends."""

    promise: str
    subject: str
    before: str | None
    after: str | None


def differences(old: Policy, new: Policy) -> list[Difference]:
    """Everything that a person would want to be told: promises, periods, purposes, recipients.

    What keeps a promise (DAGs, guards, roles) is not among it, and neither are targets: what counts for
    people is the limit.
    """
    found = [*_promises(old, new), *_limits(old, new), *_purposes(old, new), *_recipients(old, new)]
    if old.request_records_days != new.request_records_days:
        before, after = (f"{p.request_records_days} days" for p in (old, new))
        found.append(Difference("P2.4", "How long we keep the record of your requests", before, after))
    return sorted(found, key=lambda each: (each.promise, each.subject))


def _promises(old: Policy, new: Policy) -> Iterator[Difference]:
    for name in sorted(old.promises.keys() | new.promises.keys()):
        before, after = (p.promises[name].title if name in p.promises else None for p in (old, new))
        if before != after:
            yield Difference(name, after or before or name, before, after)


def _limits(old: Policy, new: Policy) -> Iterator[Difference]:
    rules = [{rule.id: rule for rule in policy.rules} for policy in (old, new)]
    for name in sorted(rules[0].keys() | rules[1].keys()):
        before, after = (each.get(name) for each in rules)
        known = after or before
        assert known is not None
        texts = [f"{rule.limit_days} days at most" if rule else None for rule in (before, after)]
        if texts[0] != texts[1]:
            yield Difference(known.promise, f"How long data are kept: {name.replace('_', ' ')}", *texts)


def _purposes(old: Policy, new: Policy) -> Iterator[Difference]:
    for name in sorted(old.purposes.keys() | new.purposes.keys()):
        before, after = (_purpose(policy.purposes.get(name)) for policy in (old, new))
        if before != after:
            known = new.purposes.get(name) or old.purposes[name]
            yield Difference(known.promise, f"What data are used for: {known.title}", before, after)


def _purpose(purpose: Purpose | None) -> str | None:
    if purpose is None:
        return None
    return f"{purpose.title} (legal basis: {purpose.legal_basis.replace('_', ' ')})"


def _recipients(old: Policy, new: Policy) -> Iterator[Difference]:
    known = [{(r.promise, r.name): r for r in policy.recipients} for policy in (old, new)]
    for key in sorted(known[0].keys() | known[1].keys()):
        before, after = (_recipient(each.get(key)) for each in known)
        if before != after:
            yield Difference(key[0], f"Who receives data: {key[1]}", before, after)


def _recipient(recipient: Recipient | None) -> str | None:
    if recipient is None:
        return None
    safeguard = f"; {recipient.safeguard}" if recipient.safeguard else ""
    return f"{recipient.what}, for {recipient.purpose} ({recipient.country}{safeguard})"
