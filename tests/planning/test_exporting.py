"""Which columns a role is shown: never one that the map does not give it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.privacy.planning.catalogue import LiveColumn, LiveSchema, LiveTable
from include.privacy.planning.exporting import Reason, Records, collections_of
from include.privacy.policy.data_map import STAFF, DatabaseMap
from include.privacy.policy.sharing import owners
from tests.archives.support import collection

ROLES = ("learner", "mentor", "guest")
COLUMN = st.fixed_dictionaries(
    {
        "category": st.sampled_from(["user.name", "user.content", "system.operations"]),
        "secret": st.booleans(),
        "origin": st.sampled_from([None, "provided", "observed", "inferred"]),
        "of": st.none() | st.just([STAFF]) | st.sets(st.sampled_from(ROLES), min_size=1).map(sorted),
    }
)


def shared(columns: dict[str, Any], origin: str) -> tuple[DatabaseMap, LiveSchema]:
    keys = {f"{role}_id": {"category": "user.unique_id"} for role in ROLES}
    subjects = {
        role: {"path": f"{role}_id", "erasure": "delete"} | ({"origin": origin} if role == "guest" else {})
        for role in ROLES
    }
    mapped = DatabaseMap.model_validate(
        {
            "store": "shop", "kind": "postgres", "connection": "c",
            "tables": {"rows": {"subjects": subjects, "columns": keys | columns}},
        }
    )  # fmt: skip
    live = {name: LiveColumn(name, "text") for name in keys | columns}
    return mapped, LiveSchema("public", {"rows": LiveTable("rows", "table", live)})


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), COLUMN),
    st.sampled_from(["provided", "inferred"]),
    st.booleans(),
)
def test_every_column_is_shown_withheld_or_conditional_and_never_by_mistake(
    columns: dict[str, Any], origin: str, portable: bool
) -> None:
    mapped, live = shared(columns, origin)
    table = mapped.tables["rows"]
    for found in collections_of(mapped, live, portable=portable):
        shown = {f.name: f for f in found.fields}
        held = {w.column: w for w in found.withheld}
        assert shown.keys() | held.keys() == table.columns.keys() and not shown.keys() & held.keys()
        later = ROLES[ROLES.index(found.role) + 1 :]
        for name, field in shown.items():
            may = owners(table, name)
            assert not table.columns[name].secret and STAFF not in may
            if field.only_if:
                assert found.role not in may and set(field.only_if) == may & set(later)
            else:
                assert found.role in may
            assert not (portable and field.origin == "inferred")
        for name, entry in held.items():
            if entry.reason is Reason.other_person:
                assert found.role not in owners(table, name) and not owners(table, name) & set(later)


def test_records_in_memory_have_the_fields_of_their_collection_and_no_others() -> None:
    records = Records(collection(), [{"note": "x", "password": "hunter2"}, {}])
    assert list(records.lines()) == [['{"note": "x"}', '{"note": null}']]
    assert list(records.table()) == [[["x"], [None]]]
    assert list(Records(collection(), []).lines()) == []
