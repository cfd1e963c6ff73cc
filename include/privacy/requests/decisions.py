"""Questions that a person of the privacy team decides: what is asked, what each answer does, who may give it.

Through Airflow go ids, counts, rules and codes only. Whatever a decider writes goes into the ledger, sealed,
by ``python -m include.privacy decide`` or the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.letters.reasons import CompellingGround, RefusalReason
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError

if TYPE_CHECKING:
    from include.privacy.ledger.rows import DecisionRow, RequestRow

TIME_TO_ACT = timedelta(days=3)
"""The answer is due this long before the request itself, so that there is time to act on it."""
LEAST_TIME = timedelta(hours=4)
"""However late a question is put, somebody has this long to answer it."""


class CannotStandError(FindingError):
    """The answer cannot stand: nothing was decided. The message says why and what to do."""


@dataclass(frozen=True)
class Kind:
    """One kind of question. ``options``: answer → what it does. ``default``: what silence means.

    ``parks``: the request waits for the answer. ``grounds``: answer → the codes of which one has to be given.
    """

    asks: str
    options: Mapping[str, str]
    default: str
    parks: bool = True
    second_person: bool = False
    grounds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "refusal": Kind(
        "May this request be refused?",
        {
            "refuse": "the person is told the reason and both remedies, and the request is closed; "
            "nothing else is done",
            "go_on": "the request is carried out",
        },
        default="go_on",
        second_person=True,
    ),
    "extension": Kind(
        "May the person be asked to wait longer?",
        {
            "extend": "the law's extension is used, once, and the person is told the new date and the reason",
            "keep": "the due date stays as it is",
        },
        default="keep",
        parks=False,
    ),
    "exception": Kind(
        "The data map wants somebody to look before these rows are erased. May they be?",
        {
            "erase": "the erasure goes ahead, as the person asked",
            "hold": "a legal hold is placed on the person under the request's id, and the request waits for "
            "its release",
        },
        default="erase",
    ),
    "objection": Kind(
        "Do compelling grounds override this objection?",
        {
            "stop": "the purpose stops for this person, for good",
            "continue": "the restriction ends and the purpose goes on; the person is told why",
        },
        default="stop",
        grounds={"continue": tuple(ground.value for ground in CompellingGround)},
    ),
}
"""Silence never harms the person: nothing is refused, delayed or continued by default."""


@dataclass(frozen=True)
class Reasons:
    """What goes with an answer: a code, and words for the person. Kept sealed as one text."""

    grounds: str | None = None
    explanation: str | None = field(default=None, repr=False)

    def text(self) -> str | None:
        """The form in which the ledger seals it; ``None`` when there is nothing."""
        code = f"{_CODE}{self.grounds}\n" if self.grounds else ""
        return (code + (self.explanation or "").strip()) or None

    @classmethod
    def of(cls, text: str | None) -> Reasons:
        """The reasons that :meth:`text` wrote."""
        first, _, rest = (text or "").partition("\n")
        if first.startswith(_CODE):
            return cls(first.removeprefix(_CODE), rest.strip() or None)
        return cls(None, (text or "").strip() or None)


_CODE = "grounds: "


def decide_by(due_at: datetime, as_of: datetime) -> datetime:
    """Until when an answer is of use; afterwards the default is taken."""
    return max(due_at - TIME_TO_ACT, as_of + LEAST_TIME)


def ask(
    kind: str,
    request: RequestRow,
    facts: Mapping[str, Any],
    as_of: datetime,
    *,
    asked_by: str | None = None,
) -> UUID:
    """Put a question about an open request, once while it is open; returns its id.

    ``facts``: counts, codes, rules and ids, which Airflow will show. The request waits where its kind says so
    and its state allows it. ``asked_by``: who of the staff wants it; somebody else has to confirm.
    """
    rules, ledger = KINDS[kind], runtime().ledger()
    decision_id = ledger.ask_decision(
        kind,
        request.id,
        facts,
        tuple(rules.options),
        rules.default,
        as_of,
        decide_by(request.due_at, as_of),
        asked_by,
    )
    if rules.parks:
        ledger.transition_all([request.id], "awaiting_decision", f"to be decided: {kind}")
    return decision_id


def decide(
    decision: DecisionRow, answer: str, reasons: Reasons, decided_by: str | None, at: datetime
) -> DecisionRow:
    """Write an answer down, whatever door it came through; returns the decision as it then is.

    ``decided_by``: who of the staff; ``None`` when silence takes the default. Raises
    :class:`CannotStandError` when a second person, grounds or an explanation are missing, or when it was
    answered otherwise before. What follows from it is done by :func:`deciding.apply_decisions`.
    """
    from include.privacy.ledger.errors import LedgerError

    if fault := fault_of(decision, answer, reasons):
        raise CannotStandError(f"decision {decision.id}: {fault}")
    try:
        return runtime().ledger().answer_decision(decision.id, answer, reasons.text(), decided_by, at)
    except LedgerError as error:
        raise CannotStandError(f"decision {decision.id}: {error}") from None


def answer_of(request_id: UUID, kind: str) -> DecisionRow | None:
    """The latest answer to a question of that kind about a request, or ``None``.

    ``Reasons.of(found.reasons)`` gives the grounds and the explanation that came with it.
    """
    rows = runtime().ledger().decisions(request_id=request_id)
    answered = [row for row in rows if row.kind == kind and row.answer is not None]
    return max(answered, key=lambda row: row.decided_at or row.asked_at, default=None)


def fault_of(decision: DecisionRow, answer: str, reasons: Reasons) -> str | None:
    """Why the answer cannot stand as it is, or ``None``."""
    if answer not in decision.options:
        return f"answer one of: {', '.join(decision.options)}"
    codes = KINDS[decision.kind].grounds.get(answer)
    if codes and reasons.grounds not in codes:
        return f"the answer {answer} needs one of these grounds: {', '.join(codes)}"
    if answer == "refuse" and _unexplained(decision) and not reasons.explanation:
        return (
            f"a refusal as {decision.facts.get('reason')} needs an explanation for the person; write it with "
            f"python -m include.privacy decide {decision.id} --answer refuse --reasons-file -"
        )
    return None


def choices(decision: DecisionRow) -> list[str]:
    """The options as they are shown: an answer that needs grounds once for each of them."""
    grounds = KINDS[decision.kind].grounds
    return [
        shown
        for option in decision.options
        for shown in ([f"{option}: {code}" for code in grounds[option]] if option in grounds else [option])
    ]


def read_choice(chosen: str) -> tuple[str, Reasons]:
    """The answer and the code in an option as it was shown."""
    answer, _, grounds = chosen.partition(": ")
    return answer, Reasons(grounds or None)


def describe(decision: DecisionRow, request: RequestRow) -> str:
    """The question in Markdown: ids, counts, rules and dates, nothing about anybody."""
    rules = KINDS[decision.kind]
    rows = {
        "request": f"`{request.id}`",
        "right": request.right,
        "state": request.state,
        "due": f"{request.due_at:%Y-%m-%d %H:%M} UTC",
        **{name.replace("_", " "): _shown(value) for name, value in decision.facts.items()},
    }
    lines = [f"**{rules.asks}**", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += ["", *(f"- `{name}`: {effect}." for name, effect in rules.options.items()), ""]
    lines.append(
        f"Without an answer by {decision.answer_by:%Y-%m-%d %H:%M} UTC: `{decision.default_option}`."
    )
    if rules.second_person:
        lines.append("Whoever asked for this cannot confirm it: a second person decides.")
    lines += [
        "",
        "What the person wrote is in the ledger under the request's id, not here. To add words that the "
        "person will read, answer not on this page but with",
        f"`python -m include.privacy decide {decision.id} --answer … --reasons-file -`",
    ]
    return "\n".join(lines)


def _unexplained(decision: DecisionRow) -> bool:
    return RefusalReason(str(decision.facts.get("reason"))).needs_explanation


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{_shown(name)}: {_shown(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(each) for each in value)
    return str(value).replace("|", "\\|").replace("\n", " ")
