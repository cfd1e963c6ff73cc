"""Which rows and columns a job may see, read off the data map; what cannot be kept from it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.privacy.policy.loading import Config, ConfigError, load_config
from include.privacy.policy.purpose_views import LiveViews, PurposeView, compare_views, purpose_views
from tests.policy import configs

ANALYTICS, MARKETING = "analytics.reporting", "marketing.communications.email"
RESTRICTIONS = {
    "purposes": ["essential.service.operations"],
    "subjects": {"holder": {"path": "account_id", "erasure": "delete"}},
    "columns": {
        "account_id": configs.COLUMN,
        "purpose": {"category": "user.privacy_preferences"},
        "reason": {"category": "user.privacy_preferences"},
        "since": {"category": "user.privacy_preferences"},
    },
}
SUPPRESSED = {
    "columns": {"mark": configs.SYSTEM, "purpose": configs.SYSTEM, "since": configs.SYSTEM},
}


def values() -> tuple[dict[str, Any], dict[str, Any]]:
    """Policy and map in which posts serve analytics, and leads the newsletter."""
    policy, people = configs.policy(), configs.people()
    policy["purposes"] |= {
        ANALYTICS: {"title": "x", "legal_basis": "legitimate_interests", "reader": "analysts"},
        MARKETING: {"title": "x", "legal_basis": "consent", "reader": "editors"},
    }
    tables = people["tables"]
    tables["posts"]["purposes"] = ["essential.service.operations", ANALYTICS]
    tables["leads"]["purposes"] = [MARKETING]
    tables["privacy_restrictions"] = RESTRICTIONS
    tables["suppressed_contacts"] = SUPPRESSED
    return policy, people


def load(folder: Path, policy: dict[str, Any], people: dict[str, Any], **more: Any) -> Config:
    return load_config(configs.write(folder, policy_value=policy, people_value=people, **more))


def views(config: Config) -> dict[tuple[str, str], PurposeView]:
    made = purpose_views(config.data_map.root, config.policy.purposes)
    return {(view.schema, view.table): view for view in made}


def test_a_purpose_has_a_view_of_each_table_that_serves_it(tmp_path: Path) -> None:
    found = views(load(tmp_path, *values()))
    assert set(found) == {
        ("for_analytics_reporting", "posts"),
        ("for_marketing_communications_email", "leads"),
        ("for_marketing_communications_email", "suppressed_contacts"),
    }
    assert found["for_analytics_reporting", "posts"].reader == "analysts"


def test_the_owner_hides_the_row_and_whoever_is_only_mentioned_empties_a_column(tmp_path: Path) -> None:
    posts = views(load(tmp_path, *values()))["for_analytics_reporting", "posts"]
    assert posts.hidden_for == ("author",)
    assert posts.emptied_for == {"parent_id": ("answered",)}


def test_whoever_takes_the_row_along_hides_it_too(tmp_path: Path) -> None:
    policy, people = values()
    people["tables"]["posts"]["subjects"]["answered"]["erasure"] = "delete"
    posts = views(load(tmp_path, policy, people))["for_analytics_reporting", "posts"]
    assert posts.hidden_for == ("author", "answered")


def test_a_column_with_other_purposes_or_a_secret_is_left_out(tmp_path: Path) -> None:
    policy, people = values()
    columns = people["tables"]["posts"]["columns"]
    columns["body"]["purposes"] = ["essential.service.operations"]
    columns["draft_token"] = {"category": "user.authorization", "secret": True}
    posts = views(load(tmp_path, policy, people))["for_analytics_reporting", "posts"]
    assert posts.columns == ("id", "author_id", "parent_id")


def test_a_single_column_makes_a_view_of_what_serves_the_purpose(tmp_path: Path) -> None:
    policy, people = values()
    people["tables"]["accounts"]["columns"]["id"] = {**configs.COLUMN, "purposes": [ANALYTICS]}
    accounts = views(load(tmp_path, policy, people))["for_analytics_reporting", "accounts"]
    assert accounts.columns == ("id",)


def test_a_table_about_nobody_is_shown_whole(tmp_path: Path) -> None:
    policy, people = values()
    people["tables"]["plans"]["purposes"] = [ANALYTICS]
    plans = views(load(tmp_path, policy, people))["for_analytics_reporting", "plans"]
    assert (plans.columns, plans.hidden_for) == (("code",), ())


def test_a_purpose_nobody_reads_for_has_no_views(tmp_path: Path) -> None:
    policy, people = values()
    del policy["purposes"][ANALYTICS]["reader"]
    assert {view.purpose for view in views(load(tmp_path, policy, people)).values()} == {MARKETING}


def refused(folder: Path, policy: dict[str, Any], people: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, policy, people, **more)
    assert all(p.fix for p in caught.value.problems)
    return str(caught.value)


def test_a_table_without_a_path_to_a_person_is_refused(tmp_path: Path) -> None:
    policy, people = values()
    people["tables"]["plans"] = {
        "purposes": [ANALYTICS],
        "columns": {"author": {"category": "user.name", "unmasked_because": "staff under contract"}},
    }
    assert "tables.plans: analysts would read author for analytics.reporting, and no path leads" in refused(
        tmp_path, policy, people
    )


def test_a_path_that_leads_to_nobody_in_this_database_is_refused(tmp_path: Path) -> None:
    """The identifier's holders are in another database, where no view can look."""
    policy, people = values()
    elsewhere = {
        "store": "crm",
        "kind": "postgres",
        "connection": "crm_db",
        "tables": {
            "leads": {
                "purposes": [MARKETING],
                "subjects": people["tables"]["leads"]["subjects"],
                "columns": {"email": {"category": "user.contact.email"}},
            },
            "privacy_restrictions": RESTRICTIONS,
        },
    }  # fmt: skip
    (tmp_path / "data_map").mkdir()
    (tmp_path / "data_map" / "20_crm.yaml").write_text(configs.yaml.dump(elsewhere))
    text = refused(tmp_path, policy, people)
    assert (
        "tables.leads.subjects.lead.path: for marketing.communications.email the row must be hidden" in text
    )


