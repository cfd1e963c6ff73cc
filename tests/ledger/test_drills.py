from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from include.privacy.ledger import Ledger
from include.privacy.ledger.errors import IllegalTransition

from .conftest import AS_OF, LedgerDatabase, new_run

PLANTED = {"account": "920000001", "memo": {"word": "drillword-abcde"}}


def test_one_drill_at_a_time_however_many_begin_it(ledger: Ledger, database: LedgerDatabase) -> None:
    run = new_run(ledger)
    assert ledger.latest_drill() is None
    with ThreadPoolExecutor(3) as pool:
        drills = list(pool.map(lambda _: ledger.begin_drill(run, AS_OF), range(3)))
    assert len({drill.id for drill in drills}) == 1
    assert len(database.evidence("drill")) == 1
    with database.as_dags() as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "INSERT INTO ledger.drill (id, state, began_at, moved_at) "
            "VALUES (gen_random_uuid(), 'planting', now(), now())"
        )


def test_who_was_planted_is_sealed_and_unreadable_once_the_drill_has_ended(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    run, later = new_run(ledger), AS_OF + timedelta(hours=1)
    drill = ledger.begin_drill(run, AS_OF)
    moved = ledger.move_drill(
        drill.id, "planting", "planted", run, later, planted=PLANTED, notes={"stores": ["accounts"]}
    )
    assert (moved.planted, moved.notes, moved.moved_at) == (PLANTED, {"stores": ["accounts"]}, later)
    assert "920000001" not in repr(moved)
    dump = str(database.rows("SELECT * FROM ledger.drill")) + str(
        database.rows("SELECT * FROM ledger.evidence")
    )
    assert "920000001" not in dump and "drillword" not in dump
    ledger.move_drill(drill.id, "planted", "clearing", run, later, failure="P6.1: late")
    ended = ledger.move_drill(drill.id, "clearing", "failed", run, later, facts={"left": {}})
    assert (ended.planted, ended.ended_at, ended.failure) == (None, later, "P6.1: late")
    assert database.rows("SELECT count(*) FROM ledger.sealing_key WHERE purpose = 'drill'") == [(0,)]
    assert ledger.begin_drill(run, later).id != drill.id


def test_a_step_that_another_run_has_taken_is_not_taken_again(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    run = new_run(ledger)
    drill = ledger.begin_drill(run, AS_OF)
    for _ in range(2):
        assert ledger.move_drill(drill.id, "planting", "planted", run, AS_OF).state == "planted"
    assert [body["state"] for body in database.evidence("drill")] == ["planting", "planted"]


def test_no_step_may_be_left_out(ledger: Ledger, database: LedgerDatabase) -> None:
    run = new_run(ledger)
    drill = ledger.begin_drill(run, AS_OF)
    with pytest.raises(IllegalTransition):
        ledger.move_drill(drill.id, "planting", "passed", run, AS_OF)
    with (
        database.as_dags() as connection,
        pytest.raises(psycopg.errors.CheckViolation, match="cannot become"),
    ):
        connection.execute("UPDATE ledger.drill SET state = 'passed', ended_at = now()")
