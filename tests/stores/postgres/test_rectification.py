"""Corrections in one database: refused for one, crashed, doubled, and never a value in a message."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.privacy.planning.models import PlanError, Superseded
from include.privacy.planning.rectification import (
    Correction,
    RectificationError,
    RectificationOutcome,
)
from include.privacy.stores.postgres import PostgresStore
from tests.stores.postgres.support import Gate, database, rows, run

TABLES = (
    "CREATE TABLE person (id bigint PRIMARY KEY, handle text, name varchar(20) NOT NULL "
    "CHECK (name <> 'Nobody'), born date, prefs jsonb NOT NULL DEFAULT '{}')",
    "CREATE UNIQUE INDEX ON person (lower(handle))",  # not on the column itself: found out only by trying
    "CREATE TABLE booking (no int, part int, person bigint REFERENCES person (id), PRIMARY KEY (no, part))",
    "CREATE TABLE badge (id int PRIMARY KEY, no int, part int, printed text, colour text)",
    "CREATE TABLE log (person bigint, said text)",
)
PERSONAL, SYSTEM = "user.unique_id", "system.operations"


def fact(field: str, category: str = "user.name", **more: Any) -> dict[str, Any]:
    return {"category": category, "rectify": {"field": field, **more}}


def shop(**change: Any) -> Any:
    tables: dict[str, Any] = {
        "person": {
            "subjects": {"self": {"path": "id", "erasure": "delete"}},
            "columns": {
                "id": PERSONAL,
                "handle": fact("handle", case="lower"),
                "name": fact("name", format="name", max_length=20),
                "born": fact("born", format="date"),
                "prefs": {
                    "category": "user.settings",
                    "rectify": [
                        {"field": "name", "format": "name", "max_length": 20, "key": "greeting"},
                        {"field": "handle", "case": "lower", "key": "login", "copy": True},
                    ],
                },
            },
        },
        "booking": {
            "subjects": {"guest": {"path": "person", "erasure": "delete"}},
            "columns": {"no": SYSTEM, "part": SYSTEM, "person": PERSONAL},
        },
        "badge": {
            "subjects": {
                "guest": {"path": {"columns": ["no", "part"], "references": "booking"}, "erasure": "delete"}
            },
            "columns": {
                "id": SYSTEM,
                "no": SYSTEM,
                "part": SYSTEM,
                "printed": fact("name", format="name", max_length=20),
                "colour": SYSTEM,
            },
        },
        "log": {
            "subjects": {"self": {"path": "person", "erasure": "delete"}},
            "columns": {
                "person": PERSONAL,
                "said": {"category": "user.name", "history": {"field": "name", "rectified": "delete"}},
            },
        },
    }
    tables.update(change)
    return database(tables)


@pytest.fixture
def dsn(fresh_database: Callable[..., str]) -> str:
    made = fresh_database()
    run(
        made,
        *TABLES,
        "INSERT INTO person SELECT n, 'Handle' || n, 'Name ' || n, '1990-01-01', "
        "jsonb_build_object('greeting', 'Name ' || n, 'login', 'HANDLE' || n, 'theme', 'dark') "
        "FROM generate_series(1, 8) n",
        'UPDATE person SET prefs = \'{"theme": "light"}\' WHERE id = 8',
        "INSERT INTO booking SELECT n, p, n FROM generate_series(1, 8) n, generate_series(1, 2) p",
        "INSERT INTO badge SELECT n * 10 + p, n, p, 'Name ' || n FROM generate_series(1, 8) n, "
        "generate_series(1, 2) p",
        "INSERT INTO log SELECT n, 'Name ' || n FROM generate_series(1, 8) n",
        "INSERT INTO log VALUES (1, 'Name 2'), (1, 'another word')",
    )
    return made


@pytest.fixture
def store(dsn: str) -> PostgresStore:
    made = PostgresStore(shop(), dsn)
    made.migrate_workspace()
    return made


def asked(**values: dict[str, str]) -> list[Correction]:
    """``asked(p1={"name": …})``: corrections by person."""
    return [Correction(key.removeprefix("p"), fields) for key, fields in values.items()]


def rectify(
    store: PostgresStore, corrections: list[Correction], batch: UUID | None = None, gate: Gate | None = None
) -> RectificationOutcome:
    return store.rectify(batch or uuid4(), corrections, gate or Gate())


def test_every_place_of_a_fact_says_the_new_value(dsn: str, store: PostgresStore) -> None:
    batch = uuid4()
    corrections = asked(p1={"name": "Right", "born": "1991-02-03"}, p2={"name": "Two Right"})
    assert store.replaced_values(batch, corrections) == {
        "1": {"born": ("1990-01-01",), "name": ("Name 1",)},
        "2": {"name": ("Name 2",)},
    }
    done = rectify(store, corrections, batch)
    assert done.changed == {
        "person.name": 2, "person.born": 1, "person.prefs.greeting": 2, "badge.printed": 4,
    }  # fmt: skip
    assert rows(dsn, "SELECT name, born::text, prefs->>'greeting' FROM person WHERE id < 4 ORDER BY id") == [
        ("Right", "1991-02-03", "Right"),
        ("Two Right", "1990-01-01", "Two Right"),
        ("Name 3", "1990-01-01", "Name 3"),
    ]
    assert rows(dsn, "SELECT DISTINCT printed FROM badge WHERE no = 1") == [("Right",)]
    assert store.check_rectified(batch, corrections).clean


def test_of_what_records_the_past_only_the_persons_own_rows_with_the_replaced_value_go(
    dsn: str, store: PostgresStore
) -> None:
    done = rectify(store, asked(p1={"name": "Right"}))
    assert done.removed == {"log.said": 1}
    assert rows(dsn, "SELECT said FROM log WHERE person = 1 ORDER BY 1") == [("Name 2",), ("another word",)]
    assert rows(dsn, "SELECT said FROM log WHERE person = 2") == [("Name 2",)]


def test_what_a_trigger_writes_of_the_old_value_goes_in_the_same_transaction(
    dsn: str, store: PostgresStore
) -> None:
    run(
        dsn,
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO log VALUES (OLD.id, OLD.name); RETURN NULL; END $$",
        "CREATE TRIGGER tell AFTER UPDATE OF name ON person FOR EACH ROW EXECUTE FUNCTION tell()",
    )
    batch = uuid4()
    corrections = asked(p1={"name": "Right"})
    assert rectify(store, corrections, batch).removed == {"log.said": 2}
    assert rows(dsn, "SELECT count(*) FROM log WHERE person = 1 AND said = 'Name 1'") == [(0,)]
    assert store.check_rectified(batch, corrections).clean


def test_a_key_that_a_document_has_not_is_not_added(dsn: str, store: PostgresStore) -> None:
    rectify(store, asked(p8={"name": "Right"}))
    assert rows(dsn, "SELECT name, prefs FROM person WHERE id = 8") == [("Right", {"theme": "light"})]


def test_a_copy_follows_in_whatever_letters_it_was_written(dsn: str, store: PostgresStore) -> None:
    rectify(store, asked(p1={"handle": "right"}))
    run(dsn, 'UPDATE person SET prefs = prefs || \'{"login": "on purpose"}\' WHERE id = 2')
    rectify(store, asked(p2={"handle": "also_right"}))
    assert rows(dsn, "SELECT handle, prefs->>'login' FROM person WHERE id < 3 ORDER BY id") == [
        ("right", "right"),
        ("also_right", "on purpose"),
    ]


def test_one_persons_refusal_is_theirs_alone_and_for_that_field_alone(dsn: str, store: PostgresStore) -> None:
    """None of these is seen beforehand: an index on an expression, a check, a trigger."""
    run(
        dsn,
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.born > '2020-01-01' THEN RAISE EXCEPTION 'too young: %', NEW.born; END IF; "
        "RETURN NEW; END $$",
        "CREATE TRIGGER no BEFORE UPDATE OF born ON person FOR EACH ROW EXECUTE FUNCTION no()",
    )
    values = {
        f"p{n}": {"name": f"Right {n}", "handle": f"right{n}", "born": "1991-02-03"} for n in range(1, 8)
    }
    values["p2"]["handle"] = "handle8"
    values["p4"]["name"] = "Nobody"
    values["p6"]["born"] = "2024-01-01"
    batch, corrections = uuid4(), asked(**values)
    done = rectify(store, corrections, batch)
    assert done.refused == {
        "2": {"handle": "already_in_use"},
        "4": {"name": "not_accepted"},
        "6": {"born": "not_accepted"},
    }
    assert done.changed["person.name"] == done.changed["person.handle"] == done.changed["person.born"] == 6
    assert store.check_rectified(batch, corrections).clean
    assert rows(dsn, "SELECT id, name, handle, born::text FROM person WHERE id IN (2, 4, 6) ORDER BY id") == [
        (2, "Right 2", "Handle2", "1991-02-03"),
        (4, "Name 4", "right4", "1991-02-03"),
        (6, "Right 6", "right6", "1990-01-01"),
    ]
    assert "handle" not in done.replaced["2"]


def test_a_batch_goes_on_where_it_was_interrupted_and_reports_all_of_it(
    dsn: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores.postgres import rectify as module

    monkeypatch.setattr(module, "Pace", lambda **_: _Three())
    batch = uuid4()
    corrections = asked(**{f"p{n}": {"name": f"Right {n}"} for n in range(1, 9)})
    replaced = store.replaced_values(batch, corrections)
    gate = Gate()

    def crash(chunk: int) -> None:
        if chunk == 3:
            raise KeyboardInterrupt

    gate.before = crash
    with pytest.raises(KeyboardInterrupt):
        store.rectify(batch, corrections, gate)
    assert rows(dsn, "SELECT count(*) FROM person WHERE name LIKE 'Right%'") == [(6,)]
    gate = Gate()
    done = store.rectify(batch, corrections, gate)
    assert gate.asked == 1, "only the last chunk is left"
    assert done.changed["person.name"] == 8
    assert done.chunks == 3
    assert done.replaced == replaced
    assert store.rectify(batch, corrections, gate).changed == done.changed, "finished: nothing is done again"
    assert gate.asked == 1


class _Three:
    """Three people in every chunk."""

    rows = 3

    def took(self, seconds: float, rows: int) -> None:
        pass

    def back_off(self) -> None:
        pass


def test_a_second_copy_takes_over_and_the_first_stops_before_its_next_chunk(
    dsn: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores.postgres import rectify as module

    monkeypatch.setattr(module, "Pace", lambda **_: _Three())
    batch = uuid4()
    corrections = asked(**{f"p{n}": {"name": f"Right {n}"} for n in range(1, 9)})
    first = Gate()
    outcomes = []

    def overtaken(chunk: int) -> None:
        if chunk == 2:
            outcomes.append(store.rectify(batch, corrections, Gate()))

    first.before = overtaken
    with pytest.raises(Superseded):
        store.rectify(batch, corrections, first)
    assert outcomes[0].changed["person.name"] == 8
    assert rows(dsn, "SELECT count(*) FROM person WHERE name LIKE 'Right%'") == [(8,)]


def test_no_value_is_in_a_message_a_log_line_or_the_workspace_afterwards(
    dsn: str, store: PostgresStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    batch, corrections = uuid4(), asked(p1={"handle": "handle2"}, p2={"name": "Secretive"})
    outcome = rectify(store, corrections, batch)
    run(dsn, "ALTER TABLE person RENAME COLUMN prefs TO gone")
    with pytest.raises(PlanError) as refused:
        rectify(store, corrections)
    said = "".join(caplog.messages) + str(refused.value) + repr(outcome) + repr(corrections)
    for word in ("Secretive", "handle2", "Name 2", "Handle1"):
        assert word not in said
    store.finish_rectification(batch)
    left = rows(dsn, "SELECT relname FROM pg_class WHERE relnamespace = 'privacy_work'::regnamespace"
                " AND relname ~ 'correction|replaced|cohort|identifier'")  # fmt: skip
    assert left == []
    assert rows(dsn, "SELECT count(*) FROM privacy_work.progress") == [(0,)]


def test_an_error_of_the_database_is_told_without_the_value_that_it_quotes(
    dsn: str, store: PostgresStore
) -> None:
    run(
        dsn,
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'cannot take %', NEW.name USING ERRCODE = 'internal_error'; END $$",
        "CREATE TRIGGER odd BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION odd()",
    )
    with pytest.raises(RectificationError, match="SQLSTATE XX000") as caught:
        rectify(store, asked(p1={"name": "Secretive"}))
    assert "Secretive" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_is_still_wrong_afterwards_is_found_with_whose_it_is(dsn: str, store: PostgresStore) -> None:
    batch, corrections = uuid4(), asked(p1={"name": "Right"}, p2={"name": "Two"})
    rectify(store, corrections, batch)
    run(dsn, "UPDATE badge SET printed = 'Name 2' WHERE id = 21", "INSERT INTO log VALUES (2, 'Name 2')")
    found = store.check_rectified(batch, corrections)
    assert not found.clean
    assert found.subjects == {"2"}
    assert {k: n for k, n in found.remaining.items() if n} == {"badge.printed": 1, "log.said": 1}


def test_the_look_can_be_repeated_days_later_with_what_the_vault_knows(
    dsn: str, store: PostgresStore
) -> None:
    batch, corrections = uuid4(), asked(p1={"name": "Right"})
    rectify(store, corrections, batch)
    store.finish_rectification(batch)
    run(dsn, "INSERT INTO log VALUES (1, 'Name 1')")  # a late writer
    later = [Correction("1", {"name": "Right"}, previous={"name": ("Name 1",)})]
    assert store.check_rectified(uuid4(), later).remaining["log.said"] == 1


def test_columns_that_cannot_take_a_correction_stop_it_before_anything_is_written(
    dsn: str, store: PostgresStore, fresh_role: Callable[[str], str]
) -> None:
    run(dsn, "ALTER TABLE badge ALTER printed TYPE varchar(5) USING left(printed, 5)",
        "ALTER TABLE person ALTER born TYPE timestamptz")  # fmt: skip
    with pytest.raises(PlanError) as caught:
        rectify(store, asked(p1={"name": "Right", "born": "1991-02-03"}))
    assert "takes 5 characters, the field 20" in str(caught.value)
    assert "timestamp with time zone" in str(caught.value)
    guest = PostgresStore(shop(), fresh_role(dsn))
    with pytest.raises(PlanError, match=r"may not update person\.handle"):
        rectify(guest, asked(p1={"handle": "x"}))
    assert rows(dsn, "SELECT name FROM person WHERE id = 1") == [("Name 1",)]


def test_two_corrections_of_one_person_in_a_batch_are_refused_without_their_key(
    store: PostgresStore,
) -> None:
    twice = [Correction("7", {"name": "A"}), Correction("7", {"name": "B"})]
    with pytest.raises(ValueError, match="merge them") as caught:
        rectify(store, twice)
    assert "7" not in str(caught.value)


def test_somebody_who_is_not_there_is_nobodys_error(store: PostgresStore) -> None:
    batch, corrections = uuid4(), asked(p99={"name": "Right"})
    done = rectify(store, corrections, batch)
    assert not any(done.changed.values())
    assert done.refused == done.replaced == {}
    assert store.check_rectified(batch, corrections).clean


NAMES = st.sampled_from(["Anna", "Bert", "Clara", "Name 1", "Name 5", "Nobody"])
HANDLES = st.sampled_from(["handle1", "handle7", "anna", "bert"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.integers(1, 8),
        st.fixed_dictionaries({}, optional={"name": NAMES, "handle": HANDLES}).filter(bool),
        min_size=1,
    )
)
def test_afterwards_a_field_says_the_new_value_or_was_refused_and_the_rest_is_untouched(
    dsn: str, store: PostgresStore, wanted: dict[int, dict[str, str]]
) -> None:
    query = "SELECT id, name, handle, prefs->>'theme' FROM person ORDER BY id"
    before = {row[0]: row for row in rows(dsn, query)}
    batch = uuid4()
    corrections = [Correction(str(key), values) for key, values in wanted.items()]
    done = rectify(store, corrections, batch)
    after = {row[0]: row for row in rows(dsn, query)}
    for key, old in before.items():
        for position, name in ((1, "name"), (2, "handle")):
            refused = name in done.refused.get(str(key), {})
            new = wanted.get(key, {}).get(name)
            assert after[key][position] == (old[position] if new is None or refused else new)
        assert after[key][3] == old[3]
    for key, values in wanted.items():
        assert ("name" in done.refused.get(str(key), {})) == (values.get("name") == "Nobody")
    printed = "SELECT count(*) FROM badge b JOIN booking o USING (no, part) JOIN person p ON p.id = o.person"
    assert rows(dsn, f"{printed} WHERE b.printed <> p.name") == [(0,)]
    assert store.check_rectified(batch, corrections).clean
    store.finish_rectification(batch)


def test_a_value_that_changed_between_the_look_and_the_deed_is_among_the_replaced(
    dsn: str, store: PostgresStore
) -> None:
    other = asked(p1={"name": "Later"})
    gate = Gate()

    def meanwhile(chunk: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("UPDATE person SET name = 'In between' WHERE id = 1")

    gate.before = meanwhile
    batch = uuid4()
    store.replaced_values(batch, other)
    done = store.rectify(batch, other, gate)
    assert done.replaced == {"1": {"name": ("In between", "Name 1")}}
    assert rows(dsn, "SELECT name FROM person WHERE id = 1") == [("Later",)]
