"""Which columns a correction changes, in which order, and what it leaves as it was."""

from __future__ import annotations

import pytest

from include.privacy.planning.rectification import (
    Correction,
    plan_rectification,
    rectifiable_fields,
    with_previous,
    without_refused,
)
from include.privacy.policy.data_map import DataMap
from include.privacy.policy.loading import ROOT, load_data_map


@pytest.fixture(scope="module")
def data_map() -> DataMap:
    return load_data_map(ROOT / "config" / "data_map")


def test_an_address_is_corrected_in_the_root_store_first_and_its_traces_go(data_map: DataMap) -> None:
    plan = plan_rectification(data_map, {"email": " Right@Example.com "})
    assert plan.problems == ()
    assert plan.values == {"email": "right@example.com"}
    assert plan.stores == ("accounts", "practice")
    assert [f"{p.store}.{p.label}" for p in plan.places] == [
        "accounts.accounts.email",
        "accounts.newsletter_subscribers.email",
        "practice.learners.settings.notification_email",
    ]
    assert [t.label for t in plan.traces] == ["verification_tokens.sent_to", "account_audit.old_email"]
    assert {t.label for t in plan.kept} == {
        "former_emails.email",
        "invoices.billing_email",
        "support_tickets.requester_email",
        "invitations.invitee_email",
    }
    assert all(t.reason for t in plan.kept)


def test_a_signature_belongs_to_who_signed_and_a_view_is_written_by_its_table(data_map: DataMap) -> None:
    plan = plan_rectification(data_map, {"display_name": "Right Name"})
    assert [(p.label, p.role, p.materialised) for p in plan.places] == [
        ("learners.display_name", "learner", False),
        ("mentor_reviews.mentor_name", "mentor", False),
        ("leaderboard.display_name", "learner", True),
    ]
    assert plan.stores == ("practice",)


def test_each_field_is_judged_alone(data_map: DataMap) -> None:
    plan = plan_rectification(
        data_map,
        {
            "full_name": "Right Name",
            "email": "not an address",
            "billing_address": "1 Right Street",
            "ada@example.com": "x",
        },
    )
    assert plan.values == {"full_name": "Right Name"}
    assert [(p.field, p.code) for p in plan.problems] == [
        ("email", "invalid"),
        ("billing_address", "record"),
        ("(unknown)", "unknown_field"),
    ]
    messages = " ".join(p.message for p in plan.problems)
    assert "email is no e-mail address" in messages
    assert "billing_address: An issued invoice is not changed" in messages
    assert "write one of display_name, email, first_name, full_name, locale, time_zone" in messages
    for typed in ("not an address", "Right Street", "ada@example.com"):
        assert typed not in messages


def test_nothing_that_can_be_corrected_is_no_plan(data_map: DataMap) -> None:
    plan = plan_rectification(data_map, {"billing_address": "1 Right Street"})
    assert (plan.values, plan.stores, plan.places) == ({}, (), ())


def test_values_are_in_no_repr(data_map: DataMap) -> None:
    plan = plan_rectification(data_map, {"full_name": "Right Name"})
    correction = Correction("4711", {"full_name": "Right Name"}, {"email": ("a@b.example",)})
    for word in ("Right Name", "4711", "a@b.example"):
        assert word not in repr(plan) + repr(correction)


def test_the_fields_that_a_form_may_offer(data_map: DataMap) -> None:
    assert set(rectifiable_fields(data_map)) == {
        "email", "full_name", "first_name", "display_name", "locale", "time_zone",
    }  # fmt: skip


def test_what_one_store_held_is_looked_for_in_the_next_and_what_it_refused_is_not_written_there() -> None:
    asked = [
        Correction("1", {"email": "n@x.example", "full_name": "N"}),
        Correction("2", {"email": "m@x.example"}),
    ]
    known = with_previous(asked, {"1": {"email": ("o@x.example",), "locale": ("de",)}})
    known = with_previous(known, {"1": {"email": ("o@x.example", "p@x.example")}})
    assert known[0].previous == {"email": ("o@x.example", "p@x.example"), "full_name": ()}
    assert known[1].previous == {"email": ()}
    left = without_refused(known, {"1": {"email": "already_in_use"}, "2": {"email": "already_in_use"}})
    assert [(c.subject, c.values) for c in left] == [("1", {"full_name": "N"})]
