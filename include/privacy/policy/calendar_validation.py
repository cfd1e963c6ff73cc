"""Whether the calendar holds together: a country that exists, clocks that are known, roles that answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from include.privacy.policy.calendar import CalendarConfig
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.problems import Problem, nearest, suggestion
from include.privacy.policy.promises import ANSWER_BUSINESS_DAYS, ANSWER_PROMISE, PROMISES


def calendar_problems(calendar: CalendarConfig, document: Document) -> list[Problem]:
    """Problems of ``calendar.yaml`` that its models cannot see alone."""
    return [
        *_country_problems(calendar, document),
        *_clock_problems(calendar, document),
        *_regime_problems(calendar, document),
        *_reminder_problems(calendar, document),
    ]


def _country_problems(calendar: CalendarConfig, document: Document) -> Iterator[Problem]:
    import holidays
    from holidays.registry import COUNTRIES

    codes = {code for _, code, *_ in COUNTRIES.values()}
    if calendar.country not in codes:
        # What people write instead of the code: the name, the code of three letters, UK.
        names = {
            _plain(name): code
            for key, (title, code, *others) in COUNTRIES.items()
            for name in (key, title, code, *others)
        }
        yield document.problem(
            ("country",), "is no country whose holidays are known", _code(calendar.country, names, codes)
        )
        return
    public = holidays.country_holidays(calendar.country)
    if calendar.subdivision is not None and calendar.subdivision not in public.subdivisions:
        known = set(public.subdivisions)
        names = {
            _plain(name): code
            for code, aliases in public.get_subdivision_aliases().items()
            for name in (code, f"{calendar.country}-{code}", *aliases)
        }
        fix = _code(calendar.subdivision, names, known) if known else "remove it; the country has none"
        yield document.problem(
            ("subdivision",), f"is no part of {calendar.country} with holidays of its own", fix
        )


def _code(word: str, names: Mapping[str, str], codes: set[str]) -> str:
    """Which of the codes to write; ``names`` are all the words that stand for one."""
    plain = _plain(word)
    meant = plain if plain in names else nearest(plain, names)
    return f"write {names[meant]}" if meant else suggestion("", codes)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _clock_problems(calendar: CalendarConfig, document: Document) -> Iterator[Problem]:
    for name, rule in calendar.clocks.items():
        loc: Loc = ("clocks", name)
        if rule.promise is not None and rule.promise not in PROMISES:
            yield document.problem(
                (*loc, "promise"), "is no promise of the policy", suggestion(rule.promise, PROMISES)
            )
        if rule.promise != ANSWER_PROMISE:
            continue
        if rule.unit != "business_days":
            yield document.problem(
                (*loc, rule.unit),
                f"{ANSWER_PROMISE} is counted in business days",
                f"write business_days: {ANSWER_BUSINESS_DAYS}",
            )
        elif rule.amount > ANSWER_BUSINESS_DAYS:
            yield document.problem(
                (*loc, "business_days"),
                f"{ANSWER_PROMISE} promises {ANSWER_BUSINESS_DAYS} business days at most",
                f"write {ANSWER_BUSINESS_DAYS} or fewer",
            )


def _regime_problems(calendar: CalendarConfig, document: Document) -> Iterator[Problem]:
    promised = [name for name, rule in calendar.clocks.items() if rule.promise == ANSWER_PROMISE]
    if not promised:
        yield document.problem(
            ("clocks",),
            f"no clock keeps promise {ANSWER_PROMISE}",
            f"add `policy_promise: {{promise: {ANSWER_PROMISE}, business_days: {ANSWER_BUSINESS_DAYS}}}`",
        )
    for name, regime in calendar.regimes.items():
        loc: Loc = ("regimes", name, "clocks")
        for index, clock in enumerate(regime.clocks):
            if clock not in calendar.clocks:
                yield document.problem(
                    (*loc, index), "there is no such clock", suggestion(clock, calendar.clocks)
                )
            elif clock in regime.clocks[:index]:
                yield document.problem((*loc, index), "names the clock twice", "keep one")
        if promised and not set(promised) & set(regime.clocks):
            yield document.problem(
                loc,
                f"leaves out promise {ANSWER_PROMISE}, which is made to everybody",
                f"add {promised[0]}",
            )
    if calendar.default_regime not in calendar.regimes:
        yield document.problem(
            ("default_regime",),
            "there is no such regime",
            suggestion(calendar.default_regime, calendar.regimes),
        )


def _reminder_problems(calendar: CalendarConfig, document: Document) -> Iterator[Problem]:
    for index, reminder in enumerate(calendar.reminders):
        for position, role in enumerate(reminder.to):
            if role not in calendar.roles:
                fix = suggestion(role, calendar.roles) if calendar.roles else f"add `roles: {{{role}: {{}}}}`"
                yield document.problem(("reminders", index, "to", position), "there is no such role", fix)
    for index, (before, after) in enumerate(pairwise(calendar.reminders), start=1):
        if after.at <= before.at:
            yield document.problem(
                ("reminders", index, "at"),
                "does not come after the one above it",
                "write each fraction once, the smallest first",
            )
