"""What a look at a control ends with: a verdict, why, what to do, and figures. Nothing of a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """``exempt``: there is nothing here that the promise speaks of; told, and never counted as held."""

    holds = "holds"
    broken = "broken"
    cannot_be_told = "cannot be told"
    exempt = "exempt"


@dataclass(frozen=True)
class Judgement:
    """``reason``: what was seen. ``fix``: what to do, if anything. ``facts``: counts and settings."""

    verdict: Verdict
    reason: str
    fix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}" + (f"; {self.fix}" if self.fix else "")


@dataclass(frozen=True)
class Probe:
    """One look: ``control`` is a code of ``policy.controls``, ``place`` a name of ``config/``.

    Whatever ``look`` raises means that the control cannot be told there.
    """

    control: str
    place: str
    look: Callable[[], Judgement]


def holds(reason: str, **facts: Any) -> Judgement:
    """In order."""
    return Judgement(Verdict.holds, reason, facts=facts)


def broken(reason: str, fix: str, **facts: Any) -> Judgement:
    """Not in order."""
    return Judgement(Verdict.broken, reason, fix, facts)


def cannot_be_told(reason: str, fix: str, **facts: Any) -> Judgement:
    """Nobody knows: access denied, no answer, nothing to look at."""
    return Judgement(Verdict.cannot_be_told, reason, fix, facts)


def exempt(reason: str, **facts: Any) -> Judgement:
    """Outside what the promise speaks of."""
    return Judgement(Verdict.exempt, reason, facts=facts)
