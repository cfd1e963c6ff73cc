"""What an objection does follows from the legal basis; what does not follow is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.privacy.policy.loading import ROOT, ConfigError, load_config, load_policy
from include.privacy.policy.objection import (
    check_objection,
    closed_by_restriction,
    effect_of_objection,
    view_schema,
)
from include.privacy.policy.policy import Purpose
from tests.policy import configs

PURPOSE = "analytics.reporting"


def purpose(basis: str, **more: Any) -> Purpose:
    return Purpose.model_validate({"title": "x", "legal_basis": basis, **more})


@pytest.mark.parametrize(
    ("key", "made", "effect"),
    [
        ("analytics.reporting", purpose("legitimate_interests"), "weigh"),
        ("analytics.reporting", purpose("public_task"), "weigh"),
        ("personalize.content", purpose("legitimate_interests", optional=True), "stop"),
        ("personalize.content", purpose("consent"), "stop"),
        ("essential.service", purpose("contract"), "none"),
        ("essential.legal_obligation", purpose("legal_obligation"), "none"),
        ("essential.service", purpose("vital_interests"), "none"),
        # Art. 21(3) knows no weighing, whatever the company calls its basis.
        ("marketing.communications.email", purpose("legitimate_interests"), "stop"),
        ("marketing", purpose("contract"), "stop"),
        ("marketplace.orders", purpose("contract"), "none"),
    ],
)
def test_an_objection_does_what_the_law_says(key: str, made: Purpose, effect: str) -> None:
    assert effect_of_objection(key, made) == effect


def test_a_restriction_closes_everything_but_storage_and_legal_claims() -> None:
    purposes = load_policy(ROOT / "config" / "policy.yaml").purposes
    still_open = {key for key, made in purposes.items() if not closed_by_restriction(key, made)}
    assert still_open == {"functional.storage", "essential.legal_obligation"}


def test_the_shipped_policy_stops_marketing_and_recommendations_and_weighs_analytics() -> None:
    purposes = load_policy(ROOT / "config" / "policy.yaml").purposes
    assert check_objection(purposes, "marketing.communications.email") == "stop"
    assert check_objection(purposes, "personalize.content") == "stop"
    assert check_objection(purposes, "analytics.reporting") == "weigh"
    assert check_objection(purposes, "essential.service.operations") == "none"


def test_an_unknown_purpose_is_refused_and_not_repeated() -> None:
    purposes = load_policy(ROOT / "config" / "policy.yaml").purposes
    with pytest.raises(LookupError, match="objected to is not in") as caught:
        check_objection(purposes, "ada@example.com")
    assert "ada" not in str(caught.value)


def test_the_schema_of_a_purpose_is_a_plain_name() -> None:
    assert view_schema("marketing.communications.email") == "for_marketing_communications_email"


READER = {"title": "x", "legal_basis": "legitimate_interests", "reader": "platform_analytics"}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "marketing that is weighed": (
        {"marketing.x": {"title": "x", "legal_basis": "legitimate_interests", "objection": "weigh"}},
        "purposes.marketing.x.objection",
        "means stop: it is direct marketing",
    ),
    "consent that cannot be withdrawn": (
        {PURPOSE: {"title": "x", "legal_basis": "consent", "objection": "none"}},
        f"purposes.{PURPOSE}.objection",
        "means stop: it rests on consent",
    ),
    "interests that cannot be objected to": (
        {PURPOSE: {"title": "x", "legal_basis": "legitimate_interests", "objection": "none"}},
        f"purposes.{PURPOSE}.objection",
        "means weigh",
    ),
    "a contract that stops": (
        {PURPOSE: {"title": "x", "legal_basis": "contract", "objection": "stop"}},
        f"purposes.{PURPOSE}.objection",
        "means none: it rests on contract",
    ),
    "an optional contract": (
        {PURPOSE: {"title": "x", "legal_basis": "contract", "optional": True}},
        f"purposes.{PURPOSE}.optional",
        "is not optional",
    ),
    "something optional that is weighed": (
        {PURPOSE: {**READER, "objection": "weigh", "optional": True}},
        f"purposes.{PURPOSE}.objection",
        "means stop: it is optional",
    ),
    "one reader for two purposes": (
        {PURPOSE: READER, "personalize.content": READER},
        "purposes.personalize.content.reader",
        "reads for analytics.reporting already",
    ),
    "everybody as reader": (
        {PURPOSE: {**READER, "reader": "public"}},
        f"purposes.{PURPOSE}.reader",
        "a role of PostgreSQL itself",
    ),
    "a reader of a purpose that makes no schema": (
        {"Analytics!": READER},
        "purposes.Analytics!.reader",
        "does not make the name of a schema",
    ),
    "two purposes with one schema": (
        {"analytics.x": READER, "analytics_x": {**READER, "reader": "another"}},
        "purposes.analytics_x.reader",
        "has the schema for_analytics_x too",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_follow_is_refused(tmp_path: Path, case: str) -> None:
    purposes, field, message = REFUSED[case]
    value = configs.policy()
    value["purposes"] |= purposes
    with pytest.raises(ConfigError) as caught:
        load_config(configs.write(tmp_path, policy_value=value))
    assert [p for p in caught.value.problems if p.field == field and message in p.message], str(caught.value)


def test_an_objection_that_is_not_written_follows_too(tmp_path: Path) -> None:
    purposes = load_config(configs.write(tmp_path)).policy.purposes
    assert purposes["essential.service.operations"].objection is None
    assert check_objection(purposes, "essential.service.operations") == "none"
