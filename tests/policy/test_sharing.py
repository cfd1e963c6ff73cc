"""Whose column is whose in a shared row, and what the map refuses about archives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.categories import describe
from include.privacy.policy.data_map import DatabaseMap, Table
from include.privacy.policy.grants import s3_policy
from include.privacy.policy.loading import ROOT, ConfigError, load_config
from include.privacy.policy.sharing import earlier_roles, of_staff, owners
from tests.policy import configs

LEARNER = {"path": "learner_id", "erasure": "delete"}
MENTOR = {"path": "mentor_id", "erasure": {"anonymise": {"mentor_id": {"set": None}}}}
COLUMNS: dict[str, Any] = {
    "id": configs.SYSTEM,
    "learner_id": configs.COLUMN,
    "mentor_id": configs.COLUMN,
    "mentor_name": {"category": "user.name", "of": ["mentor"]},
    "review": {"category": "user.content", "of": ["learner", "mentor"]},
    "mood": {"category": "user.content"},
    "checked_by": {"category": "system.operations", "of": ["staff"]},
}


@pytest.fixture
def reviews() -> Table:
    return Table.model_validate({"subjects": {"learner": LEARNER, "mentor": MENTOR}, "columns": COLUMNS})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("id", {"learner", "mentor"}),
        ("learner_id", {"learner"}),
        ("mentor_id", {"mentor"}),
        ("mentor_name", {"mentor"}),
        ("review", {"learner", "mentor"}),
        ("mood", {"learner"}),
        ("checked_by", {"staff"}),
    ],
)
def test_a_personal_column_is_the_owners_unless_the_map_says_otherwise(
    reviews: Table, column: str, expected: set[str]
) -> None:
    assert owners(reviews, column) == expected
    assert of_staff(reviews, column) == (expected == {"staff"})


def test_roles_come_in_the_order_of_the_map(reviews: Table) -> None:
    assert earlier_roles(reviews, "learner") == ()
    assert earlier_roles(reviews, "mentor") == ("learner",)


def test_a_category_without_a_text_takes_that_of_the_one_above() -> None:
    assert describe("user.contact.email.verified") == describe("user.contact.email")
    assert describe("user.never.heard.of") == describe("user")
    assert describe("system.operations") == describe("system")


def _with(path: str, value: object) -> dict[str, Any]:
    people = configs.people()
    target: Any = people["tables"]["posts"]
    *parents, last = path.split("/")
    for part in parents:
        target = target[part]
    target[last] = value
    return people


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        (
            "columns/body",
            {"category": "user.content", "of": ["autor"]},
            "columns.body.of",
            "has no role autor",
        ),
        (
            "columns/body",
            {"category": "user.content", "of": ["staff", "author"]},
            "columns.body.of",
            "either of staff or of people",
        ),
        (
            "columns/body",
            {"category": "user.content", "file_name": "titel"},
            "columns.body.file_name",
            "no column titel",
        ),
        (
            "subjects/staff",
            {"path": "author_id", "erasure": "delete"},
            "subjects.staff",
            "stands for employees",
        ),
        ("consultations", "when", "consultations", "no column when"),
        ("origin", "guessed", "origin", "not one of the allowed values"),
    ],
)
def test_what_archives_could_not_go_by_is_refused(
    tmp_path: Path, path: str, value: object, field: str, message: str
) -> None:
    configs.write(tmp_path, people_value=_with(path, value))
    with pytest.raises(ConfigError) as refused:
        load_config(tmp_path)
    found = [p for p in refused.value.problems if p.field.endswith(field)]
    assert any(message in p.message for p in found), refused.value.problems


def _archives(**changes: object) -> dict[str, Any]:
    archive = configs.archive()
    answers = {"prefix": "answers/", "purposes": ["essential.service.operations"]}
    return archive | {"archives": [answers]} | changes


def _policy() -> dict[str, Any]:
    policy = configs.policy()
    rule = next(r for r in policy["rules"] if r["id"] == "archives")
    answers = {
        **rule,
        "id": "answers",
        "promise": "P2.4",
        "prefix": "answers/",
        "target_days": 7,
        "limit_days": 30,
    }
    policy["rules"].append(answers)
    policy["promises"]["P2.4"]["enforced_by"] = ["tokens", "answers"]
    return policy


def test_archives_expire_under_a_rule_of_their_own(tmp_path: Path) -> None:
    config = load_config(configs.write(tmp_path, policy_value=_policy(), archive_value=_archives()))
    bucket = config.data_map["archive"]
    assert isinstance(bucket, BucketMap)
    assert [a.prefix for a in bucket.aged] == ["backups/people/", "answers/"]


def test_archives_that_nothing_expires_are_a_problem(tmp_path: Path) -> None:
    configs.write(tmp_path, archive_value=_archives())
    with pytest.raises(ConfigError, match="0 rules expire the archives under answers/"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holds": "invoices"}, "must be the day of issue"),
        ({"holds": "invoices", "key_date": "answers/%Y/"}, "must be the day of issue"),
        ({"key_date": "answers/%Y-%m-%d/"}, "means nothing"),
    ],
)
def test_invoices_have_the_day_of_issue_in_their_keys_and_answers_have_none(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    value = _archives()
    value["archives"][0] |= changes
    configs.write(tmp_path, policy_value=_policy(), archive_value=value)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path)


def test_two_prefixes_for_the_same_are_a_problem(tmp_path: Path) -> None:
    value = _archives()
    value["archives"].append({**value["archives"][0], "prefix": "more/"})
    configs.write(tmp_path, policy_value=_policy(), archive_value=value)
    with pytest.raises(ConfigError, match="another prefix holds answers"):
        load_config(tmp_path)


def test_archives_in_google_cloud_are_refused(tmp_path: Path) -> None:
    configs.write(tmp_path, policy_value=_policy(), archive_value=_archives(kind="gcs"))
    with pytest.raises(ConfigError, match="archives lie in S3"):
        load_config(tmp_path)


def test_only_the_archives_may_be_written(tmp_path: Path) -> None:
    config = load_config(configs.write(tmp_path, policy_value=_policy(), archive_value=_archives()))
    bucket = config.data_map["archive"]
    assert isinstance(bucket, BucketMap)
    writing = [s for s in s3_policy(bucket)["Statement"] if "s3:PutObject" in s["Action"]]
    assert [s["Resource"] for s in writing] == [["arn:aws:s3:::some-archive/answers/*"]]
    assert "kms:Decrypt" in json.dumps(s3_policy(bucket))


def test_the_shipped_map_explains_every_column_of_people() -> None:
    """Everything that can be exported has words of its own or those of its category."""
    for store in load_config(ROOT / "config").data_map.stores:
        for table in store.tables.values() if isinstance(store, DatabaseMap) else ():
            for column in table.columns.values():
                assert (column.description or describe(column.category)).endswith(".")
            for number, (role, subject) in enumerate(table.subjects.items()):
                assert (subject.title if number else table.title).endswith("."), (table.title, role)


def test_recommendations_and_levels_are_inferred_in_the_shipped_map() -> None:
    practice = load_config(ROOT / "config").data_map["practice"]
    assert isinstance(practice, DatabaseMap)
    assert practice.tables["recommendations"].origin == "inferred"
    assert practice.tables["progress"].columns["level"].origin == "inferred"
    assert practice.tables["attempts"].origin == "observed"
