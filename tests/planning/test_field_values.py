"""What a person may type into a field, how it is written, and that a refusal never repeats it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.planning.field_values import refusal
from include.privacy.policy.rectify import LONGEST, Rectify


def rule(format_: str = "text", **more: Any) -> Rectify:
    return Rectify.model_validate({"field": "x", "format": format_, **more})


@pytest.mark.parametrize(
    ("rectify", "typed", "written"),
    [
        (rule("name"), "  Ada   Lovelace\n", "Ada Lovelace"),
        (rule("name"), "O\u2019Neill-Szabo\u0301", "O\u2019Neill-Szab\u00f3"),
        (rule("name"), "王小明", "王小明"),
        (rule("email", case="lower"), " Ada@Example.COM ", "ada@example.com"),
        (rule("email"), "ada+news@mail.example.co.uk", "ada+news@mail.example.co.uk"),
        (rule("email"), "zoë@bücher.example", "zoë@bücher.example"),
        (rule("locale"), "en-GB", "en-GB"),
        (rule("time_zone"), "Europe/Berlin", "Europe/Berlin"),
        (rule("country"), "DE", "DE"),
        (rule("date"), "2000-02-29", "2000-02-29"),
        (rule("text"), "two\nlines", "two\nlines"),
        (rule("text", pattern=r"\d{5}"), "12345", "12345"),
        (rule("text", max_length=3), "abc", "abc"),
    ],
)
def test_a_fitting_value_is_written_in_one_form(rectify: Rectify, typed: str, written: str) -> None:
    assert refusal(rectify, typed) == (written, None)


@pytest.mark.parametrize(
    ("rectify", "typed", "why"),
    [
        (rule(), 7, "must be text"),
        (rule(), None, "must be text"),
        (rule(), ["Ada"], "must be text"),
        (rule(), " \n", "is empty"),
        (rule(max_length=3), "abcd", "is longer than 3"),
        (rule("name"), "A" * 201, "is longer than 200"),
        (rule("name"), "Ada\x00", "cannot be printed"),
        (rule("name"), "Ada\u202egnp.exe", "cannot be printed"),
        (rule("name"), "1234", "is no name"),
        (rule("name"), "ada@example.com", "is no name"),
        (rule("name"), "<b>Ada</b>", "is no name"),
        (rule("email"), "ada", "is no e-mail address"),
        (rule("email"), "ada@example", "is no e-mail address"),
        (rule("email"), "ada@example.com, bob@example.com", "is no e-mail address"),
        (rule("email"), "ada@example.com\nBcc: all@example.com", "cannot be printed"),
        (rule("email"), "Ada <ada@example.com>", "is no e-mail address"),
        (rule("email"), "ada@-example.com", "is no e-mail address"),
        (rule("email"), "a" * 65 + "@example.com", "is no e-mail address"),
        (rule("locale"), "english please", "is no locale"),
        (rule("time_zone"), "Mars/Base", "is no time zone"),
        (rule("time_zone"), "../../etc/passwd", "is no time zone"),
        (rule("country"), "de", "is no country"),
        (rule("date"), "29.2.2000", "is no date"),
        (rule("date"), "2001-02-29", "is no date"),
        (rule("date"), "20000229", "is no date"),
        (rule("text", pattern=r"\d{5}"), "123456", "has not the form"),
    ],
)
def test_what_does_not_fit_is_refused(rectify: Rectify, typed: object, why: str) -> None:
    written, reason = refusal(rectify, typed)
    assert reason is not None
    assert why in reason
    assert written == ""


@given(st.sampled_from(sorted(LONGEST)), st.one_of(st.text(), st.emails(), st.integers(), st.none()))
def test_a_refusal_never_repeats_the_value_and_what_is_accepted_stays_accepted(
    format_: str, typed: Any
) -> None:
    rectify = rule(format_, case="lower") if format_ in ("email", "text") else rule(format_)
    written, reason = refusal(rectify, typed)
    if reason is None:
        assert refusal(rectify, written) == (written, None)
        assert "\x00" not in written
        assert len(written) <= rectify.longest
    else:
        # The words of the refusals themselves hold no digits below 35 and no rare letters.
        rare = [w for w in str(typed).split() if len(w) > 14]
        assert not any(word in reason for word in rare)