def test_a_database_that_does_not_know_who_is_restricted_is_refused(tmp_path: Path) -> None:
    policy, people = values()
    del people["tables"]["privacy_restrictions"]
    assert "nothing says who is restricted: no table privacy_restrictions" in refused(
        tmp_path, policy, people
    )


@pytest.mark.parametrize("table", ["privacy_restrictions", "suppressed_contacts"])
def test_a_table_of_the_contract_with_other_columns_is_refused(tmp_path: Path, table: str) -> None:
    policy, people = values()
    columns = people["tables"][table]["columns"]
    people["tables"][table] = {**people["tables"][table], "columns": {**columns, "note": configs.SYSTEM}}
    assert f"tables.{table}.columns: are not those of the contract" in refused(tmp_path, policy, people)


def test_objects_for_a_purpose_with_a_reader_are_refused(tmp_path: Path) -> None:
    policy, people = values()
    archive = configs.archive()
    archive["content"][0]["purposes"] = [ANALYTICS]
    text = refused(tmp_path, policy, people, archive_value=archive)
    assert "content[0].purposes: analysts would read objects for analytics.reporting" in text


def test_views_that_are_missing_or_old_and_readers_that_go_around_them_are_found(tmp_path: Path) -> None:
    config = load(tmp_path, *values())
    made = {key: view.columns for key, view in views(config).items()}
    same = LiveViews(made, {})
    assert compare_views(config.data_map.root, config.policy.purposes, same) == []
    del made["for_marketing_communications_email", "leads"]
    made["for_analytics_reporting", "posts"] = ("id", "body", "author_id", "parent_id")
    found = compare_views(
        config.data_map.root, config.policy.purposes, LiveViews(made, {"analysts": ["posts"]})
    )
    assert {p.field for p in found} == {"tables.leads.purposes", "tables.posts.purposes", "tables"}
    assert "role analysts can use posts without its views" in str(found)
