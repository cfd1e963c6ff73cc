"""Whatever a database looks like, its draft can be read, and every path in it leads to a person."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.privacy.drafting.draft import make_draft
from include.privacy.drafting.writing import as_yaml
from include.privacy.planning.catalogue import ForeignKey, LiveColumn, LiveSchema, LiveTable
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.documents import parse_document
from include.privacy.policy.looks import Kind
from include.privacy.policy.table_validation import table_problems

NAMES = ["users", "orders", "posts", "tags", "admin_users", "invoices", "logs", "people", "no", "order items"]
COLUMNS = [
    "email",
    "invitee_email",
    "body",
    "user_id",
    "author_id",
    "parent_id",
    "created_by",
    "token",
    "x",
    "ip",
]
TYPES = ["bigint", "text", "uuid", "jsonb", "inet", "timestamp with time zone", "varchar(40)"]


@st.composite
def schemas(draw: st.DrawFn) -> LiveSchema:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=7, unique=True))
    tables, keys = {}, []
    for name in names:
        columns = {"id": LiveColumn("id", "bigint", nullable=False)}
        for column in draw(st.lists(st.sampled_from(COLUMNS), max_size=6, unique=True)):
            columns[column] = LiveColumn(column, draw(st.sampled_from(TYPES)), draw(st.booleans()))
        kind = draw(st.sampled_from(["table", "table", "table", "materialised_view"]))
        primary = draw(st.sampled_from([("id",), ("id",), ("id", *list(columns)[1:2]), ()]))
        tables[name] = LiveTable(name, kind, columns, primary)
    for name in names:
        for column in draw(st.lists(st.sampled_from(sorted(tables[name].columns)), max_size=3, unique=True)):
            parent = draw(st.sampled_from(names))
            if tables[parent].kind == "table" and tables[name].kind == "table":
                keys.append(ForeignKey(f"fk_{name}_{column}", name, (column,), parent, ("id",)))
    return LiveSchema("public", tables, tuple(keys))


@settings(max_examples=60, deadline=None)
@given(schemas(), st.data())
def test_every_draft_is_a_map_whose_paths_hold_together(live: LiveSchema, data: st.DataObject) -> None:
    roots = [n for n, t in live.tables.items() if len(t.primary_key) == 1 and t.kind == "table"]
    if not roots:
        return
    kinds: dict[str, dict[str, Any]] = {
        name: {c: data.draw(st.frozensets(st.sampled_from(list(Kind)), max_size=2)) for c in table.columns}
        for name, table in live.tables.items()
    }
    root = data.draw(st.sampled_from(roots))
    made = make_draft(live, kinds, store="shop", connection="shop_db", root=root)
    text = as_yaml(made, 7)

    document, faults = parse_document(text, "draft.yaml")
    assert faults == []
    mapped = DatabaseMap.model_validate(yaml.safe_load(text))
    assert {n: set(t.columns) for n, t in mapped.tables.items()} == {
        n: set(t.columns) for n, t in live.tables.items()
    }
    assert text.count("# check:") == made.checks
    undecided = ("has personal columns", "is personal and would survive")
    problems = [
        p
        for p in table_problems(mapped, document, frozenset({"email"}))
        if not p.message.startswith(undecided)
    ]
    assert problems == []
