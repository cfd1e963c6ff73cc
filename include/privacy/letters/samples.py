"""Made-up facts for every branch of every template: what ``make check`` renders and previews show."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, get_args

from include.privacy.letters.facts import (
    Completed,
    Continued,
    Corrected,
    DecisionNeeded,
    Expired,
    Extended,
    Independent,
    Kept,
    ObjectionDecided,
    ObjectionReceived,
    Ready,
    Received,
    RecipientsPending,
    Refused,
    RestrictionLifted,
    Unchanged,
    Verify,
    Waiting,
    Withdrawn,
)
from include.privacy.letters.kinds import Facts, Right
from include.privacy.letters.reasons import CompellingGround, ExtensionReason, Question, RefusalReason

AWAY = "https://practice-engine.example/privacy?request=1&step=2"
# Free text is whatever somebody typed: unescaped, it would become part of the page.
TYPED = 'Written by a person: <script>alert(1)</script> & "quotes".\nA second line.'
_DAY = date(2026, 11, 24)
_DUE = date(2026, 12, 14)
_INSTANT = datetime(2026, 12, 1, 13, 30, tzinfo=UTC)


def samples() -> Iterator[Facts]:
    """Facts for every kind; together they take every branch that the shipped templates have."""
    rights: tuple[Right, ...] = get_args(Right)
    for right in rights:
        about = _about(right)
        yield Received(**about, due_on=_DUE, verified=True, status_url=AWAY)
        yield Received(**about, due_on=_DUE, verified=False)
        yield Verify(**about, link=AWAY, link_expires_at=_INSTANT, due_on=_DUE)
        later: dict[str, Any] = about | {"original_due_on": _DUE, "due_on": date(2027, 1, 25)}
        for why in ExtensionReason:
            yield Extended(**later, reason=why)
            yield Extended(**later, reason=why, explanation=TYPED)
        yield Withdrawn(**about, withdrawn_on=_DUE)
        yield Withdrawn(**about, withdrawn_on=_DUE, already_done=TYPED)
    for right in ("access", "portability"):
        yield Ready(**_about(right), download_url=AWAY, available_until=_INSTANT)
        yield Ready(**_about(right), download_url=AWAY, available_until=_INSTANT, redacted=True)
    for reason in RefusalReason:
        yield Refused(**_about("erasure"), reason=reason, explanation=TYPED)
        if not reason.needs_explanation:
            yield Refused(**_about("access"), reason=reason)
    yield from _endings()
    for question in Question:
        for detail in (None, TYPED):
            yield DecisionNeeded(
                **_about("erasure"), question=question, detail=detail, answer_url=AWAY, answer_by=_DUE
            )


def _endings() -> Iterator[Facts]:
    erasure: dict[str, Any] = _common() | {"completed_on": _DUE, "record_until": date(2029, 12, 15)}
    yield Completed(**erasure)
    yield Completed(
        **erasure,
        kept=(
            Kept(what="Invoices <2026>", ground="legal_obligation", why=TYPED, until=date(2037, 1, 1)),
            Kept(what="Objection to news by e-mail", ground="objection_record", until=None),
        ),
        residual_until=date(2027, 6, 12),
        told=("Stripe", "SendGrid & Co"),
        independent=(Independent(name="PayPal", url=AWAY), Independent(name="Somebody else")),
        certified=True,
    )
    yield RecipientsPending(**_common(), erased_on=_DUE, waiting=(Waiting(name="Stripe"),))
    yield RecipientsPending(
        **_common(),
        erased_on=_DUE,
        waiting=(Waiting(name="Stripe & Co", until=date(2027, 2, 20)), Waiting(name="SendGrid")),
        kept=(
            Kept(what="Invoices <2026>", ground="legal_obligation", why=TYPED, until=date(2037, 1, 1)),
            Kept(what="Objection to news by e-mail", ground="objection_record", until=None),
        ),
        residual_until=date(2027, 6, 12),
        independent=(Independent(name="PayPal", url=AWAY), Independent(name="Somebody else")),
    )
    yield Corrected(**_common(), corrected=("Full name",))
    yield Corrected(
        **_common(),
        corrected=("Full name", "E-mail"),
        unchanged=(Unchanged(what="Date of birth", why=TYPED),),
        told=("Stripe",),
    )
    yield Corrected(**_common(), corrected=(), unchanged=(Unchanged(what="Date of birth", why=TYPED),))
    yield ObjectionReceived(**_common(), stopped=("News by e-mail",), due_on=_DUE)
    yield ObjectionReceived(**_common(), restricted=("Analysing progress & performance",), due_on=_DUE)
    yield ObjectionReceived(
        **_common(), stopped=("News by e-mail",), restricted=("Recommendations",), due_on=_DUE
    )
    going_on = (
        Continued(purpose="Preventing fraud", why=TYPED),
        *(Continued(purpose="Analysing progress", grounds=each) for each in CompellingGround),
        Continued(purpose="Support", grounds=CompellingGround.security, why=TYPED),
    )
    yield ObjectionDecided(**_common(), stopped=("Recommendations",))
    yield ObjectionDecided(**_common(), continued=going_on, restriction_ends_on=_DUE)
    yield ObjectionDecided(
        **_common(), stopped=("Recommendations",), continued=going_on, restriction_ends_on=_DUE
    )
    for right in ("rectification", "objection"):
        yield RestrictionLifted(**_about(right), lifted_on=_DUE, what=("Full name", "E-mail"), why=TYPED)
    yield Expired(**_about("access"), because="no_answer", expired_on=_DUE)
    yield Expired(**_about("access"), because="not_collected", expired_on=_DUE)


def _common() -> dict[str, Any]:
    return {"reference": "PR-2026-0001", "received_on": _DAY}


def _about(right: str) -> dict[str, Any]:
    return _common() | {"right": right}
