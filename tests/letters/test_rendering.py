"""Every letter in every language: what it says, that both forms say it, and what can never get in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.letters.facts import FACTS, Completed, Kept, Ready, Refused, Verify, facts_of
from include.privacy.letters.kinds import Facts, FactsError, Ground, LetterKind
from include.privacy.letters.letter import Letter, one_line, plain
from include.privacy.letters.reasons import RefusalReason
from include.privacy.letters.rendering import Letters
from include.privacy.letters.samples import TYPED, samples
from include.privacy.letters.words import words_of
from include.privacy.policy.loading import ROOT, load_config
from tests.letters.reading import read, said, said_in_text

LANGUAGES = ("en", "de")
HEAD = load_config(ROOT / "config").letters.head
ABOUT: dict[str, Any] = {"reference": "PR-77", "right": "erasure", "received_on": date(2026, 11, 24)}
EVERY = [pytest.param(f, id=f"{f.kind}-{n}") for n, f in enumerate(samples())]


def test_there_are_made_up_facts_for_every_kind() -> None:
    assert {facts.kind for facts in samples()} == set(LetterKind) == set(FACTS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("facts", EVERY)
def test_every_letter_names_reference_company_contact_authority_and_court_in_both_forms(
    letters: Letters, facts: Facts, language: str
) -> None:
    letter = letters.render(facts.kind, facts, language=language)
    words = "".join(said(letter.html))
    for must in (
        facts.reference,
        HEAD.company.name,
        HEAD.privacy_contact.address,
        HEAD.authority.url,
        HEAD.authority.name[language],
        HEAD.court_remedy[language],
    ):
        assert must in letter.text
        assert "".join(must.split()).casefold() in words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("facts", EVERY)
def test_the_html_says_word_for_word_what_the_text_says(
    letters: Letters, facts: Facts, language: str
) -> None:
    letter = letters.render(facts.kind, facts, language=language)
    assert said(letter.html) == said_in_text(letter.text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("facts", EVERY)
def test_the_html_is_a_whole_page_that_loads_nothing_and_links_to_https_and_mail_only(
    letters: Letters, facts: Facts, language: str
) -> None:
    page = letters.render(facts.kind, facts, language=language).html
    assert page.startswith(f'<!doctype html>\n<html lang="{language}">')
    seen = read(page)
    assert not {"img", "script", "link", "iframe", "object", "form", "svg"} & set(seen.tags)
    assert {link.split(":")[0] for link in seen.links} <= {"https", "mailto"}
    assert "src=" not in page
    assert "url(" not in page


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", RefusalReason)
def test_a_refusal_carries_its_reason_the_authority_and_the_court(
    letters: Letters, reason: RefusalReason, language: str
) -> None:
    facts = Refused(**ABOUT, reason=reason, explanation="Only in this case.")
    letter = letters.render("refused", facts, language=language)
    wording = words_of(load_config(ROOT / "config").letters, language).reasons[reason]
    for must in (
        wording.why,
        wording.then,
        "Only in this case.",
        HEAD.authority.url,
        HEAD.court_remedy[language],
    ):
        assert must in letter.text
        assert "".join(must.split()).casefold() in "".join(said(letter.html))


@pytest.mark.parametrize(
    ("reason", "language", "subject"),
    [
        ("no_such_account", "en", "We hold no data about you"),
        ("no_such_account", "de", "Wir haben keine Daten über Sie gespeichert"),
        ("no_match", "en", "We hold no data about you"),
        ("duplicate", "en", "We cannot fulfil your request to have your data deleted"),
    ],
)
def test_nothing_found_is_an_answer_and_not_a_refusal(
    letters: Letters, reason: str, language: str, subject: str
) -> None:
    assert letters.render("refused", ABOUT | {"reason": reason}, language=language).subject == subject


def test_the_reasons_of_the_data_rights_protocol_are_understood_and_spoken() -> None:
    spoken = {
        "suspected_fraud", "insuf_verification", "no_match", "claim_not_covered",
        "outside_jurisdiction", "too_many_requests", "other",
    }  # fmt: skip
    assert {reason.drp for reason in RefusalReason} == spoken
    assert all(RefusalReason(word).drp == word for word in spoken)
    with pytest.raises(ValueError, match="because"):
        RefusalReason("because")


@pytest.mark.parametrize("reason", ["manifestly_unfounded", "excessive", "other"])
def test_a_refusal_whose_burden_of_proof_is_ours_must_be_explained(letters: Letters, reason: str) -> None:
    with pytest.raises(FactsError, match="explanation must say why"):
        letters.render("refused", ABOUT | {"reason": reason})


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_completed_erasure_names_what_is_kept_why_until_when_and_when_backups_end(
    letters: Letters, language: str
) -> None:
    kept = [
        Kept(what=f"Thing {g}", ground=g, until=date(2037, 3, 1))
        for u in get_args(Ground)
        for g in get_args(u)
    ]
    facts = Completed(
        **ABOUT | {"completed_on": date(2026, 12, 1)},
        kept=tuple(kept),
        residual_until=date(2027, 5, 30),
        record_until=date(2029, 12, 2),
    )
    text = letters.render("completed", facts, language=language).text
    grounds = words_of(load_config(ROOT / "config").letters, language).grounds
    ends = {
        "en": ("1 March 2037", "30 May 2027", "2 December 2029"),
        "de": ("1. März 2037", "30. Mai 2027", "2. Dezember 2029"),
    }
    for item in kept:
        line = next(line for line in text.splitlines() if line.startswith(f"- Thing {item.ground}:"))
        assert grounds[item.ground] in line
        assert ends[language][0] in line
    assert all(end in text for end in ends[language])


def test_dates_are_those_of_the_companys_zone_and_times_say_how_far_from_utc(letters: Letters) -> None:
    verify = Verify(
        **ABOUT,
        link="https://example.org/v/abc",
        link_expires_at=datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
        due_on=date(2026, 12, 14),
    )
    assert "until 1 January 2027, 00:30 (UTC+01:00)" in letters.render("verify", verify).text
    summer = verify.model_copy(update={"link_expires_at": datetime(2027, 7, 1, 8, 0, tzinfo=UTC)})
    assert "bis 1. Juli 2027, 10:00 Uhr (UTC+02:00)" in letters.render("verify", summer, language="de").text


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("de", "de"), ("de-AT", "de"), ("DE_ch", "de"), ("fr", "en"), ("", "en"), (None, "en")],
)
def test_a_language_that_there_is_not_becomes_the_default_one(
    letters: Letters, wanted: str | None, chosen: str
) -> None:
    assert letters.language(wanted) == chosen
    letter = letters.render("withdrawn", ABOUT | {"withdrawn_on": date(2026, 12, 1)}, language=wanted)
    assert letter.language == chosen


def test_what_people_typed_is_escaped_in_html_and_left_alone_in_text(letters: Letters) -> None:
    letter = letters.render("refused", ABOUT | {"reason": "other", "explanation": TYPED})
    assert TYPED in letter.text
    assert "<script>" not in letter.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in letter.html


def test_what_people_typed_is_no_template(letters: Letters) -> None:
    typed = "{{ company.name }} {% raw %}"
    letter = letters.render("refused", ABOUT | {"reason": "other", "explanation": typed})
    assert typed in letter.text


@pytest.mark.parametrize(
    "link", ["http://example.org/x", "javascript:alert(1)", 'https://example.org/"onclick="x', "https://a b"]
)
def test_a_link_that_is_not_plain_https_is_refused(letters: Letters, link: str) -> None:
    facts = ABOUT | {
        "right": "access",
        "download_url": link,
        "available_until": datetime(2026, 12, 1, tzinfo=UTC),
    }
    with pytest.raises(FactsError, match="download_url"):
        letters.render("ready", facts)


@pytest.mark.parametrize("kind", LetterKind)
def test_a_forgotten_fact_is_named_and_no_value_is_repeated(letters: Letters, kind: LetterKind) -> None:
    model = FACTS[kind]
    whole = next(f for f in samples() if f.kind is kind).model_dump()
    for name, field in model.model_fields.items():
        if not field.is_required():
            continue
        given = {n: v for n, v in whole.items() if n != name}
        with pytest.raises(FactsError, match=rf"a letter {kind} cannot be written: {name}: Field required"):
            letters.render(kind, given)
    with pytest.raises(FactsError, match="address") as refused:
        letters.render(kind, whole | {"address": "somebody@example.org"})
    assert "somebody" not in str(refused.value)


def test_a_wrong_value_is_named_and_not_repeated() -> None:
    with pytest.raises(FactsError, match="due_on") as refused:
        facts_of("received", ABOUT | {"due_on": "Anna Muster", "verified": True})
    assert "Anna" not in str(refused.value)


def test_facts_of_another_kind_and_unknown_kinds_are_refused(letters: Letters) -> None:
    ready = next(f for f in samples() if isinstance(f, Ready))
    with pytest.raises(FactsError, match="from Refused, not Ready"):
        letters.render("refused", ready)
    with pytest.raises(FactsError, match="no letter 'reveived'; write one of received"):
        letters.render("reveived", ABOUT)


def test_facts_survive_json_so_that_a_letter_can_be_written_later(letters: Letters) -> None:
    for facts in samples():
        again = facts_of(facts.kind, type(facts).model_validate_json(facts.model_dump_json()))
        assert letters.render(facts.kind, again) == letters.render(facts.kind, facts)


def test_neither_facts_nor_letters_show_their_content_when_logged(letters: Letters) -> None:
    facts = Refused(**ABOUT, reason=RefusalReason.other, explanation="Anna Muster moved to Bonn")
    assert "Anna" not in f"{facts!r} {facts}"
    assert "Anna" not in repr(letters.render("refused", facts))


@given(st.text(max_size=400))
def test_no_text_whatever_can_begin_a_second_header_line(text: str) -> None:
    line = one_line(text)
    assert line == one_line(line)
    assert len(line) <= 200
    assert len(f"Subject: {line}\r\n".splitlines()) == 1
    assert plain(text) == plain(plain(text))
    line.encode()


@pytest.mark.parametrize(
    "subject", ["", "Hello\r\nBcc: other@example.org", "Hello\x0bthere", "a\u2028b", "x\u202ey"]
)
def test_a_letter_with_an_unsafe_subject_cannot_exist(subject: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        Letter("refused", "en", subject, "text", "<p>")
