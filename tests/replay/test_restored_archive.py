"""Real archives: dumped, outlived by 600 requests, restored with pg_restore, replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from include.sandbox.platform import dumps
from tests.replay.conftest import STORES, Rig, close, digests

pytestmark = pytest.mark.timeout(300)
RECOMMENDING, NEWS = "personalize.content", "marketing.communications.email"
PRESENT = "SELECT count(*) FROM accounts WHERE id::text = ANY(%s)"


def totals(rig: Rig, plans: list[UUID]) -> dict[str, Counter[str]]:
    """By store and table, what the plans did."""
    done: dict[str, Counter[str]] = {}
    for plan_id in plans:
        for row in rig.ledger.plan_outcomes(plan_id):
            mine = done.setdefault(row.store, Counter())
            mine.update({f"removed {t}": n for t, n in row.outcome.removed.items() if n})
            mine.update({f"anonymised {t}": n for t, n in row.outcome.anonymised.items() if n})
    return done


def plans_of(rig: Rig, cohort_id: UUID) -> list[UUID]:
    from include.privacy.steps.work import items_of_cohort

    return [UUID(i["plan_id"]) for i in items_of_cohort(cohort_id) if i["store"] in STORES]


def test_nobody_returns_from_a_restored_archive_and_nobody_else_is_changed(
    rig: Rig, databases: Callable[[str, str | None], str], tmp_path: Path
) -> None:
    binaries = rig.world.postgres.binaries
    archives = {store: dumps.dump(rig.dsn(store), store, tmp_path, binaries) for store in STORES}
    erased, wrong, objecting = rig.people(0, 500), rig.people(500, 50), rig.people(550, 50)

    cohort = rig.erase(erased)
    rig.correct({k: {"full_name": f"Corrected {k}", "email": f"right-{k}@example.net"} for k in wrong})
    rig.object(objecting, [RECOMMENDING, NEWS])
    truth = {store: digests(rig, store) for store in STORES}

    for store in STORES:
        rig.put(store, databases("platform", None))
        dumps.restore(archives[store].path, rig.dsn(store), binaries, owners=True)
    assert rig.value("accounts", PRESENT, erased) == 500

    # The platform could still connect, so nothing was touched.
    assert rig.replay().state == "failed"
    assert rig.value("accounts", PRESENT, erased) == 500

    close(rig, *STORES)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(rig.dsn("accounts", "platform")).close()
    run = rig.replay()
    assert run.state == "success", rig.states(run)

    # What the restored databases say now is what the lost ones said, to the last row.
    for store in STORES:
        now = digests(rig, store)
        assert {t for t in now if now[t] != truth[store][t]} == set(), store

    report = rig.report()
    assert report["came_back"] == {
        "people": 500, "orphans": 0, "alive": 0, "in_use": 0, "earlier": 0, "resumed": 0
    }  # fmt: skip
    assert report["still_found"]["people"] == report["left"] == report["held"] == 0
    assert report["applied"]["corrected"] == 2 * 50
    assert sorted(report["opened"]) == sorted(STORES)
    again = [row.plan.id for row in rig.ledger.plans(rig.ledger.latest_run("replay").id)]
    first, second = totals(rig, plans_of(rig, cohort)), totals(rig, again)
    for store, tables in {
        "accounts": ("accounts", "credentials"),
        "practice": ("attempts", "devices"),
    }.items():
        for table in tables:
            assert first[store][f"removed {table}"] == second[store][f"removed {table}"] > 0, table
    evidence = [e.body for e in rig.ledger.evidence(kind="replay_concluded")]
    assert [e["came_back"]["people"] for e in evidence] == [500]

    for store, role in (
        ("accounts", "platform"),
        ("accounts", "platform_marketing"),
        ("practice", "platform"),
    ):
        psycopg.connect(rig.dsn(store, role)).close()
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(rig.dsn("accounts", "ledger_owner")).close()
    run = rig.replay()
    assert run.state == "success", "opened by this replay, so there is nothing to do"
    assert rig.report()["stores"] == []

    # Past the last affected backup nothing is left by which anybody could be recognised.
    later = rig.as_of + timedelta(days=400)
    assert rig.ledger.expire_tombstones(later) > 500
    for action in ("correction", "restriction", "suppression"):
        assert list(rig.ledger.journal(action, None)) == []
    with psycopg.connect(rig.world.dsn(rig.ledger_name)) as connection:
        for table in ("tombstone", "tombstone_epoch", "journal_entry"):
            assert connection.execute(f"SELECT count(*) FROM ledger.{table}").fetchone() == (0,)
        keys = connection.execute("SELECT DISTINCT purpose FROM ledger.sealing_key").fetchall()
        assert ("tombstone_epoch",) not in keys
    assert rig.ledger.evidence(kind="tombstones_expired")
