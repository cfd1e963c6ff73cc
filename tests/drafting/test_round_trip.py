"""The platform's own databases, drafted as if nobody had mapped them, come out nearly as they are shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from include.privacy.drafting.command_line import look
from include.privacy.drafting.draft import make_draft
from include.privacy.drafting.writing import as_yaml
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import ROOT, load_config

if TYPE_CHECKING:
    from tests.conftest import Platform

# All tables but one: no catalogue can know that an invoice's lines say nothing once the invoice is nobody's.
PATHS = 0.95
# Of personal columns: what is said to be of nobody, and is somebody's, is the mistake that counts.
CATEGORIES = 0.85


@pytest.mark.parametrize("store", ["accounts", "practice"])
def test_the_draft_of_a_shipped_store_agrees_with_its_map(platform_template: Platform, store: str) -> None:
    config = load_config(ROOT / "config")
    shipped = config.data_map[store]
    assert isinstance(shipped, DatabaseMap)
    live, kinds, sampled = look(platform_template.dsn(store, "platform"), "public", 200)
    elsewhere = None if shipped.root else "accounts"
    draft = make_draft(
        live,
        kinds,
        store=store,
        connection=shipped.connection,
        purposes=config.policy.purposes,
        elsewhere=elsewhere,
    )
    made = DatabaseMap.model_validate(yaml.safe_load(as_yaml(draft, sampled)))

    assert made.tables.keys() == shipped.tables.keys()
    assert (made.root and made.root.table) == (shipped.root and shipped.root.table)
    owners = {name: (_owner_path(made, name), _owner_path(shipped, name)) for name in shipped.tables}
    wrong = {name: paths for name, paths in owners.items() if paths[0] != paths[1]}
    assert 1 - len(wrong) / len(owners) >= PATHS, wrong

    personal = [
        (t, c) for t, table in shipped.tables.items() for c, col in table.columns.items() if col.personal
    ]
    missed = [f"{t}.{c}" for t, c in personal if not made.tables[t].columns[c].personal]
    assert 1 - len(missed) / len(personal) >= CATEGORIES, missed
    secret = {(t, c) for t, table in shipped.tables.items() for c, col in table.columns.items() if col.secret}
    assert {(t, c) for t, c in secret if not made.tables[t].columns[c].secret} == set()


def _owner_path(mapped: DatabaseMap, table: str) -> dict[str, object] | None:
    """The first role's path, whatever the role is called."""
    subjects = mapped.tables[table].subjects
    if not subjects:
        return None
    return next(iter(subjects.values())).path.model_dump(exclude={"role"})
