"""The generated part of docs/REQUESTS.md: states, clocks, decisions and refusals, from code and config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from include.privacy.policy.calendar import CalendarConfig, ClockRule, Period
from include.privacy.policy.pages import BEGIN, END, renewed
from include.privacy.requests.decisions import KINDS

STATES: Mapping[str, tuple[str, str]] = {
    "received": ("It is in the ledger; its clocks run.", "`intake_subject_requests`"),
    "acknowledged": ("The receipt is confirmed.", "`intake_subject_requests`"),
    "verifying": (
        "Whoever asks has to confirm that it is them.",
        "the person, by a one-time link; the platform; `watch_request_deadlines` at the due date",
    ),
    "assessing": ("Verified; waits for the next run of its right.", "the DAG of the right"),
    "extended": ("The same, with the law's extension used.", "the DAG of the right"),
    "on_hold": ("A legal hold covers the person.", "the DAG of the right, once the hold is released"),
    "awaiting_decision": (
        "Somebody has been asked: the privacy team or the person.",
        "`decide_subject_request`, or `watch_request_deadlines` when nobody answers in time",
    ),
    "executing": ("A run does what was asked.", "the DAG of the right"),
    "notifying": ("The recipients are told.", "the DAG of the right"),
    "verifying_absence": ("Everything is looked for again.", "the DAG of the right"),
    "awaiting_recipients": (
        "Done in every store; a processor is still at work, or staff have to see to it.",
        "`settle_recipients`",
    ),
    "failed": ("A store refuses; somebody has to look.", "the DAG of the right, by hand; the privacy team"),
    "joined": ("The same person had asked the same: follows that request.", "whatever moves the other one"),
    "completed": ("Done, and answered.", "final"),
    "completed_with_retention": ("Done; what is kept, and why, was told.", "final"),
    "refused": ("Not done; the reason and both remedies were told.", "final"),
    "withdrawn": ("The person took it back.", "final"),
    "expired": ("The person was asked something and did not answer.", "final"),
}
"""State → what it means, and who moves a request on from it."""

_PAGE = f"""# The life of a request

{BEGIN}
{END}
"""


def rendered(calendar: CalendarConfig, reasons: Mapping[str, str], current: str | None) -> str:
    """The page with its generated part renewed. ``reasons``: code of a refusal → the wording to the person.

    Raises ``PageError``.
    """
    parts = [*_states(), *_clocks(calendar), *_decisions(), *_questions(calendar), *_refusals(reasons)]
    return renewed(current or _PAGE, "\n".join(parts) + "\n", "REQUESTS.md")


def _states() -> Iterator[str]:
    from include.privacy.ledger.states import REQUEST

    yield "## States\n"
    yield "| state | what it means | who moves it | to |"
    yield "|---|---|---|---|"
    for state, (meaning, who) in STATES.items():
        following = ", ".join(f"`{s}`" for s in STATES if s in REQUEST.get(state, ()))
        yield f"| `{state}` | {meaning} | {who} | {following or 'nothing'} |"
    first = " or ".join(f"`{state}`" for state in sorted(REQUEST[""], reverse=True))
    yield f"\nA request begins as {first}. Any other step is refused by Python and, whoever asks, by the"
    yield "database. Every step is a row of evidence: from where, to where, why, by whom, under which promise"
    yield "and which version of the policy.\n"


def _clocks(calendar: CalendarConfig) -> Iterator[str]:
    yield "## Clocks\n"
    yield "| clock | set by | period | extension | may stand still |"
    yield "|---|---|---|---|---|"
    for name, rule in calendar.clocks.items():
        pause = ", ".join(f"{reason}: {effect.replace('_', ' ')}" for reason, effect in rule.pause.items())
        longer = f"{_length(rule.extension)} more, once" if rule.extension else "none"
        yield f"| `{name}` | {rule.law or rule.promise} | {_period(rule)} | {longer} | {pause or 'never'} |"
    default = ", ".join(f"`{c}`" for c in calendar.regime().clocks)
    yield f"\nBy default these run at once: {default}; the earliest is the due date.\n"
    yield "| when this much of the time has passed | who is told |"
    yield "|---|---|"
    for reminder in calendar.reminders:
        yield f"| {reminder.at:.0%} | {', '.join(role.replace('_', ' ') for role in reminder.to)} |"
    yield ""


def _decisions() -> Iterator[str]:
    yield "## What the privacy team decides\n"
    yield "| kind | question | answers | silence |"
    yield "|---|---|---|---|"
    for name, kind in KINDS.items():
        answers = "; ".join(f"`{option}`: {effect}" for option, effect in kind.options.items())
        two = " (a second person)" if kind.second_person else ""
        yield f"| {name}{two} | {kind.asks} | {answers} | `{kind.default}` |"
    yield ""


def _questions(calendar: CalendarConfig) -> Iterator[str]:
    if not calendar.questions:
        return
    yield "## What a person may be asked\n"
    yield "| question | days to answer | without an answer the request |"
    yield "|---|---|---|"
    for name, rule in calendar.questions.items():
        yield f"| `{name}` | {rule.days} | {'goes on' if rule.unanswered == 'go_on' else 'expires'} |"
    yield ""


def _refusals(reasons: Mapping[str, str]) -> Iterator[str]:
    from include.privacy.letters.reasons import RefusalReason

    yield "## Reasons for a refusal\n"
    yield "The person gets the reason in words, and both remedies: the authority and the courts.\n"
    yield "| reason | Data Rights Protocol | needs an explanation | what the person reads |"
    yield "|---|---|---|---|"
    for reason in RefusalReason:
        explained = "yes" if reason.needs_explanation else "no"
        words = reasons[reason].replace("|", "\\|")
        yield f"| `{reason.value}` | `{reason.drp}` | {explained} | {words} |"


def _period(rule: ClockRule) -> str:
    moved = "; ends on a working day" if rule.ends_on_working_day else ""
    return _length(rule) + moved


def _length(period: Period) -> str:
    unit = period.unit.replace("_", " ")
    return f"{period.amount} {unit.removesuffix('s') if period.amount == 1 else unit}"
