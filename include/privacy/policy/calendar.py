"""Models of ``config/calendar.yaml``: the company's working days, and the clocks of a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from include.privacy.policy.policy import PROMISE_ID, PolicyModel

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LONGEST_CLOSURE = timedelta(days=31)

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Unit = Literal["business_days", "days", "months"]
PauseReason = Literal["identity", "clarification"]
PauseEffect = Literal["restarts", "days_added"]
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Count = Annotated[int, Field(gt=0, strict=True)]


class Closure(PolicyModel):
    """Days on which the company does not work: one ``day``, or all ``from`` one ``to`` another."""

    model_config = ConfigDict(populate_by_name=True)

    day: date | None = None
    first: Annotated[date | None, Field(alias="from")] = None
    last: Annotated[date | None, Field(alias="to")] = None
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _one_day_or_a_range(self) -> Closure:
        if (self.day is None) == (self.first is None and self.last is None):
            raise ValueError("give either `day`, or `from` and `to`")
        if self.day is None:
            if self.first is None or self.last is None:
                raise ValueError("give both `from` and `to`, or a single `day`")
            if self.last < self.first:
                raise ValueError("`to` must not lie before `from`")
            if self.last - self.first >= LONGEST_CLOSURE:
                raise ValueError(
                    f"shorten it to {LONGEST_CLOSURE.days} days: a longer closure would empty the promise"
                )
        return self

    def days(self) -> Iterator[date]:
        """Every day of it."""
        first, last = self.day or self.first, self.day or self.last
        assert first is not None and last is not None
        for n in range((last - first).days + 1):
            yield first + timedelta(days=n)


class Period(PolicyModel):
    """A length of time in exactly one unit."""

    business_days: Count | None = None
    days: Count | None = None
    months: Count | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Period:
        if sum(n is not None for n in (self.business_days, self.days, self.months)) != 1:
            raise ValueError("give exactly one of business_days, days, months")
        return self

    @property
    def unit(self) -> Unit:
        """The unit that was given."""
        if self.business_days is not None:
            return "business_days"
        return "days" if self.days is not None else "months"

    @property
    def amount(self) -> int:
        """How many of the unit."""
        return self.business_days or self.days or self.months or 0


class ClockRule(Period):
    """One clock of a request: how long it runs, and under which promise or law.

    ``ends_on_working_day``: a last day on a weekend or public holiday moves to the next working day.
    ``extension``: what the law allows to be added, once, told within the original period and with a
    reason. ``pause``: for which reason the clock may stand still. ``restarts``: the whole period runs
    from the day on which what was asked for arrived; ``days_added``: the days of waiting do not count.
    A promise is the company's own word: it is neither extended nor paused.
    """

    promise: Annotated[str | None, Field(pattern=PROMISE_ID)] = None
    law: Annotated[str | None, Field(min_length=1)] = None
    ends_on_working_day: bool = False
    extension: Period | None = None
    pause: dict[PauseReason, PauseEffect] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _holds_together(self) -> ClockRule:
        if (self.promise is None) == (self.law is None):
            raise ValueError("give either `promise` (our own word) or `law` (the statute)")
        if self.promise and (self.extension or self.pause):
            raise ValueError("remove `extension` and `pause`: only a law grants them, a promise does not")
        if self.extension and self.extension.unit != self.unit:
            raise ValueError(f"write the extension in {self.unit}, as the clock itself")
        return self

    @property
    def statutory(self) -> bool:
        """Whether a law sets the clock, and not our promise."""
        return self.law is not None

    def length(self, *, extended: bool = False) -> int:
        """How many units the clock runs from its start; the extension counts from there too."""
        return self.amount + (self.extension.amount if extended and self.extension else 0)


class RegimeClocks(PolicyModel):
    """The clocks that run at once for a person of one jurisdiction; the earliest wins."""

    clocks: Annotated[tuple[str, ...], Field(min_length=1)]


class Role(PolicyModel):
    """Who is told, by function and never by name; ``connection`` says how, else the notifier decides."""

    connection: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_.\-]+$")] = None


class Reminder(PolicyModel):
    """Whom to tell when the fraction ``at`` of the time from receipt to due date has passed (1: overdue)."""

    at: Annotated[float, Field(gt=0, le=1)]
    to: Annotated[tuple[str, ...], Field(min_length=1)]


class PersonQuestion(PolicyModel):
    """How many ``days`` a person has to answer a question of ours, and what silence means."""

    days: Count
    unanswered: Literal["go_on", "expire"] = "go_on"


@dataclass(frozen=True)
class ClockRegime:
    """A regime with the rules of its clocks, in the order of the file."""

    id: str
    clocks: Mapping[str, ClockRule]


class CalendarConfig(PolicyModel):
    """``config/calendar.yaml``. The zone is ``timezone`` of policy.yaml."""

    country: str
    subdivision: str | None = None
    weekend: Annotated[tuple[Weekday, ...], Field(max_length=6)]
    closures: tuple[Closure, ...] = ()
    clocks: dict[Id, ClockRule]
    regimes: dict[Id, RegimeClocks]
    default_regime: str
    roles: dict[Id, Role] = Field(default_factory=dict)
    reminders: tuple[Reminder, ...] = ()
    questions: dict[Id, PersonQuestion] = Field(default_factory=dict)

    def regime(self, regime_id: str | None = None) -> ClockRegime:
        """The regime of that id, or the default one; ``KeyError`` names the known ones."""
        regime_id = regime_id or self.default_regime
        chosen = self.regimes.get(regime_id)
        if chosen is None:
            raise KeyError(f"regime {regime_id!r} is not in calendar.yaml; it knows {sorted(self.regimes)}")
        return ClockRegime(regime_id, {clock: self.clocks[clock] for clock in chosen.clocks})

    def weekend_days(self) -> frozenset[int]:
        """The free weekdays as Python counts them: Monday is 0."""
        return frozenset(WEEKDAYS.index(name) for name in self.weekend)

    def closed_days(self) -> frozenset[date]:
        """Every day of every closure."""
        return frozenset(day for closure in self.closures for day in closure.days())
