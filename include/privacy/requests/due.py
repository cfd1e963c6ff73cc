"""When a request is due: every clock that runs for it, and what an extension or a pause does to them.

All dates are computed at receipt and kept with the request, so that a changed calendar or policy moves
none of them unnoticed. The earliest is *the* due date (DESIGN §3). Two kinds of clock run side by side:
our promise (P6.6, 14 business days), which nothing extends, and those of the law. Once the law's period
has been extended the due date is the law's; the promise keeps a date of its own, and an answer between
the two has missed the promise and met the law.
"""

from __future__ import annotations

from datetime import date, datetime

from include.privacy.business_days import WorkingCalendar, add_days, add_months
from include.privacy.clock import require_utc
from include.privacy.policy.calendar import ClockRegime, ClockRule, PauseReason
from include.privacy.requests.due_dates import Deadline, DueDates, Extension, Pause, RequestClock
from include.privacy.runtime import runtime

EXTENSION_REASONS = ("complexity", "number_of_requests")
"""The two that Art. 12(3) GDPR knows. What is complex about a request stays in the ledger, sealed."""


class ExtensionRefusedError(ValueError):
    """The law does not allow this extension; the message says why and what to do."""


class PauseRefusedError(ValueError):
    """The regime does not let the clock stand still for this; the message says why."""


def compute_due(received_at: datetime, calendar: WorkingCalendar, regime: ClockRegime) -> DueDates:
    """Every date of a request received at that instant. Raises ``ValueError`` for a naive datetime."""
    received_at = require_utc(received_at)
    start = calendar.local_day(received_at)
    clocks = tuple(_clock(name, rule, start, calendar) for name, rule in regime.clocks.items())
    return DueDates.of(received_at=received_at, regime=regime.id, clocks=clocks)


def extended(due: DueDates, as_of: datetime, reason: str) -> DueDates:
    """The dates after the law's extension, of which the person is told at ``as_of``.

    Art. 12(3) GDPR: once, within the original period, for the complexity or number of requests; three
    months then count from the start. Cal. Civ. Code 1798.130(a)(2): 45 days more, once. Where several
    laws run, each of these periods must still be open, and a law without extension keeps its date.
    Raises :class:`ExtensionRefusedError`.
    """
    as_of = require_utc(as_of)
    if reason not in EXTENSION_REASONS:
        raise ExtensionRefusedError(
            f"an extension needs a reason that the law knows; give {' or '.join(EXTENSION_REASONS)}"
        )
    if due.extension is not None:
        raise ExtensionRefusedError(
            f"the period was extended on {due.extension.told_at:%Y-%m-%d}, and the law allows it once; "
            "answer in time, or refuse with reasons"
        )
    if as_of < due.received_at:
        raise ExtensionRefusedError("the extension lies before the receipt of the request; correct as_of")
    extensible = [c for c in due.clocks if c.if_extended is not None]
    if not extensible:
        raise ExtensionRefusedError(f"no law of regime {due.regime} allows an extension; answer in time")
    for clock in extensible:
        if as_of > clock.deadline.due_at:
            raise ExtensionRefusedError(
                f"the person had to be told before the period of {clock.id} ended at "
                f"{clock.deadline.due_at.isoformat()}; it is too late. Answer at once"
            )
    return due.changed(extension=Extension(told_at=as_of, reason=reason))


def paused(
    due: DueDates,
    start: datetime,
    until: datetime,
    reason: PauseReason,
    *,
    calendar: WorkingCalendar,
    regime: ClockRegime,
) -> DueDates:
    """The dates after a wait for the person, once it is over; only clocks whose rule allows it move.

    ``identity``: proof of identity was asked for at ``start`` and came at ``until``; ``clarification``:
    the person was asked what is meant (Art. 12A UK GDPR). Of the days of a wait the law leaves out
    the first and the last as well; one of them is counted here, in the person's favour. The window for an
    extension moves along. Raises :class:`PauseRefusedError`.
    """
    pause = Pause(reason=reason, start=start, until=until)
    if regime.id != due.regime:
        raise PauseRefusedError(f"the request runs under regime {due.regime}, not {regime.id}")
    if not any(reason in rule.pause for rule in regime.clocks.values()):
        raise PauseRefusedError(
            f"no clock of regime {due.regime} stands still for {reason}; answer, refuse, or extend in time"
        )
    begun = due.pauses[-1].until if due.pauses else due.received_at
    if not begun <= pause.start < pause.until:
        raise PauseRefusedError(
            "a pause begins after the receipt and after the pause before it, and ends after it began"
        )
    if due.law_at is not None and pause.start > due.law_at:
        raise PauseRefusedError(f"the period ended at {due.law_at.isoformat()}; nothing is left to pause")
    return _with_pause(due, pause, calendar, regime)


