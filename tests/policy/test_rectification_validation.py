"""What the data map may say about corrections, and each way in which that may not hold together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.privacy.planning.catalogue import LiveColumn, LiveSchema, LiveTable
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.documents import Document
from include.privacy.policy.grants import database_grants
from include.privacy.policy.live_rectification import rectification_problems_live
from include.privacy.policy.loading import ConfigError, load_config
from tests.policy import configs

EMAIL = {"field": "email", "format": "email", "case": "lower"}
KEEP = {"field": "email", "rectified": "keep", "reason": "It was so at the time."}


def sound() -> dict[str, Any]:
    people = configs.people()
    tables = people["tables"]
    tables["accounts"]["columns"]["email"]["rectify"] = EMAIL
    tables["leads"]["columns"]["email"]["rectify"] = {**EMAIL, "copy": True, "doubled": "delete"}
    tables["tokens"]["columns"]["sent_to"] = {
        "category": "user.contact.email",
        "history": {"field": "email", "rectified": "delete"},
    }
    tables["invoices"]["columns"]["billing_name"]["history"] = {**KEEP, "field": "full_name"}
    tables["accounts"]["columns"]["prefs"] = {
        "category": "user.settings",
        "rectify": [{**EMAIL, "key": "contact", "copy": True}, {"field": "colour", "key": "colour"}],
    }
    return people


def load(folder: Path, people: dict[str, Any]) -> DatabaseMap:
    return load_config(configs.write(folder, people_value=people)).data_map.root


def test_a_sound_map_loads_and_one_fact_may_be_written_without_a_list(tmp_path: Path) -> None:
    db = load(tmp_path, sound())
    assert [r.field for r in db.tables["accounts"].columns["email"].rectify] == ["email"]
    assert [r.key for r in db.tables["accounts"].columns["prefs"].rectify] == ["contact", "colour"]


CASES: dict[str, tuple[str, str, Any, str, str]] = {
    "two forms of one fact": (
        "leads", "email", {"rectify": {**EMAIL, "copy": True, "max_length": 50}},
        "tables.leads.columns.email.rectify", "has other rules than in people.accounts.email",
    ),
    "a role that is not there": (
        "accounts", "email", {"rectify": {**EMAIL, "role": "owner"}},
        "tables.accounts.columns.email.rectify.role", "no role owner",
    ),
    "a fact of nobody": (
        "plans", "code", {"category": "user.name", "unmasked_because": "staff", "purposes":
                          ["essential.service.operations"], "rectify": EMAIL},
        "tables.plans.columns.code.rectify", "nothing says whose fact it is",
    ),
    "a fact that is not personal": (
        "tokens", "id", {"category": "system.operations", "rectify": {"field": "x"}},
        "tables.tokens.columns.id.rectify", "is no personal data",
    ),
    "a secret": (
        "tokens", "account_id", {"secret": True, "category": "user.x", "rectify": {"field": "x"}},
        "tables.tokens.columns.account_id.rectify", "a secret is renewed",
    ),
    "the key of the person": (
        "tokens", "account_id", {"category": "user.x", "rectify": {"field": "x"}},
        "tables.tokens.columns.account_id.rectify", "is found by this very column",
    ),
    "an identifier that all rows of a person would get": (
        "leads", "email", {"rectify": EMAIL},
        "tables.leads.columns.email.rectify", "is found by this very column",
    ),
    "a record that the law keeps": (
        "invoices", "billing_name", {"category": "user.name", "rectify": {"field": "full_name"}},
        "tables.invoices.columns.billing_name.rectify", "a record is not changed",
    ),
    "a fact and its history in one": (
        "accounts", "email", {"rectify": EMAIL, "history": KEEP},
        "tables.accounts.columns.email.rectify", "cannot both hold a fact and record",
    ),
    "two facts of which one has no key": (
        "accounts", "prefs", {"category": "user.settings", "rectify": [EMAIL, {"field": "x", "key": "x"}]},
        "tables.accounts.columns.prefs.rectify", "not all of them have a `key:`",
    ),
    "a copy of nothing": (
        "posts", "body", {"category": "user.content", "rectify": {"field": "lonely", "copy": True}},
        "tables.posts.columns.body.rectify.copy", "nothing says what it is a copy of",
    ),
    "a fact that may vanish": (
        "accounts", "email", {"rectify": {**EMAIL, "doubled": "delete"}},
        "tables.accounts.columns.email.rectify.doubled", "only a copy",
    ),
    "a pattern that is none": (
        "posts", "body", {"category": "user.content", "rectify": {"field": "x", "pattern": "("}},
        "tables.posts.columns.body.rectify.pattern", "is no regular expression",
    ),
    "history that is not ours to delete": (
        "invoices", "billing_name", {"category": "user.name",
                                     "history": {"field": "email", "rectified": "delete"}},
        "tables.invoices.columns.billing_name.history.rectified", "not for us to delete",
    ),
    "history that is kept for no reason": (
        "posts", "body", {"category": "user.content", "history": {"field": "email", "rectified": "keep"}},
        "tables.posts.columns.body.history", "does not hold together",
    ),
    "a field that is no name": (
        "posts", "body", {"category": "user.content", "rectify": {"field": "Full Name"}},
        "tables.posts.columns.body.rectify.field", "has the wrong form",
    ),
    "a format that is unknown": (
        "posts", "body", {"category": "user.content", "rectify": {"field": "x", "format": "phone"}},
        "tables.posts.columns.body.rectify.format", "not one of the allowed values",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_its_place_and_a_fix(tmp_path: Path, case: str) -> None:
    table, column, change, field, message = CASES[case]
    people = sound()
    columns = people["tables"][table]["columns"]
    columns[column] = {k: v for k, v in columns[column].items() if k not in ("rectify", "history")} | change
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, people)
    assert [p for p in caught.value.problems if p.field == field and message in p.message], str(caught.value)
    assert all(p.fix for p in caught.value.problems)


def test_exactly_the_columns_that_may_be_corrected_are_granted(tmp_path: Path) -> None:
    sql = database_grants(load(tmp_path, sound()), (), "dags")
    assert 'GRANT UPDATE ("email") ON "public"."leads" TO "dags";' in sql
    assert sql.count("GRANT UPDATE (") == 1, "accounts may be updated anyway: its rows are anonymised"
    assert 'GRANT SELECT, DELETE ON "public"."tokens" TO "dags";' in sql, "history goes row by row"


def live(db: DatabaseMap) -> LiveSchema:
    types = {"prefs": "jsonb"}
    return LiveSchema(
        "public",
        {
            name: LiveTable(
                name,
                "table",
                {c: LiveColumn(c, types.get(c, "character varying(254)")) for c in table.columns},
            )
            for name, table in db.tables.items()
        },
    )


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("email", {"type": "character varying(100)"}, "takes 100 characters, the field 254"),
        ("email", {"type": "uuid"}, "is uuid, and a correction of format email is text"),
        ("email", {"updatable": False}, "may not update accounts.email"),
        ("prefs", {"type": "json"}, "the column is json, not jsonb"),
    ],
)
def test_a_live_column_that_cannot_take_a_correction_is_found(
    tmp_path: Path, column: str, change: dict[str, Any], message: str
) -> None:
    db = load(tmp_path, sound())
    schema = live(db)
    assert list(rectification_problems_live(db, schema, Document("x"))) == []
    accounts = schema.tables["accounts"]
    columns = accounts.columns | {column: replace(accounts.columns[column], **change)}
    worse = replace(schema, tables=schema.tables | {"accounts": replace(accounts, columns=columns)})
    found = [p.message for p in rectification_problems_live(db, worse, Document("x"))]
    assert any(message in text for text in found)
    assert list(rectification_problems_live(db, worse, Document("x"), {"other_field"})) == []
