"""A restore in the running project: requests answered, both databases and the bucket set back, replayed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from include.privacy.runtime import runtime
from include.sandbox.platform.people import MARKERS
from include.sandbox.platform.restores import close
from tests.runs.conftest import CONTENT, Estate

pytestmark = pytest.mark.timeout(300)
GONE = MARKERS[0]


def set_back(estate: Estate, copies: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies take the place of the databases, closed to everybody but the DAGs."""
    for store, name in copies.items():
        key = f"AIRFLOW_CONN_{store.upper()}_DB"
        monkeypatch.setenv(key, json.dumps(json.loads(os.environ[key]) | {"schema": name}))
        close(estate.world.postgres, name)
    runtime().close()


@pytest.mark.whole_dag
def test_who_was_erased_does_not_come_back_with_a_restore_into_any_store(
    estate: Estate, content: Callable[[int], int], s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = {store: f"{store}_{uuid4().hex[:10]}" for store in ("accounts", "practice")}
    for store, name in copies.items():
        estate.world.postgres.create_database(name, "platform", getattr(estate.platform, store))
    assert content(GONE.account_id) > 0
    estate.ask(GONE.account_id)
    assert estate.fulfil("erasure").state == "success"
    assert content_of(s3_client) == 0

    set_back(estate, copies, monkeypatch)
    s3_client.put_object(Bucket=CONTENT, Key=f"user-content/{GONE.account_id}/restored.png", Body=b"x")
    form = {
        "stores": ["user_content", "practice", "accounts"],
        "captured_at": estate.as_of.isoformat(),
    }
    run = estate.run("replay_after_restore", form)
    assert run.state == "success", estate.states(run)
    row = estate.ledger.latest_run("replay")
    assert row is not None and row.summary is not None
    assert row.summary["came_back"]["people"] == 1 and row.summary["left"] == 0
    assert sorted(row.summary["opened"]) == ["accounts", "practice"]
    assert content_of(s3_client) == 0
    with psycopg.connect(estate.world.dsn(copies["accounts"], "platform")) as accounts:
        found = accounts.execute("SELECT count(*) FROM accounts WHERE id = %s", (GONE.account_id,)).fetchone()
    assert found == (0,)
    estate.whole = False
    again = estate.run("replay_after_restore", form)
    assert again.state == "success", estate.states(again)
    for name in copies.values():
        estate.world.postgres.drop_database(name)


def content_of(s3_client: Any) -> int:
    found = s3_client.list_object_versions(Bucket=CONTENT, Prefix=f"user-content/{GONE.account_id}/")
    return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))
