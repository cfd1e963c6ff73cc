"""Questions and answers without a ledger: what is shown, what is sealed, the page that is made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.ledger.rows import DecisionRow, RequestRow
from include.privacy.letters.reasons import CompellingGround, ExtensionReason, Question, RefusalReason
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.policy.pages import PageError
from include.privacy.requests import decisions, pages, refusing
from include.privacy.requests.decisions import KINDS, Reasons
from include.privacy.requests.due import EXTENSION_REASONS

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ID = UUID("6f1c2d8a-0000-4000-8000-000000000001")
PERSON = "Ada Example <ada@example.org>"


def question(kind: str, **facts: object) -> DecisionRow:
    rules = KINDS[kind]
    return DecisionRow(
        id=ID,
        kind=kind,
        request_id=ID,
        facts=facts,
        options=tuple(rules.options),
        default_option=rules.default,
        asked_at=AS_OF,
        answer_by=AS_OF + timedelta(days=5),
        presented_at=None,
        answer=None,
        decided_at=None,
        by_default=None,
    )


def request() -> RequestRow:
    empty: dict[str, object] = {}
    return RequestRow(
        id=ID,
        external_id=str(ID),
        right="erasure",
        state="awaiting_decision",
        reason=None,
        channel="letter",
        received_at=AS_OF,
        verified_at=AS_OF,
        due_at=AS_OF + timedelta(days=20),
        subject_key=PERSON,
        details={"note": PERSON},
        joined_to=None,
        run_id=None,
        residual_until=None,
        answer=None,
        closed_at=None,
        verification=empty,
        due=empty,
        agent={"name": PERSON},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_shows_ids_rules_and_what_each_answer_does_and_nobody(kind: str) -> None:
    text = decisions.describe(question(kind, rows={"audit | log": 2}, codes=["a", "b"]), request())
    assert "Ada" not in text and "@" not in text
    for option, effect in KINDS[kind].options.items():
        assert f"- `{option}`: {effect}." in text
    assert f"Without an answer by 2026-11-25 09:30 UTC: `{KINDS[kind].default}`." in text
    assert "| rows | audit \\| log: 2 |" in text and "| codes | a, b |" in text
    assert ("second person" in text) == (kind == "refusal")


def test_silence_is_one_of_the_answers_and_never_the_one_that_harms_the_person() -> None:
    assert {name: kind.default for name, kind in KINDS.items()} == {
        "refusal": "go_on",
        "extension": "keep",
        "exception": "erase",
        "objection": "stop",
    }
    assert all(kind.default in kind.options for kind in KINDS.values())


def test_an_answer_that_needs_grounds_is_shown_once_for_each_and_read_back() -> None:
    shown = decisions.choices(question("objection"))
    assert shown == ["stop", *(f"continue: {ground}" for ground in CompellingGround)]
    assert decisions.read_choice("continue: security") == ("continue", Reasons("security"))
    assert decisions.read_choice("stop") == ("stop", Reasons())
    for kind in ("refusal", "extension", "exception"):
        assert decisions.choices(question(kind)) == list(KINDS[kind].options)


def test_an_answer_that_cannot_stand_says_what_is_missing() -> None:
    def fault(kind: str, answer: str, reasons: Reasons = Reasons(), **facts: object) -> str | None:  # noqa: B008 - a frozen value
        return decisions.fault_of(question(kind, **facts), answer, reasons)

    assert fault("refusal", "perhaps", reason="duplicate") == "answer one of: refuse, go_on"
    assert fault("refusal", "refuse", reason="duplicate") is None
    assert "needs an explanation" in str(fault("refusal", "refuse", reason="excessive"))
    assert fault("refusal", "refuse", Reasons(None, "400 times"), reason="excessive") is None
    assert fault("refusal", "go_on", reason="excessive") is None
    assert "legal_claims" in str(fault("objection", "continue", Reasons(None, "because")))
    assert "legal_claims" in str(fault("objection", "continue", Reasons("habit")))
    assert fault("objection", "continue", Reasons("security")) is None


texts = st.none() | st.text(min_size=1).map(str.strip).filter(lambda t: t and not t.startswith("grounds: "))


@given(st.sampled_from([None, *CompellingGround]), texts)
def test_grounds_and_words_survive_being_sealed_as_one_text(grounds: str | None, words: str | None) -> None:
    assert Reasons.of(Reasons(grounds, words).text()) == Reasons(grounds, words)
    assert words is None or len(words) < 3 or words not in repr(Reasons(grounds, words))


@given(st.integers(-40, 40))
def test_there_is_time_to_act_on_an_answer_and_always_some_to_give_it(days: int) -> None:
    due = AS_OF + timedelta(days=days)
    answer_by = decisions.decide_by(due, AS_OF)
    assert answer_by >= AS_OF + decisions.LEAST_TIME
    assert answer_by <= max(due - decisions.TIME_TO_ACT, AS_OF + decisions.LEAST_TIME)


def test_codes_are_the_same_wherever_they_are_written_down() -> None:
    config = load_config()
    assert tuple(ExtensionReason) == EXTENSION_REASONS
    assert set(refusing.BY_STAFF) == set(RefusalReason) - {RefusalReason.insufficient_verification}
    assert set(config.calendar.questions) == {each.value for each in Question}


def test_the_page_of_requests_is_current_and_keeps_what_people_wrote_around_it() -> None:
    config = load_config()
    reasons = {reason.value: f"why | {reason.value}" for reason in RefusalReason}
    page = pages.rendered(config.calendar, reasons, None)
    assert "why \\| excessive" in page
    mine = page.replace("# The life of a request", "# Mine") + "\nAnd more.\n"
    assert pages.rendered(config.calendar, reasons, mine) == mine
    with pytest.raises(PageError, match=r"REQUESTS\.md has lost its markers"):
        pages.rendered(config.calendar, reasons, "# The life of a request\n")
    shipped = (ROOT / "docs" / "REQUESTS.md").read_text(encoding="utf-8")
    assert all(f"| `{state}` |" in shipped for state in pages.STATES)