def recomputed(due: DueDates, calendar: WorkingCalendar, regime: ClockRegime) -> DueDates:
    """The dates under today's calendar and rules, where these are better for the person."""
    fresh = compute_due(due.received_at, calendar, regime)
    for pause in due.pauses:
        fresh = _with_pause(fresh, pause, calendar, regime)
    return never_later(due, fresh.changed(extension=due.extension))


def never_later(old: DueDates, new: DueDates) -> DueDates:
    """Of each clock the earlier date: a computation that comes later may only favour the person.

    A clock that one of them lacks is kept. Raises ``ValueError`` when they are not about the same request
    in the same state; :func:`recomputed` brings a new computation there.
    """
    same = ("received_at", "regime", "pauses", "extension")
    if differing := [name for name in same if getattr(old, name) != getattr(new, name)]:
        raise ValueError(f"the dates cannot be compared: {', '.join(differing)} differ")
    merged = {clock.id: clock for clock in old.clocks}
    for clock in new.clocks:
        before = merged.get(clock.id)
        merged[clock.id] = clock if before is None else _earlier(before, clock)
    return old.changed(clocks=tuple(merged.values()))


def due_dates(received_at: datetime, regime_id: str | None = None) -> DueDates:
    """The dates of a request received now, by the project's configuration; ``KeyError`` names the regimes."""
    config = runtime().config()
    return compute_due(received_at, config.working_calendar(), config.calendar.regime(regime_id))


def answer_due(received_at: datetime) -> datetime:
    """The instant by which the person has an answer, under the default regime."""
    return due_dates(received_at).due_at


def _clock(name: str, rule: ClockRule, start: date, calendar: WorkingCalendar) -> RequestClock:
    return RequestClock(
        id=name,
        statutory=rule.statutory,
        deadline=_deadline(rule, start, calendar),
        if_extended=_deadline(rule, start, calendar, extended=True) if rule.extension else None,
    )


def _deadline(rule: ClockRule, start: date, calendar: WorkingCalendar, *, extended: bool = False) -> Deadline:
    days = _days_of(rule, calendar)
    length = rule.length(extended=extended)
    match rule.unit:
        case "business_days":
            last = days.nth_working_day(start, length)
        case "days":
            last = add_days(start, length)
        case "months":
            last = add_months(start, length)
    return _ending(last, rule, days)


def _days_of(rule: ClockRule, calendar: WorkingCalendar) -> WorkingCalendar:
    return calendar.statutory() if rule.statutory else calendar


def _ending(last: date, rule: ClockRule, days: WorkingCalendar) -> Deadline:
    on = days.next_working_day(last) if rule.ends_on_working_day else last
    return Deadline(last_day=last, due_at=days.end_of_day(on), calendar=days.version)


def _with_pause(due: DueDates, pause: Pause, calendar: WorkingCalendar, regime: ClockRegime) -> DueDates:
    clocks = []
    for clock in due.clocks:
        rule = regime.clocks.get(clock.id)
        effect = rule.pause.get(pause.reason) if rule else None
        if rule is not None and effect == "restarts":
            clock = _clock(clock.id, rule, calendar.local_day(pause.until), calendar)
        elif rule is not None and effect == "days_added":
            moved = {
                name: _moved(deadline, rule, pause, calendar)
                for name in ("deadline", "if_extended")
                if (deadline := getattr(clock, name)) is not None
            }
            clock = clock.model_copy(update=moved)
        clocks.append(clock)
    return due.changed(clocks=tuple(clocks), pauses=(*due.pauses, pause))


def _moved(deadline: Deadline, rule: ClockRule, pause: Pause, calendar: WorkingCalendar) -> Deadline:
    days = _days_of(rule, calendar)
    start, until = days.local_day(pause.start), days.local_day(pause.until)
    if rule.unit == "business_days":
        last = days.nth_working_day(deadline.last_day, days.working_days_between(start, until))
    else:
        last = add_days(deadline.last_day, (until - start).days)
    return _ending(last, rule, days)


def _earlier(old: RequestClock, new: RequestClock) -> RequestClock:
    def pick(a: Deadline | None, b: Deadline | None) -> Deadline | None:
        return min((d for d in (a, b) if d is not None), key=lambda d: d.due_at, default=None)

    picked = {
        "deadline": pick(old.deadline, new.deadline),
        "if_extended": pick(old.if_extended, new.if_extended),
    }
    return old.model_copy(update=picked)
