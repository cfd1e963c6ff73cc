"""The dates of one request, as the ledger keeps them: a value that survives JSON and vouches for itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, model_validator

from include.privacy.clock import require_utc
from include.privacy.policy.calendar import PauseReason

Instant = Annotated[AwareDatetime, AfterValidator(require_utc)]


class Standing(StrEnum):
    """How an answer, or the wait for one, stands to the promise and to the law."""

    IN_TIME = "in_time"
    PROMISE_MISSED = "promise_missed_law_met"
    LAW_MISSED = "law_missed"


class _Stored(BaseModel):
    """Frozen, closed, and the same after a journey through the ledger's JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Deadline(_Stored):
    """The end of one period. ``last_day`` is the last day by count, before it moves to a working day.

    ``due_at`` is the last second that is in time; ``calendar`` the version that it was computed with.
    """

    last_day: date
    due_at: Instant
    calendar: str


class RequestClock(_Stored):
    """One clock of the regime: when it ends, and when it would end if the law's extension were used."""

    id: str
    statutory: bool
    deadline: Deadline
    if_extended: Deadline | None = None


class Extension(_Stored):
    """That the law's period was extended: when the person was told, and why."""

    told_at: Instant
    reason: str


class Pause(_Stored):
    """A wait for the person that the law does not count."""

    reason: PauseReason
    start: Instant
    until: Instant


class DueDates(_Stored):
    """Every date of one request. Store it as ``model_dump(mode="json")``, read it by ``model_validate``.

    ``due_at`` is the earliest date that binds and ``clock`` whose it is; ``calendar`` is its version.
    ``promise_at`` and ``law_at`` are the earliest of either kind. ``beyond_promise`` says that ``due_at``
    lies after the promise: answered then, the promise is missed and the law met.
    """

    received_at: Instant
    regime: str
    clocks: tuple[RequestClock, ...]
    pauses: tuple[Pause, ...] = ()
    extension: Extension | None = None
    due_at: Instant
    clock: str
    calendar: str
    promise_at: Instant | None
    law_at: Instant | None
    beyond_promise: bool

    @model_validator(mode="after")
    def _the_earliest_is_due(self) -> Self:
        expected = _summary(self.clocks, self.extension)
        wrong = sorted(name for name, value in expected.items() if getattr(self, name) != value)
        if wrong:
            raise ValueError(f"{', '.join(wrong)} do not follow from the clocks; the record was altered")
        return self

    def standing(self, at: datetime) -> Standing:
        """How an answer given at ``at`` stands, or an unanswered request at that instant."""
        at = require_utc(at)
        if self.law_at is not None and at > self.law_at:
            return Standing.LAW_MISSED
        if self.promise_at is not None and at > self.promise_at:
            return Standing.PROMISE_MISSED
        return Standing.IN_TIME

    @classmethod
    def of(
        cls,
        *,
        received_at: datetime,
        regime: str,
        clocks: Sequence[RequestClock],
        pauses: Sequence[Pause] = (),
        extension: Extension | None = None,
    ) -> Self:
        """The record of these clocks; what follows from them is worked out here."""
        return cls(
            received_at=received_at,
            regime=regime,
            clocks=tuple(clocks),
            pauses=tuple(pauses),
            extension=extension,
            **_summary(clocks, extension),
        )

    def changed(self, **changes: Any) -> Self:
        """A copy with other ``clocks``, ``pauses`` or ``extension``, and what follows from them."""
        kept = ("received_at", "regime", "clocks", "pauses", "extension")
        return self.of(**({name: getattr(self, name) for name in kept} | changes))


def _summary(clocks: Sequence[RequestClock], extension: Extension | None) -> dict[str, Any]:
    ends = [(c, c.if_extended if extension and c.if_extended else c.deadline) for c in clocks]
    promises = [d.due_at for c, d in ends if not c.statutory]
    laws = [d.due_at for c, d in ends if c.statutory]
    # The person was told a later date: the promise is given up, and its date stays to be judged by.
    binding = [(c, d) for c, d in ends if c.statutory or extension is None] or ends
    clock, deadline = min(binding, key=lambda end: end[1].due_at)
    promise_at = min(promises, default=None)
    return {
        "due_at": deadline.due_at,
        "clock": clock.id,
        "calendar": deadline.calendar,
        "promise_at": promise_at,
        "law_at": min(laws, default=None),
        "beyond_promise": promise_at is not None and deadline.due_at > promise_at,
    }
