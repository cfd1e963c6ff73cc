"""Which promise speaks of a category of data (P2.1 to P2.3), and so whether it may be collected at all."""

from __future__ import annotations

from collections.abc import Iterable

from include.privacy.policy.policy import Policy

NECESSARY = "P2.4"
"""Only what is necessary is collected: the promise of whatever no other speaks of."""


def promise_of(policy: Policy, category: str) -> str | None:
    """The promise whose ``categories`` name this one or the nearest above it; ``None`` where none does.

    A category that stands for several (``user``, of a whole backup) is spoken of by the first of them.
    """
    named = [(c, name) for name, promise in sorted(policy.promises.items()) for c in promise.categories]
    above = [(c, name) for c, name in named if _within(category, c)]
    if above:
        return max(above, key=lambda each: len(each[0]))[1]
    return next((name for c, name in named if _within(c, category)), None)


def promised(policy: Policy) -> bool:
    """Whether the promises say at all which categories they are about."""
    return any(promise.categories for promise in policy.promises.values())


def breakable(policy: Policy) -> frozenset[str]:
    """The promises that content of an unexpected kind can break."""
    return frozenset({NECESSARY, *(name for name, p in policy.promises.items() if p.categories)})


def unpromised(policy: Policy, categories: Iterable[str]) -> list[str]:
    """The personal categories of which no promise speaks."""
    personal = {c for c in categories if _within(c, "user")}
    return sorted(c for c in personal if promised(policy) and promise_of(policy, c) is None)


def _within(category: str, above: str) -> bool:
    return category == above or category.startswith(above + ".")
