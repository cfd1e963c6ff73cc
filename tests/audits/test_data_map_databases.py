"""Each thing that a database can have and its map not know is found once, and quiet once it is mapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from include.privacy.audits.data_map import databases, processors
from include.privacy.audits.data_map.findings import MapFinding
from include.privacy.audits.data_map.vendors import VENDORS, vendor_in
from include.privacy.detection.tally import Tally
from include.privacy.planning.catalogue import ForeignKey, LiveColumn, LiveSchema, LiveTable
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import ROOT, load_config, load_policy
from include.privacy.policy.looks import Kind
from include.privacy.policy.processors import ProcessorMap
from include.privacy.policy.purpose_views import LiveViews
from include.privacy.stores.postgres.sampling import Sample
from tests.stores.postgres.support import database

POLICY = load_policy(ROOT / "config" / "policy.yaml")


def mapped(**tables: Any) -> DatabaseMap:
    people = {
        "purposes": ["essential.service.operations"],
        "subjects": {"holder": {"path": "id", "erasure": "delete"}},
        "columns": {"id": "user.unique_id", "email": "user.contact.email", "score": "user.behavior"},
    }
    return database({"people": people, **tables})


def live(*keys: ForeignKey, **tables: dict[str, str]) -> LiveSchema:
    tables = {"people": {"id": "bigint", "email": "text", "score": "integer"}, **tables}
    made = {
        name: LiveTable(name, "table", {c: LiveColumn(c, t) for c, t in columns.items()}, ("id",))
        for name, columns in tables.items()
    }
    return LiveSchema("public", made, keys)


def told(findings: Iterable[MapFinding]) -> list[tuple[str, str]]:
    found = list(findings)
    assert all(f.what and f.fix for f in found)
    return [(f.promise, f.code) for f in found]


LOOKUP = {"columns": {"id": "system.operations", "title": "system.operations"}}
POSTS = {
    "purposes": ["essential.service.operations"],
    "subjects": {"author": {"path": "author", "erasure": "delete"}},
    "columns": {"id": "system.operations", "author": "user.unique_id"},
}
KEY = ForeignKey("posts_author", "posts", ("author",), "people", ("id",))


@pytest.mark.parametrize(
    ("there", "unmapped", "known", "finding"),
    [
        (live(tags={"id": "int", "title": "text"}), mapped(), mapped(tags=LOOKUP), ("P2.4", "unknown_table")),
        (
            live(tags={"id": "int", "title": "text"}),
            mapped(tags={"columns": {"id": "system.operations"}}),
            mapped(tags=LOOKUP),
            ("P2.4", "unknown_column"),
        ),
        (live(), mapped(tags=LOOKUP), mapped(), ("P2.4", "missing_table")),
        (
            live(posts={"id": "int", "author": "bigint"}),
            mapped(posts=POSTS | {"columns": POSTS["columns"] | {"read_at": "user.behavior"}}),
            mapped(posts=POSTS),
            ("P2.2", "missing_column"),
        ),
        (
            live(KEY, posts={"id": "int", "author": "bigint"}),
            mapped(posts={"columns": {"id": "system.operations", "author": "system.operations"}}),
            mapped(posts=POSTS),
            ("P2.4", "unmapped_foreign_key"),
        ),
        (
            live(tags={"id": "int", "title": "text"}),
            mapped(tags=LOOKUP | {"kind": "materialised_view"}),
            mapped(tags=LOOKUP),
            ("P2.4", "does_not_fit"),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_catalogue_and_map_do_not_agree_on_is_found_until_it_is_mapped(
    there: LiveSchema, unmapped: DatabaseMap, known: DatabaseMap, finding: tuple[str, str]
) -> None:
    assert told(databases.judge_schema(unmapped, there, POLICY)) == [finding]
    assert told(databases.judge_schema(known, there, POLICY)) == []


def test_views_for_the_jobs_that_are_missing_do_not_fit() -> None:
    practice = load_config(ROOT / "config").data_map["practice"]
    assert isinstance(practice, DatabaseMap)
    found = told(databases.judge_views(practice, LiveViews({}, {}), POLICY))
    assert set(found) == {("P2.4", "does_not_fit")}
    assert told(databases.judge_views(mapped(), LiveViews({}, {}), POLICY)) == [], "no purpose with a reader"


def test_a_schema_that_no_map_knows_is_found_until_it_is_mapped_or_excused() -> None:
    def look(db: DatabaseMap, beside: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
        schemas = {"public": 9, "crm": 4, "privacy_work": 2, "for_analytics_reporting": 1}
        with_view = db.model_copy(update={"tables": {"people": _counted(db)}})
        return told(databases.judge_other_schemas(with_view, schemas, beside, POLICY, "privacy_work"))

    assert look(mapped()) == [("P2.4", "unknown_schema")], "our own schemas are no finding"
    assert look(mapped(), frozenset({"crm"})) == []
    assert look(mapped().model_copy(update={"other_schemas": {"crm": "extension of the database"}})) == []


def _counted(db: DatabaseMap) -> Any:
    return db.tables["people"].model_copy(update={"purposes": ("analytics.reporting",)})


def test_a_type_that_changed_since_the_map_was_first_looked_at_breaks_the_promise_about_its_data() -> None:
    before = {"people": {"id": "bigint", "email": "text", "score": "integer"}}
    now = databases.types_of(mapped(), live(people={"id": "bigint", "email": "text", "score": "text"}))
    found = list(databases.judge_types(mapped(), before, now, POLICY))
    assert told(found) == [("P2.2", "changed_type")]
    assert "people.score was integer when the map was written, and is text" in str(found[0])
    assert told(databases.judge_types(mapped(), now, now, POLICY)) == []
    assert told(databases.judge_types(mapped(), {}, now, POLICY)) == [], "nothing is known of before"


def test_a_category_that_no_promise_names_is_found_in_a_store_and_at_a_processor() -> None:
    ill = POSTS | {"columns": POSTS["columns"] | {"illness": "user.health_and_medical"}}
    assert told(databases.judge_categories(mapped(posts=ill), POLICY)) == [("P2.4", "category_not_promised")]
    assert told(databases.judge_categories(mapped(posts=POSTS), POLICY)) == []
    staff = {"columns": {"id": "system.operations", "illness": "user.health_and_medical"}}
    assert told(databases.judge_categories(mapped(staff=staff), POLICY)) == [], "of employees"

    def stripe(category: str) -> ProcessorMap:
        return ProcessorMap.model_validate(
            {
                "processor": "stripe", "promise": "P5.1", "title": "x", "connection": "stripe",
                "collections": {"customers": {"title": "x", "fields": {"mood": {"category": category}}}},
            }
        )  # fmt: skip

    assert told(processors.judge(stripe("user.biometric"), POLICY)) == [("P5.1", "category_not_promised")]
    assert told(processors.judge(stripe("user.name.first"), POLICY)) == []


def test_a_column_called_after_a_company_is_found_until_the_company_is_mapped_or_the_name_excused() -> None:
    column = {"category": "system.operations"}
    there = live(tags={"id": "int", "mailchimp_id": "text"})
    known = mapped(tags={"columns": {"id": "system.operations", "mailchimp_id": column}})
    excused = column | {"looks_like": {"processor": "left over, always empty"}}
    assert told(databases.judge_names(known, there, frozenset({"stripe"}))) == [("P2.4", "unknown_processor")]
    assert told(databases.judge_names(known, there, frozenset({"mailchimp"}))) == []
    quiet = mapped(tags={"columns": {"id": "system.operations", "mailchimp_id": excused}})
    assert told(databases.judge_names(quiet, there, frozenset())) == []
    assert vendor_in("intercomUserId", ()) == "intercom"
    assert [v for v in VENDORS if vendor_in("strip_of_paper_intercoms", ()) == v] == []


CONTENTS = [
    (Kind.email, "P2.1", "personal_content"),
    (Kind.name, "P2.1", "personal_content"),
    (Kind.card, "P2.1", "personal_content"),
    (Kind.iban, "P2.1", "personal_content"),
    (Kind.gateway_id, "P2.1", "personal_content"),
    (Kind.ip, "P2.3", "personal_content"),
    (Kind.phone, "P2.4", "personal_content"),
    (Kind.password, "P2.1", "secret_content"),
    (Kind.token, "P2.1", "secret_content"),
    (Kind.free_text, "P2.2", "free_text"),
]


@pytest.mark.parametrize(("kind", "promise", "code"), CONTENTS)
def test_contents_that_look_personal_are_found_and_an_excuse_with_a_reason_ends_it(
    kind: Kind, promise: str, code: str
) -> None:
    tally = Tally(looked=40, found=Counter({kind: 4}), card_shaped=4)
    samples = {"tags": Sample(40, {"title": tally}), "new": Sample(40, {"x": Tally(40, Counter({kind: 2}))})}
    plain = mapped(tags=LOOKUP)
    excused = {"category": "system.operations", "looks_like": {kind: "a reason given"}}
    found = list(databases.judge_contents(plain, samples, POLICY))
    assert told(found) == [(promise, code)], "two values are too few to say so of the unknown table"
    assert "4 of 40 values looked at in tags.title" in str(found[0])
    quiet = mapped(tags={"columns": {"id": "system.operations", "title": excused}})
    assert told(databases.judge_contents(quiet, samples, POLICY)) == []


def test_what_the_map_says_is_personal_is_never_read_and_what_it_does_not_know_is() -> None:
    there = live(tags={"id": "int", "title": "text", "new": "text"}, later={"id": "int", "x": "jsonb"})
    there.tables["copy"] = LiveTable("copy", "foreign_table", {"x": LiveColumn("x", "text")})
    assert databases.to_sample(mapped(tags=LOOKUP), there) == {
        "people": {},
        "tags": {"id": "int", "title": "text", "new": "text"},
        "later": {"id": "int", "x": "jsonb"},
    }


def test_a_mapped_column_that_cannot_be_read_is_named_and_an_unmapped_one_is_an_alarm_already() -> None:
    samples = {"tags": Sample(unread={"title": "why", "new": "why"}), "later": Sample(unread={"x": "why"})}
    assert databases.not_looked_at(mapped(tags=LOOKUP), samples) == ["tags.title: why"]


def test_every_code_is_one_of_those_that_a_look_may_end() -> None:
    tested = {"unknown_schema", "changed_type", "unknown_processor", "category_not_promised"}
    tested |= {code for _, _, code in CONTENTS}
    tested |= {"unknown_table", "unknown_column", "missing_table", "missing_column"}
    assert set(databases.CODES) == tested | {"unmapped_foreign_key", "does_not_fit"}
