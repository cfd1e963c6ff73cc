"""docs/DATA_MAP.md is worked through for real: its map loads, and fits its database, as the page says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from include.privacy.planning.rectification import plan_rectification
from include.privacy.policy.data_map import DatabaseMap, DataMap
from include.privacy.policy.documents import Document
from include.privacy.policy.live import compare_with_live
from include.privacy.policy.loading import load_data_map, load_policy
from include.privacy.policy.purpose_views import purpose_views, view_problems
from include.privacy.stores.postgres import PostgresStore

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "DATA_MAP.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def data_map(tmp_path: Path) -> DataMap:
    """The page's pieces of YAML put together as a reader would."""
    *shop, uploads = blocks("yaml")
    (tmp_path / "10_uploads.yaml").write_text(uploads)
    (tmp_path / "90_shop.yaml").write_text("".join(shop))
    return load_data_map(tmp_path)


def test_the_map_of_the_page_is_valid(data_map: DataMap) -> None:
    assert [store.store for store in data_map.stores] == ["uploads", "shop"]


def test_the_purposes_of_the_page_are_those_of_the_shipped_policy(data_map: DataMap) -> None:
    shop = data_map.root
    named = {purpose for table in shop.tables.values() for purpose in table.purposes}
    assert named <= load_policy(ROOT / "config" / "policy.yaml").purposes.keys()


def test_the_purposes_with_a_reader_can_be_read_for_as_the_page_says(data_map: DataMap) -> None:
    purposes = load_policy(ROOT / "config" / "policy.yaml").purposes
    shop = data_map.root
    assert list(view_problems(shop, Document("the page"), purposes)) == []
    assert [(v.schema, v.table) for v in purpose_views(shop, purposes)] == [
        ("for_marketing_communications_email", "waitlist")
    ]


def test_a_correction_goes_where_the_page_says(data_map: DataMap) -> None:
    plan = plan_rectification(data_map, {"email": "right@example.com", "address": "1 Right Street"})
    assert [place.label for place in plan.places] == ["customers.email", "waitlist.email"]
    assert [(p.field, p.code) for p in plan.problems] == [("address", "record")]


def test_the_map_of_the_page_covers_the_database_of_the_page(
    data_map: DataMap, fresh_database: Callable[..., str]
) -> None:
    dsn = fresh_database()
    with psycopg.connect(dsn) as conn:
        conn.execute(blocks("sql")[0].encode())
    shop = data_map["shop"]
    assert isinstance(shop, DatabaseMap)
    problems = compare_with_live(shop, PostgresStore(shop, dsn).read_schema())
    assert [str(p) for p in problems] == []
