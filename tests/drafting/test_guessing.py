"""Guesses by name, type and content: what is personal, whose a row is, and what is left to a person."""

from __future__ import annotations

from typing import Any

import pytest

from include.privacy.drafting.draft import Draft, make_draft
from include.privacy.drafting.relations import NoRootError
from include.privacy.drafting.vocabulary import guess_column, guess_purpose, singular, singulars
from include.privacy.drafting.writing import as_yaml
from include.privacy.planning.catalogue import ForeignKey, LiveColumn, LiveSchema, LiveTable
from include.privacy.policy.looks import Kind


def schema(*keys: tuple[str, str, str], **tables: dict[str, str]) -> LiveSchema:
    """Columns as ``type``, with ``?`` for those that may be null; keys as table, column, parent."""
    made = {
        name: LiveTable(
            name,
            "table",
            {c: LiveColumn(c, t.rstrip("?"), nullable=t.endswith("?")) for c, t in columns.items()},
            ("id",) if "id" in columns else tuple(columns)[:1],
        )
        for name, columns in tables.items()
    }
    found = [ForeignKey(f"{t}_{c}", t, (c,), parent, made[parent].primary_key) for t, c, parent in keys]
    return LiveSchema("public", made, tuple(found))


def draft(live: LiveSchema, kinds: dict[str, Any] | None = None, **given: Any) -> Draft:
    return make_draft(live, kinds or {}, store="shop", connection="shop_db", **given)


def paths(made: Draft, table: str) -> dict[str, tuple[Any, bool]]:
    found = next(t for t in made.tables if t.name == table)
    return {r.name: ((*r.columns, r.references, r.role), r.deletes) for r in found.roles}


USERS = {"id": "bigint", "email": "text", "full_name": "text", "deleted_at": "timestamp with time zone?"}


@pytest.mark.parametrize(
    ("name", "type_", "kinds", "category"),
    [
        ("contact_email", "text", (), "user.contact.email"),
        ("x17", "text", (Kind.email,), "user.contact.email"),
        ("body", "text", (Kind.email, Kind.free_text), "user.content.private"),
        ("firstName", "text", (), "user.name.first"),
        ("password_digest", "text", (), "user.authorization.password"),
        ("remote_addr", "text", (), "user.device.ip_address"),
        ("anything", "inet", (), "user.device.ip_address"),
        ("payload", "jsonb", (), "user.content.private"),
        ("stripe_customer_id", "text", (), "user.unique_id"),
        ("dateOfBirth", "date", (), "user.demographic.date_of_birth"),
        ("quantity", "integer", (), None),
    ],
)
def test_a_column_is_guessed_by_its_name_and_better_by_its_content(
    name: str, type_: str, kinds: tuple[Kind, ...], category: str | None
) -> None:
    found = guess_column(name, type_, kinds)
    assert (found and found.category) == category


def test_words_lose_their_plural() -> None:
    assert [singular(w) for w in ("users", "categories", "boxes", "addresses", "people", "address")] == [
        "user", "category", "box", "address", "person", "address",
    ]  # fmt: skip
    assert "address" in singulars("addresses") and "category" in singulars("categories")


def test_a_purpose_is_one_that_the_policy_knows() -> None:
    known = ("analytics.reporting", "essential.service.operations")
    assert guess_purpose("page_events", known) == "analytics.reporting"
    assert guess_purpose("user_sessions", known) == "essential.service.operations"
    assert guess_purpose("anything", ("marketing.x",)) == "marketing.x"


def test_the_owner_is_whom_the_row_is_called_after_and_whoever_acted_lets_go() -> None:
    live = schema(
        ("orders", "customer_id", "customers"),
        ("orders", "approved_by", "customers"),
        ("items", "order_id", "orders"),
        ("items", "product_id", "products"),
        ("products", "created_by", "customers"),
        customers=USERS,
        orders={"id": "bigint", "customer_id": "bigint", "approved_by": "bigint?"},
        items={"id": "bigint", "order_id": "bigint", "product_id": "bigint"},
        products={"id": "bigint", "title": "text", "created_by": "bigint?"},
    )
    made = draft(live)
    assert (made.root.table, made.root.key) == ("customers", "id")
    assert paths(made, "orders") == {
        "customer": (("customer_id", None, None), True),
        "approved_by": (("approved_by", None, None), False),
    }
    assert paths(made, "items") == {"customer": (("order_id", "orders", "customer"), True)}
    assert paths(made, "products") == {"created_by": (("created_by", None, None), False)}, (
        "it stays for others"
    )


def test_a_row_of_two_people_that_cannot_let_go_asks_which() -> None:
    live = schema(
        ("blocks", "user_id", "users"),
        ("blocks", "blocked_id", "users"),
        users=USERS,
        blocks={"id": "bigint", "user_id": "bigint", "blocked_id": "bigint"},
    )
    made = draft(live)
    assert paths(made, "blocks") == {
        "user": (("user_id", None, None), True),
        "blocked": (("blocked_id", None, None), True),
    }
    assert "right for its owner?" in as_yaml(made, 0)


def test_a_name_leads_to_a_table_only_where_the_types_agree_and_asks() -> None:
    live = schema(
        users=USERS,
        logs={"id": "bigint", "user_id": "bigint?", "session_id": "uuid?"},
        others={"id": "bigint", "user_id": "text"},
    )
    made = draft(live)
    assert paths(made, "logs") == {"user": (("user_id", None, None), True)}
    assert paths(made, "others") == {}
    assert "no foreign key says so, only the name" in as_yaml(made, 0)


def test_employees_are_not_the_people_and_a_root_without_clocks_asks_for_them() -> None:
    people = {"id": "bigint", "email": "text", "name": "text"}
    live = schema(admin_users=people, members=people)
    made = draft(live)
    assert made.root.table == "members"
    text = as_yaml(made, 0)
    assert "no column says when an account was deleted" in text
    assert "are these employees only" in text
    assert text.count("# check:") == made.checks


def test_nothing_that_looks_like_people_is_said_and_not_guessed() -> None:
    live = schema(parts={"id": "bigint", "title": "text"})
    with pytest.raises(NoRootError, match="--root"):
        draft(live)
    assert draft(live, root="parts").root.table == "parts"


def test_names_that_yaml_reads_as_something_else_are_quoted() -> None:
    live = schema(users=USERS | {"on": "boolean", "no": "text", "null": "text"})
    text = as_yaml(draft(live), 0)
    assert all(f"'{word}': {{" in text for word in ("on", "no", "null"))
